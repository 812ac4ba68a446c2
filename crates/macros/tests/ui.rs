//! What compiles, what does not, and what the compiler says about it.

#[test]
fn accepted_inputs_compile_and_mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
