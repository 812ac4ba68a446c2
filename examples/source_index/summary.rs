//! What is cached: the summary of one source file.

use disk_backed_cache::{Cacheable, MAX_KEY_CHARS, Timestamp};
use ignore::DirEntry;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::error::Error;
use std::{fs, io, str};
use syn::visit::{self, Visit};
use syn::{Block, Signature, UseTree};

/// What one source file holds.
///
/// Raise `version` whenever a field changes its shape or its meaning: what an older build of this
/// program stored is then a miss, and is computed anew.
#[derive(Debug, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0", name = "source_summary")]
pub struct Summary {
    pub source: Source,
    pub lines: usize,
    /// Functions and methods with a body, nested ones included.
    pub functions: usize,
    pub types: Types,
    /// Each path that a `use` brings into scope, such as `std::fmt::Display` or `super::*`.
    pub imports: Vec<String>,
    pub longest_function: Option<LongestFunction>,
    /// Why the file does not parse. All that is known of it then are its lines; the summary is kept
    /// like any other, so that the file is not parsed again in vain.
    pub parse_error: Option<String>,
}

/// The state of a file that a summary was computed from.
///
/// A summary holds as long as the file still has this size and this time of modification.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub path: String,
    pub size: u64,
    /// In nanoseconds since the Unix epoch.
    pub modified: i64,
}

/// How many types a file defines, by kind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Types {
    pub structs: usize,
    pub enums: usize,
    pub unions: usize,
    pub traits: usize,
    pub aliases: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct LongestFunction {
    pub name: String,
    pub lines: usize,
}

impl Types {
    pub fn all(&self) -> usize {
        self.structs + self.enums + self.unions + self.traits + self.aliases
    }
}

impl Source {
    /// Looks at the file but does not read it.
    pub fn of(entry: &DirEntry) -> Result<Self, Box<dyn Error>> {
        let path = entry.path().to_str().ok_or("the path is not Unicode")?.to_owned();
        let metadata = entry.metadata()?;
        let modified = Timestamp::from(metadata.modified()?).as_nanos();
        Ok(Self { path, size: metadata.len(), modified })
    }

    /// The file's key in the cache: its path, or the path's end and hash where a key cannot hold
    /// the whole.
    ///
    /// Should two long paths ever meet under one key, they displace each other and are never taken
    /// for each other, because a summary records the full path.
    pub fn key(&self) -> Cow<'_, str> {
        const END_CHARS: usize = 200;
        if self.path.chars().count() <= MAX_KEY_CHARS {
            return Cow::Borrowed(&self.path);
        }
        let end = self.path.char_indices().rev().nth(END_CHARS - 1).map_or(0, |(index, _)| index);
        Cow::Owned(format!("{:016x}…{}", fnv1a(self.path.as_bytes()), &self.path[end..]))
    }
}

/// FNV-1a with 64 bits. The standard library's hashes may change from one release to the next, and
/// keys must not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl Summary {
    /// Reads and parses the file.
    ///
    /// `source` was taken before. If the file changes in between, the summary records the older
    /// state, and the next pass computes it again.
    pub fn compute(source: &Source) -> io::Result<Self> {
        let bytes = fs::read(&source.path)?;
        let mut summary = Self {
            source: Source { path: source.path.clone(), ..*source },
            lines: bytes.split_inclusive(|&byte| byte == b'\n').count(),
            functions: 0,
            types: Types::default(),
            imports: Vec::new(),
            longest_function: None,
            parse_error: None,
        };
        match parse(&bytes) {
            Ok(file) => Counting(&mut summary).visit_file(&file),
            Err(problem) => summary.parse_error = Some(problem),
        }
        // The parser keeps the text of all it parsed for the sake of its spans; none is left now.
        proc_macro2::extra::invalidate_current_thread_spans();
        Ok(summary)
    }
}

fn parse(bytes: &[u8]) -> Result<syn::File, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    syn::parse_file(text).map_err(|error| format!("line {}: {error}", error.span().start().line))
}

/// Fills a summary on its way through a syntax tree.
struct Counting<'a>(&'a mut Summary);

impl Counting<'_> {
    /// Its length goes from `fn` to the closing brace.
    fn function(&mut self, signature: &Signature, body: &Block) {
        self.0.functions += 1;
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        let lines = last - first + 1;
        if self.0.longest_function.as_ref().is_none_or(|longest| longest.lines < lines) {
            let name = signature.ident.to_string();
            self.0.longest_function = Some(LongestFunction { name, lines });
        }
    }

    fn import(&mut self, prefix: &str, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.import(&format!("{prefix}{}::", path.ident), &path.tree),
            UseTree::Name(name) => self.0.imports.push(format!("{prefix}{}", name.ident)),
            UseTree::Rename(rename) => self.0.imports.push(format!("{prefix}{}", rename.ident)),
            UseTree::Glob(_) => self.0.imports.push(format!("{prefix}*")),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Counting<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.types.structs += 1;
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.types.enums += 1;
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.0.types.unions += 1;
        visit::visit_item_union(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.types.traits += 1;
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.0.types.aliases += 1;
        visit::visit_item_type(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import("", &item.tree);
    }
}
