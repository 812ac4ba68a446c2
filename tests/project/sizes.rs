//! Files and functions stay small enough to be read at one go.

use super::sources::sources;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const MOST_LINES_OF_A_FILE: usize = 500;
const MOST_LINES_OF_A_FUNCTION: usize = 70;

const FOLDERS: [&str; 6] = ["src", "tests", "benches", "examples", "crates", "fuzz"];

#[test]
fn no_file_is_much_over_500_lines() {
    let mut long = Vec::new();
    for source in FOLDERS.into_iter().flat_map(sources) {
        let lines = source.text.lines().count();
        if lines > MOST_LINES_OF_A_FILE {
            long.push(format!("{}: {lines} lines", source.path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_function_is_over_70_lines() {
    let mut long = Vec::new();
    for source in FOLDERS.into_iter().flat_map(sources) {
        let mut functions = Functions::default();
        functions.visit_file(&source.syntax);
        for (name, lines) in functions.long {
            long.push(format!("{}: {name} has {lines} lines", source.path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[derive(Default)]
struct Functions {
    long: Vec<(String, usize)>,
}

impl Functions {
    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        if lines > MOST_LINES_OF_A_FUNCTION {
            self.long.push((name.to_string(), lines));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig.ident, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
