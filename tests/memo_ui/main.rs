//! What `#[cached]` accepts, what it does not, and what the compiler says about it.

// rule: M4, M5, M6
#[test]
fn accepted_functions_compile_and_mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/memo_ui/pass/*.rs");
    cases.compile_fail("tests/memo_ui/fail/*.rs");
}
