//! Nothing that a user gives becomes part of an SQL text: it is bound.

use super::sources::sources;
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FOLDER: &str = "src/store";

/// The one file that puts statements together. Its functions are given numbers, and it knows nothing else.
const TEXTS: &str = "src/store/sqlite/sql.rs";

/// What its functions may be given.
const NUMBERS: [&str; 2] = ["i64", "Seed"];

/// What it puts into statements, and the one thing that each of these names stands for.
const PARTS: [(&str, &str); 5] = [
    ("table", "format!(\"entries_{id}\")"),
    ("tags", "format!(\"tags_{id}\")"),
    ("meta", "meta_columns!()"),
    ("head", "head!()"),
    ("end", "END"),
];

/// What tables are called, before their number.
const TABLES: [&str; 2] = ["entries_", "tags_"];

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

/// Methods that put texts together. (Those that lists have too under the same name are left out.)
const JOINS: [&str; 8] = [
    "push_str",
    "insert_str",
    "write_str",
    "concat",
    "join",
    "replace",
    "replacen",
    "replace_range",
];

/// Methods that are given a statement, with how many arguments they have then. (Pragmas are not among
/// them: `rusqlite` takes no name for one that is not a word, and quotes the value.)
const RUNS: [(&str, usize); 6] = [
    ("prepare", 1),
    ("prepare_cached", 1),
    ("execute_batch", 1),
    ("execute", 2),
    ("query_row", 3),
    ("query_one", 3),
];

/// Functions that hand on a statement which they are given, second, so that their callers are looked at.
const HAND_ON: [&str; 4] = ["run", "findings", "is_sound", "expect_sound"];

/// Where a statement is a function's argument: these hand it on, and the last is given `sql.update` or
/// `sql.rewrite`.
const GIVEN: [(&str, &str, &str); 6] = [
    ("transaction.rs", "run", "statement"),
    ("check.rs", "run", "check"),
    ("check.rs", "findings", "check"),
    ("check.rs", "is_sound", "check"),
    ("check.rs", "expect_sound", "check"),
    ("apply.rs", "write_over", "statement"),
];

/// What a file has that it must not have.
#[derive(Default)]
struct Judge {
    path: String,
    function: String,
    in_tests: bool,
    /// How many statements are put together.
    statements: usize,
    wrong: Vec<String>,
}

impl Judge {
    fn of(path: &str, syntax: &syn::File) -> Self {
        let in_tests = ["/tests.rs", "/models.rs"].iter().any(|end| path.ends_with(end));
        let mut judge = Self { path: path.to_owned(), in_tests, ..Self::default() };
        judge.visit_file(syntax);
        judge
    }

    fn is_of_texts(&self) -> bool {
        self.path == TEXTS
    }

    fn refuse(&mut self, why: &str, what: &impl Spanned) {
        let Self { path, function, .. } = self;
        self.wrong.push(format!("{path}, {function}: {why}: {}", text_of(what)));
    }

    fn judge_format(&mut self, made: &syn::Macro) {
        self.statements += 1;
        if !self.is_of_texts() {
            return self.refuse("a statement is put together elsewhere", made);
        }
        let tokens: Vec<_> = made.tokens.clone().into_iter().collect();
        let [TokenTree::Literal(text)] = &tokens[..] else {
            return self.refuse("a statement is given more than names", made);
        };
        for (before, place) in places(&text.to_string()) {
            let is_fit = if TABLES.iter().any(|table| before.ends_with(table)) {
                place == "id"
            } else {
                PARTS.iter().any(|(part, _)| *part == place)
            };
            if !is_fit {
                self.refuse(&format!("{place:?} becomes part of a statement"), made);
            }
        }
    }

    /// Of what is run, only the texts of one file and what stands there as it is.
    fn judge_run(&mut self, statement: &syn::Expr) {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        let given = GIVEN.contains(&(file, &self.function, &text_of(statement)));
        if !(self.in_tests || given || is_known(statement)) {
            self.refuse("nobody knows what is run", statement);
        }
    }

    /// A function that has a statement in it joins no texts; where statements are made, it joins none to one
    /// that stands there.
    fn judge_body(&mut self, body: &syn::Block) {
        if self.in_tests {
            return;
        }
        let mut found = Joined { of_texts: self.is_of_texts(), ..Joined::default() };
        found.visit_block(body);
        if found.of_texts || found.has_statement {
            for join in found.joins {
                self.wrong.push(format!("{}, {}: joined: {join}", self.path, self.function));
            }
        }
    }

    fn in_function(&mut self, function: &syn::Ident, judge: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.function, function.to_string());
        judge(self);
        self.function = outer;
    }
}

impl<'ast> Visit<'ast> for Judge {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg") && text_of(attribute).contains("test")
        };
        let outer = self.in_tests;
        self.in_tests |= module.attrs.iter().any(is_test);
        visit::visit_item_mod(self, module);
        self.in_tests = outer;
    }

    fn visit_macro(&mut self, made: &'ast syn::Macro) {
        let name = made.path.segments.last().map(|segment| segment.ident.to_string());
        let name = name.unwrap_or_default();
        let has_sql = literals(&made.tokens).iter().any(|text| is_sql(text));
        let words = words(&made.tokens);
        if !self.in_tests && words.iter().any(|word| RUNS.iter().any(|(run, _)| word == run)) {
            self.refuse("run where nobody sees it", made);
        }
        match &*name {
            "format" | "write" | "writeln" | "format_args" if has_sql => self.judge_format(made),
            "concat" if has_sql => self.refuse("joined", made),
            "format" | "include_str" | "meta_columns" | "head" => {}
            "macro_rules" if words.is_empty() => {}
            _ if self.is_of_texts() => self.refuse("a macro of another kind", made),
            _ => {}
        }
        visit::visit_macro(self, made);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if !self.is_of_texts() {
            return visit::visit_signature(self, signature);
        }
        for input in &signature.inputs {
            let is_number = matches!(
                input,
                syn::FnArg::Typed(typed) if NUMBERS.contains(&&*text_of(&typed.ty))
            );
            if !is_number {
                self.refuse("given what is no number", input);
            }
        }
        if !signature.generics.params.is_empty() {
            self.refuse("given who knows what", signature);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.in_function(&function.sig.ident, |judge| {
            judge.judge_body(&function.block);
            visit::visit_item_fn(judge, function);
        });
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.in_function(&function.sig.ident, |judge| {
            judge.judge_body(&function.block);
            visit::visit_impl_item_fn(judge, function);
        });
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if let (syn::Pat::Ident(name), Some(init)) = (&local.pat, &local.init)
            && PARTS.contains(&(&*name.ident.to_string(), &*text_of(&init.expr)))
        {
            return visit::visit_expr(self, &init.expr);
        }
        visit::visit_local(self, local);
    }

    fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
        let is_part = name.ident == "id" || PARTS.iter().any(|(part, _)| name.ident == part);
        if self.is_of_texts() && is_part {
            self.refuse("a part of statements is something else", name);
        }
        visit::visit_pat_ident(self, name);
    }

    fn visit_item_use(&mut self, used: &'ast syn::ItemUse) {
        if self.is_of_texts() && text_of(used) != "use super::row::Seed;" {
            self.refuse("knows something else", used);
        }
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        if self.is_of_texts() {
            self.refuse("knows something else", item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let first = path.segments.first().map(|segment| segment.ident.to_string());
        if self.is_of_texts() && matches!(first.as_deref(), Some("super" | "crate" | "std")) {
            self.refuse("knows something else", path);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if RUNS.contains(&(&*call.method.to_string(), call.args.len())) {
            self.judge_run(&call.args[0]);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func
            && let Some(name) = function.path.segments.last()
            && HAND_ON.contains(&&*name.ident.to_string())
            && call.args.len() == 2
        {
            self.judge_run(&call.args[1]);
        }
        visit::visit_expr_call(self, call);
    }
}

/// Whether a function has a statement in it, and what it puts together.
#[derive(Default)]
struct Joined {
    /// Whether only what has a statement in itself counts.
    of_texts: bool,
    has_statement: bool,
    joins: Vec<String>,
}

impl Joined {
    fn note(&mut self, join: &syn::Expr) {
        let mut inside = Self::default();
        visit::visit_expr(&mut inside, join);
        if inside.has_statement || !self.of_texts {
            self.joins.push(text_of(join));
        }
    }
}

impl<'ast> Visit<'ast> for Joined {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        let joins = match expression {
            syn::Expr::Binary(binary) => {
                matches!(binary.op, syn::BinOp::Add(_) | syn::BinOp::AddAssign(_))
            }
            syn::Expr::MethodCall(call) => JOINS.contains(&&*call.method.to_string()),
            _ => false,
        };
        if joins {
            self.note(expression);
        }
        visit::visit_expr(self, expression);
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.has_statement |= is_sql(&text.value());
    }

    fn visit_macro(&mut self, made: &'ast syn::Macro) {
        self.has_statement |= literals(&made.tokens).iter().any(|text| is_sql(text));
    }
}

/// Whether a statement stands there as it is, or is one of those that are made in one place.
fn is_known(statement: &syn::Expr) -> bool {
    match statement {
        syn::Expr::Lit(_) => true,
        syn::Expr::Reference(reference) => is_known(&reference.expr),
        syn::Expr::Path(path) => {
            path.path.segments.len() == 2 && path.path.segments[0].ident == "sql"
        }
        syn::Expr::Field(field) => {
            let of = text_of(&field.base);
            let named = ["sql", "sql.tags"];
            named.contains(&&*of)
                || named.iter().any(|name| of.ends_with(&format!(".{name}")))
                || of.starts_with("Sql::new(")
        }
        _ => false,
    }
}

fn text_of(part: &impl Spanned) -> String {
    part.span().source_text().unwrap_or_default()
}

fn literals(tokens: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Literal(literal) => found.push(literal.to_string()),
            TokenTree::Group(group) => found.extend(literals(&group.stream())),
            _ => {}
        }
    }
    found
}

fn words(tokens: &TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(word) => found.push(word.to_string()),
            TokenTree::Group(group) => found.extend(words(&group.stream())),
            _ => {}
        }
    }
    found
}

/// Whether a literal is, or continues, a statement, or is the name of a table.
fn is_sql(text: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_ascii_uppercase());
    TABLES.iter().any(|table| text.contains(table))
        || words.any(|word| VERBS.contains(&word) || ["FROM", "WHERE", "VALUES"].contains(&word))
}

/// What comes before each name between braces, and the name.
fn places(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut before = text;
    while let Some((left, rest)) = before.split_once('{') {
        let (name, right) = rest.split_once('}').unwrap_or((rest, ""));
        found.push((left, name));
        before = right;
    }
    found
}

#[test]
fn statements_are_put_together_in_one_place_and_of_nothing_that_a_user_gave() {
    let mut statements = 0;
    for source in sources(FOLDER) {
        let judge = Judge::of(source.path.to_str().unwrap(), &source.syntax);
        assert!(judge.wrong.is_empty(), "{:#?}", judge.wrong);
        statements += judge.statements;
    }
    assert!(statements > 5, "{statements} statements: where are they put together?");
}

/// Expects that what is wrong with each of these is found, if a file at `path` has it.
fn expect_found(path: &str, planted: &[(&str, &str)]) {
    for (why, code) in planted {
        let judge = Judge::of(path, &syn::parse_str(code).unwrap());
        assert!(judge.wrong.iter().any(|wrong| wrong.contains(why)), "{code}: {:?}", judge.wrong);
    }
}

#[test]
fn a_statement_with_anything_else_in_it_is_found() {
    let planted = [
        ("elsewhere", "fn f(key: &str) { run(&format!(\"DELETE FROM t WHERE k = '{key}'\")); }"),
        ("elsewhere", "fn f(name: &str) -> String { format!(\"entries_{name}\") }"),
        ("joined", "fn f(key: &str) -> String { \"DELETE FROM \".to_owned() + key }"),
        ("joined", "fn f(key: &str) { let mut t = String::from(\"DROP TABLE \"); t += key; }"),
        ("joined", "fn f(key: &str) { let mut t = String::from(\"DROP \"); t.push_str(key); }"),
        ("joined", "fn f(key: &str) -> String { [\"DROP TABLE \", key].concat() }"),
        ("joined", "fn f(key: &str) -> String { \"DELETE FROM ?\".replace('?', key) }"),
        ("joined", "const T: &str = concat!(\"DROP TABLE \", env!(\"TABLE\"));"),
        ("is run", "fn f(c: &C, key: &str) { c.prepare(key); }"),
        ("is run", "fn f(c: &C, key: &str) { c.execute(&key.to_lowercase(), []); }"),
        ("is run", "fn f(c: &C, key: &str) { check::is_sound(c, key); }"),
        ("is run", "impl S { fn f(&self) { c.query_row(&self.name, [], get); } }"),
        ("is run", "fn f(c: &C) { c.prepare(&concat_all(sql, key)); }"),
        ("nobody sees", "fn f(c: &C, key: &str) { traced!(c.execute_batch(key)); }"),
        ("is run", "fn f(c: &C, row: &Row) { c.execute_batch(&row.tags.text); }"),
    ];
    expect_found("src/store/sqlite/tags.rs", &planted);
    assert!(!is_sql("the file has format {format}"));
}

#[test]
fn a_statement_that_is_made_of_anything_but_numbers_is_found() {
    let planted = [
        ("no number", "fn create_table(name: &str) -> String { String::new() }"),
        ("no number", "impl Sql { pub fn new(id: i64, name: String) -> Self { Self } }"),
        ("no number", "impl Sql { fn text(&self) -> String { self.name.clone() } }"),
        ("who knows", "fn f<Seed: Display>(id: Seed) -> String { format!(\"entries_{id}\") }"),
        ("\"name\"", "fn f() -> String { format!(\"entries_{name}\") }"),
        ("\"key\"", "fn f() -> String { format!(\"DELETE FROM {table} WHERE key = {key}\") }"),
        ("\"\"", "fn f() -> String { format!(\"DROP TABLE {}\") }"),
        ("more than names", "fn f() -> String { format!(\"DROP TABLE {table}\", table = key) }"),
        ("something else", "fn f() { let table = format!(\"{name}\"); }"),
        ("something else", "fn f() { names.map(|id| format!(\"entries_{id}\")); }"),
        ("something else", "use crate::key::Key;"),
        ("something else", "fn f() -> String { super::name() }"),
        ("something else", "static NAME: Mutex<String> = Mutex::new(String::new());"),
        ("another kind", "macro_rules! head { () => { NAME }; }"),
        ("joined", "fn f() -> String { \"DELETE FROM \".to_owned() + &name }"),
    ];
    expect_found(TEXTS, &planted);
}
