//! What the project depends on and says about itself.

use super::sources::root;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Every crate is somebody's build time and somebody's trust.
const MOST_CRATES: usize = 40;

#[test]
fn the_default_build_has_few_crates() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "disk-backed-cache", "--edges", "normal", "--prefix", "none"])
        .args(["--locked", "--offline", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let printed = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> =
        printed.lines().filter_map(|line| line.split(' ').next()).collect();
    println!("{} crates: {crates:?}", crates.len());
    assert!(crates.contains("rusqlite"), "{printed}");
    assert!(crates.len() <= MOST_CRATES, "{} crates: {crates:?}", crates.len());
}

#[test]
fn the_stated_rust_version_is_the_one_that_builds_it() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let channel = value_of(&toolchain, "channel");
    let stated = value_of(&manifest, "rust-version");
    assert!(channel.starts_with(stated), "channel {channel}, rust-version {stated}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("Rust {stated}")), "README.md does not name Rust {stated}");
}

#[test]
fn the_changelog_knows_the_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        changelog.contains(&format!("## [{version}]")),
        "CHANGELOG.md has no section {version}"
    );
}

#[test]
fn ci_runs_the_test_command_that_the_readme_names() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    for command in ["cargo test --workspace", "cargo run --release --example source_index"] {
        assert!(readme.lines().any(|line| line.trim() == command), "README.md lacks `{command}`");
        assert!(ci.lines().any(|line| line.trim().ends_with(command)), ".ci/run lacks `{command}`");
    }
}

fn value_of<'t>(toml: &'t str, key: &str) -> &'t str {
    let line = toml.lines().find(|line| line.starts_with(key)).unwrap();
    line.split('"').nth(1).unwrap()
}
