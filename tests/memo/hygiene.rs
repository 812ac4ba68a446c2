//! Whatever the caller's names are, the expansion's are others.

use crate::Runs;
use std::fmt::Debug;

/// Under another name, as a dependency that is renamed.
mod renamed {
    pub use disk_backed_cache as cache;
}

/// Everything that an expansion could have named plainly.
#[expect(dead_code, reason = "they are here to be taken for others")]
mod shadowed {
    pub struct Result;
    pub struct Option;
    pub struct String;
    pub struct Duration;
    pub struct Arc;
    pub struct Key;
    pub struct Kind;
    pub struct PutOptions;
    pub struct Box;
    pub struct Vec;
    #[expect(non_snake_case, reason = "as the variant is")]
    pub fn Some() {}
    #[expect(non_snake_case, reason = "as the variant is")]
    pub fn Ok() {}
    #[expect(non_upper_case_globals, reason = "as the variant is")]
    pub const None: () = ();
    #[expect(non_upper_case_globals, reason = "as the variant is")]
    pub const Err: () = ();
    pub mod std {}
    pub mod core {}
    pub mod disk_backed_cache {}
    pub trait AsRef {}

    use super::renamed;

    #[renamed::cache::cached(
        crate = "renamed::cache",
        ttl = "1h",
        tag = "{number}",
        if = true,
        switch = "shadowed"
    )]
    pub fn plain(number: u32) -> ::core::option::Option<u32> {
        ::core::option::Option::Some(number)
    }

    #[renamed::cache::cached(crate = "renamed::cache", key = "shadowed {number}")]
    pub fn fallible(number: u32) -> ::core::result::Result<u32, ::std::string::String> {
        ::core::result::Result::Ok(number)
    }
}

// rule: M1
#[test]
fn a_renamed_crate_and_shadowed_names_do_no_harm() {
    assert_eq!([0; 2].map(|_| shadowed::plain(1)), [Some(1), Some(1)]);
    assert_eq!([0; 2].map(|_| shadowed::fallible(1)), [Ok(1), Ok(1)]);
}

/// It has the attributes and the documentation that it had.
#[disk_backed_cache::cached]
#[must_use = "it is expensive"]
#[expect(clippy::too_many_arguments, reason = "each has another name of ours")]
#[inline(never)]
fn named_like_ours(
    asked: u8,
    options: u8,
    body: u8,
    kind: u8,
    outcome: u8,
    key: u8,
    cache: u8,
    argument_0: u8,
    (a, [b, ..]): (u8, [u8; 2]),
    mut sum: u32,
    _: u8,
    _unused: u8,
    ref reference: u32,
) -> u32 {
    for one in [asked, options, body, kind, outcome, key, cache, argument_0, a, b] {
        sum += u32::from(one);
    }
    sum + *reference
}

// rule: M1
#[test]
fn arguments_have_any_names_and_patterns() {
    for _ in 0..2 {
        let sum = named_like_ours(1, 1, 1, 1, 1, 1, 1, 1, (1, [1, 5]), 10, 0, 0, 3);
        assert_eq!(sum, 23);
    }
    assert_eq!(named_like_ours(1, 1, 1, 1, 1, 1, 1, 1, (1, [1, 5]), 10, 1, 0, 4), 24);
}

static RUNS: Runs = Runs::new();

struct Holder<'h, T>(&'h [T]);

impl<'h, T> Holder<'h, T>
where
    T: serde::Serialize + Debug,
{
    #[disk_backed_cache::cached]
    fn joined<'a, const N: usize, U>(&self, others: &'a [U; N]) -> Result<String, std::fmt::Error>
    where
        U: serde::Serialize + Debug,
        [U; N]: serde::Serialize,
        'h: 'a,
    {
        use std::fmt::Write;
        RUNS.one();
        let mut text = String::new();
        for one in self.0 {
            write!(text, "{one:?}")?;
        }
        if N == 0 {
            return Ok(text);
        }
        write!(text, "{others:?}")?;
        Ok(text)
    }
}

impl<T: serde::Serialize> serde::Serialize for Holder<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

// rule: M1
#[test]
fn generics_and_early_returns_are_kept() {
    for _ in 0..2 {
        assert_eq!(Holder(&[1, 2]).joined(&['a']).unwrap(), "12['a']");
        assert_eq!(Holder(&["1"]).joined::<0, u8>(&[]).unwrap(), "\"1\"");
    }
    assert_eq!(RUNS.count(), 2);
}

// rule: M1
#[test]
fn a_function_may_call_itself() {
    #[disk_backed_cache::cached]
    fn fibonacci(number: u64) -> u64 {
        if number < 2 { number } else { fibonacci(number - 1) + fibonacci(number - 2) }
    }

    assert_eq!(fibonacci(80), 23_416_728_348_467_685);
}
