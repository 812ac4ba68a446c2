//! Every rule of `docs/semantics.md` has a test that names it, and every test that names a rule
//! names one that exists.
//!
//! A test names its rules in a comment line directly above its `#[test]`:
//!
//! ```text
//! // rule: K1, K2
//! #[test]
//! fn …
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_rule_has_a_test_and_every_marker_names_a_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/semantics.md")).unwrap();
    let mut problems = problems_of_page(&page);
    let rules: BTreeSet<String> = rule_ids(&page).into_iter().collect();
    assert!(!rules.is_empty(), "docs/semantics.md has no rules");

    let mut tested = BTreeSet::new();
    for file in rust_files(&["tests", "src", "crates"].map(|folder| root.join(folder))) {
        let source = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(root).unwrap().display().to_string();
        for marker in markers(&source) {
            problems.extend(marker.problems(&shown, &rules));
            tested.extend(marker.rules);
        }
    }
    problems.extend(rules.difference(&tested).map(|rule| format!("{rule} has no test")));
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Words before the rules of a marker, with what makes a line one.
const MARKER: &str = "// rule:";

/// A comment that says which rules the test below it checks.
#[derive(Debug, PartialEq, Eq)]
struct Marker {
    line: usize,
    rules: Vec<String>,
    above_a_test: bool,
}

impl Marker {
    fn problems(&self, file: &str, known: &BTreeSet<String>) -> Vec<String> {
        let place = format!("{file}:{}", self.line);
        let mut problems = Vec::new();
        if !self.above_a_test {
            problems.push(format!("{place}: the marker does not stand directly above a #[test]"));
        }
        if self.rules.is_empty() {
            problems.push(format!("{place}: the marker names no rule"));
        }
        let unknown = self.rules.iter().filter(|rule| !known.contains(*rule));
        problems.extend(unknown.map(|rule| format!("{place}: there is no rule {rule:?}")));
        problems
    }
}

fn markers(source: &str) -> Vec<Marker> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let marked = lines.iter().enumerate().filter_map(|(index, line)| {
        let rules = line.strip_prefix(MARKER)?;
        Some(Marker {
            line: index + 1,
            rules: rules
                .split(',')
                .map(|rule| rule.trim().to_owned())
                .filter(|r| !r.is_empty())
                .collect(),
            above_a_test: lines.get(index + 1) == Some(&"#[test]"),
        })
    });
    marked.collect()
}

/// The ids of lines such as `- **K1** A key is …`, in their order.
fn rule_ids(page: &str) -> Vec<String> {
    let ids = page.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    ids.map(|(id, _)| id.to_owned()).collect()
}

/// The ids of a section share a letter and count from 1.
fn problems_of_page(page: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut letters = BTreeSet::new();
    let mut expected = (' ', 0);
    for id in rule_ids(page) {
        let letter = id.chars().next().unwrap_or(' ');
        expected = if letter == expected.0 { (letter, expected.1 + 1) } else { (letter, 1) };
        if id != format!("{}{}", expected.0, expected.1) {
            problems.push(format!("{id:?} stands where {}{} is due", expected.0, expected.1));
        }
        if expected.1 == 1 && !letters.insert(letter) {
            problems.push(format!("the rules {letter} are in two places"));
        }
    }
    problems
}

/// All `.rs` files below `folders`.
fn rust_files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = folders.to_vec();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_marker_names_rules_and_stands_above_its_test() {
    let source = format!(
        "    {MARKER} K1, K2\n    #[test]\n    fn a() {{}}\n{MARKER} T9\nfn helper() {{}}\n{MARKER}\n#[test]\n"
    );
    let found = markers(&source);
    let known = BTreeSet::from(["K1".to_owned(), "K2".to_owned()]);
    let problems: Vec<Vec<String>> =
        found.iter().map(|marker| marker.problems("x.rs", &known)).collect();
    assert_eq!(found[0].rules, ["K1", "K2"]);
    assert_eq!(problems[0], [""; 0]);
    assert_eq!(
        problems[1],
        [
            "x.rs:4: the marker does not stand directly above a #[test]",
            "x.rs:4: there is no rule \"T9\"",
        ]
    );
    assert_eq!(problems[2], ["x.rs:6: the marker names no rule"]);
}

#[test]
fn rules_are_found_on_the_page_and_count_without_gaps() {
    assert_eq!(rule_ids("# K\n- **K1** one\n  more\n- K2 not one\n- **K2** two\n"), ["K1", "K2"]);
    assert_eq!(problems_of_page("- **K1** a\n- **K2** b\n- **T1** c\n"), [""; 0]);
    assert_eq!(problems_of_page("- **K1** a\n- **K3** b\n"), ["\"K3\" stands where K2 is due"]);
    assert_eq!(
        problems_of_page("- **K1** a\n- **T1** b\n- **K1** c\n"),
        ["the rules K are in two places"]
    );
}
