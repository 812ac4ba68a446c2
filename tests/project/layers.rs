//! Imports point downwards in the listed order of `docs/design.md`, and mechanisms never name each
//! other.

use super::sources::sources;
use std::collections::BTreeSet;
use std::path::Path;
use syn::visit::{self, Visit};

/// Each module may name only those before it.
const ORDER: [&str; 25] = [
    // words
    "sync",
    "models",
    "crash",
    "error",
    "faults",
    "gate",
    "planted",
    "pool",
    "time",
    "key",
    "entry",
    "listener",
    "row",
    "stats",
    // contracts
    "options",
    "codec",
    "cacheable",
    // mechanisms
    "memory",
    "store",
    "flight",
    // where the tiers meet
    "engine",
    // faces
    "blocking",
    "future",
    "testing",
    // above them
    "memo",
];

/// Modules that never name each other.
const MECHANISMS: [&str; 3] = ["memory", "store", "flight"];

/// What the reference model may name: words, so that it cannot borrow the engine's opinion.
const WORDS: [&str; 8] = [
    "Cacheable",
    "Compatibility",
    "EntryInfo",
    "ErrorKind",
    "RemovalCause",
    "Stats",
    "Tier",
    "Timestamp",
];

#[test]
fn modules_name_only_modules_below_them() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some(own) = module_of(&source.path) else { continue };
        let rank = rank(&own).unwrap_or_else(|| panic!("src/{own} has no place in the order"));
        for named in names_after(&source.syntax, "crate") {
            let allowed = match self::rank(&named) {
                Some(_) if named == own => true,
                Some(other) => other < rank && !(is_mechanism(&own) && is_mechanism(&named)),
                // A type re-exported at the crate's root comes from nowhere in particular.
                None => false,
            };
            if !allowed {
                wrong.push(format!("{} names crate::{named}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_listed_module_exists() {
    let present: BTreeSet<String> =
        sources("src").iter().filter_map(|source| module_of(&source.path)).collect();
    let listed: BTreeSet<String> = ORDER.iter().map(ToString::to_string).collect();
    assert_eq!(present, listed);
}

#[test]
fn the_reference_model_names_words_only() {
    for source in sources("src/testing/model") {
        for named in names_after(&source.syntax, "disk_backed_cache") {
            assert!(
                WORDS.contains(&named.as_str()) || named == "semver",
                "{} names disk_backed_cache::{named}",
                source.path.display()
            );
        }
    }
}

/// Otherwise a model of the threads would not see who waits. `src/sync.rs` says why these may.
#[test]
fn locks_and_atomics_come_from_sync() {
    let may =
        ["src/sync.rs", "src/sync", "src/crash.rs", "src/time", "src/store/sqlite/background.rs"];
    let mut wrong = Vec::new();
    for source in sources("src") {
        let is_model = source.path.iter().any(|part| part == "models" || part == "models.rs");
        if is_model || may.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        let named = ["parking_lot", "pollster", "std::sync::atomic"];
        let found = named.into_iter().filter(|name| source.text.contains(name));
        wrong.extend(found.map(|name| format!("{} names {name}", source.path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The module below `src` that a file belongs to; `None` for the crate's root.
fn module_of(path: &Path) -> Option<String> {
    let first = path.iter().nth(1)?.to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then(|| name.to_owned())
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|listed| *listed == module)
}

fn is_mechanism(module: &str) -> bool {
    MECHANISMS.contains(&module)
}

/// What is named directly below `base`, in imports and in paths.
fn names_after(file: &syn::File, base: &str) -> BTreeSet<String> {
    let mut names = Names { base, found: BTreeSet::new() };
    names.visit_file(file);
    names.found
}

struct Names<'b> {
    base: &'b str,
    found: BTreeSet<String>,
}

impl Names<'_> {
    fn heads(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => drop(self.found.insert(path.ident.to_string())),
            syn::UseTree::Name(name) => drop(self.found.insert(name.ident.to_string())),
            syn::UseTree::Rename(rename) => drop(self.found.insert(rename.ident.to_string())),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.heads(tree)),
            syn::UseTree::Glob(_) => drop(self.found.insert("*".to_owned())),
        }
    }

    fn branches(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) if path.ident == self.base => self.heads(&path.tree),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.branches(tree)),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.branches(&item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| first.ident == self.base)
            && let Some(second) = segments.next()
        {
            self.found.insert(second.ident.to_string());
        }
        visit::visit_path(self, path);
    }
}
