//! Nothing that a user gives becomes part of an SQL text: it is bound.

use super::sources::{Source, sources};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

const FOLDER: &str = "src/store/sqlite";

/// The one file that puts statements together.
const TEXTS: &str = "src/store/sqlite/sql.rs";

/// What it puts into them: a table's name, which is made of a number, and names of columns.
const PARTS: [&str; 5] = ["table", "tags", "meta", "end", "head"];

/// What a statement begins with.
const VERBS: [&str; 16] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "CREATE",
    "DROP",
    "ALTER",
    "PRAGMA",
    "ATTACH",
    "DETACH",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
];

/// Macros that make text of what they are given, with what that is.
#[derive(Default)]
struct Made {
    texts: Vec<String>,
    /// Types of what their makers are given.
    given: Vec<String>,
}

impl<'ast> Visit<'ast> for Made {
    fn visit_macro(&mut self, made: &'ast syn::Macro) {
        let name = made.path.segments.last().map(|segment| segment.ident.to_string());
        if matches!(name.as_deref(), Some("format" | "write" | "writeln" | "format_args")) {
            self.texts.push(literals(made.tokens.clone()).join(" "));
        }
        visit::visit_macro(self, made);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        for input in &function.sig.inputs {
            if let syn::FnArg::Typed(typed) = input
                && let syn::Type::Path(path) = &*typed.ty
            {
                self.given.extend(path.path.get_ident().map(ToString::to_string));
            }
        }
        visit::visit_impl_item_fn(self, function);
    }
}

fn literals(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Literal(literal) => found.push(literal.to_string()),
            TokenTree::Group(group) => found.extend(literals(group.stream())),
            _ => {}
        }
    }
    found
}

fn made_in(source: &Source) -> Made {
    let mut made = Made::default();
    made.visit_file(&source.syntax);
    made
}

/// Whether a literal is, or continues, a statement.
fn is_sql(text: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_ascii_uppercase());
    words.any(|word| VERBS.contains(&word) || ["FROM", "WHERE", "VALUES"].contains(&word))
}

/// The names between braces.
fn places(text: &str) -> Vec<&str> {
    let inside = text.split('{').skip(1);
    inside.filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

#[test]
fn statements_are_put_together_in_one_place_and_of_nothing_that_a_user_gave() {
    let mut statements = 0;
    for source in sources(FOLDER) {
        let made = made_in(&source);
        for text in made.texts.iter().filter(|text| is_sql(text)) {
            assert_eq!(source.path.to_str(), Some(TEXTS), "a statement is put together: {text}");
            let strange: Vec<_> =
                places(text).into_iter().filter(|place| !PARTS.contains(place)).collect();
            assert!(strange.is_empty(), "{strange:?} become part of {text}");
            statements += 1;
        }
        if source.path.to_str() == Some(TEXTS) {
            // The seed of the seals is kept beside the statements, and is a number too.
            let mut given = made.given.clone();
            given.retain(|given| given != "i64");
            assert_eq!(given, ["Seed"], "all that they are made of is numbers");
            assert!(source.text.contains("let table = format!(\"entries_{id}\");"));
            assert!(source.text.contains("let tags = format!(\"tags_{id}\");"));
            assert!(source.text.contains("let meta = meta_columns!();"));
            assert!(source.text.contains("let head = head!();"));
        }
    }
    assert!(statements > 5, "{statements} statements: where are they put together?");
}

#[test]
fn a_statement_with_anything_else_in_it_is_found() {
    let syntax =
        syn::parse_str("fn f(key: &str) { run(&format!(\"DELETE FROM t WHERE k = '{key}'\")); }");
    let mut made = Made::default();
    made.visit_file(&syntax.unwrap());
    assert!(is_sql(&made.texts[0]) && places(&made.texts[0]) == ["key"]);
    assert!(!is_sql("the file has format {format}"));
}
