//! The project's Rust files, parsed.

use std::fs;
use std::path::{Path, PathBuf};

/// A parsed file, with its path below the project's folder.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    pub syntax: syn::File,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below `folder`, but not in trybuild's `ui` folders, which are meant to be wrong.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for entry in ignore::Walk::new(root().join(folder)) {
        let path = entry.unwrap().into_path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if !is_rust || path.components().any(|part| part.as_os_str() == "ui") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let syntax =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root()).unwrap().to_owned();
        found.push(Source { path, text, syntax });
    }
    assert!(!found.is_empty(), "no Rust files below {folder}");
    found
}
