use super::cached;
use quote::quote;

#[test]
fn a_renamed_crate_is_found_under_its_new_name_only() {
    let function = quote! {
        fn double(number: u32) -> u32 {
            number * 2
        }
    };
    let arguments = quote!(crate = "other::cache", ttl = "1h", switch = "a", result, option);
    let code = cached(arguments, function.clone()).unwrap().to_string();
    assert!(code.contains("other :: cache :: memo"), "{code}");
    assert!(!code.contains("disk_backed_cache"), "{code}");
    let code = cached(quote!(), function).unwrap().to_string();
    assert!(code.contains(":: disk_backed_cache :: memo"), "{code}");
}

#[test]
fn a_time_is_judged_when_the_program_is_compiled() {
    let function = quote!(
        fn answer() -> u32 {
            42
        }
    );
    let code = cached(quote!(fixed_ttl = "1min 500ms"), function).unwrap().to_string();
    assert!(
        code.contains("fixed_ttl (:: core :: time :: Duration :: new (60u64 , 500000000u32))"),
        "{code}"
    );
}

#[test]
fn all_mistakes_are_reported_together() {
    let arguments = quote!(
        ttl = "soon",
        fixed_ttl = 3,
        colour = "red",
        tag = "",
        result = true,
        key,
        switches = "A"
    );
    let function = quote! {
        const fn wrong(self, one: &mut u8, two: impl Copy, three: HashSet<u8>) -> impl Copy {}
    };
    let problems: Vec<String> =
        cached(arguments, function).unwrap_err().into_iter().map(|it| it.to_string()).collect();
    let expected = [
        "a `const` function",
        "a result that is `impl Trait`",
        "takes `&self`",
        "cannot change its arguments",
        "an `impl Trait` argument",
        "`ttl` must be a time",
        "`fixed_ttl` takes a time with its unit",
        "unknown key",
        "`tag` is empty",
        "`result` takes no value",
        "`key` takes a value, a format string",
        "`ttl` and `fixed_ttl` contradict",
        "`switches` needs `switch`",
        "a `HashSet` has no order",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem:?} is not about {expected:?}");
    }
}
