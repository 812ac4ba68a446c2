//! Calls that are not cached, and caches that fail.

use crate::{Runs, on_both};
use disk_backed_cache::{CacheFile, DiskBackedCache, cached, memo};

type Cache<T> = DiskBackedCache<T>;

// rule: M8
#[test]
fn a_call_is_cached_only_where_the_condition_holds() {
    #[cached(cache = "cache", key = "a", if = "*number > 2")]
    fn large(cache: &Cache<u32>, runs: &Runs, number: &u32) -> u32 {
        runs.one() * number
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!([1, 1, 3, 3].map(|number| large(cache, &runs, &number)), [1, 2, 9, 9]);
        assert_eq!(large(cache, &runs, &1), 4, "what is kept is not looked at either");
    });
}

// rule: M8
#[test]
fn a_flag_in_a_cache_turns_caching_off_for_all_who_share_its_file() {
    #[cached(
        cache = "cache",
        key = "a",
        if = wanted,
        switch = "{name}-is-cached",
        switches = "switches"
    )]
    fn switched(
        cache: &Cache<u32>,
        switches: &Cache<bool>,
        name: &str,
        wanted: bool,
        runs: &Runs,
    ) -> u32 {
        runs.one()
    }

    let folder = tempfile::tempdir().unwrap();
    let file = CacheFile::open(folder.path().join("cache.db")).unwrap();
    let open = || Cache::<bool>::builder().collection("switches").open_in(&file).unwrap();
    let cache = Cache::builder().open_in(&file).unwrap();
    let (switches, runs) = (open(), Runs::new());
    let call = |wanted| switched(&cache, &switches, "this", wanted, &runs);
    assert_eq!([call(true), call(true), call(false), call(true)], [1, 1, 2, 1]);
    open().put("this-is-cached", false).unwrap();
    assert_eq!([call(true), call(true)], [3, 4]);
    open().put("this-is-cached", true).unwrap();
    assert_eq!([call(true), call(false)], [1, 5]);
    switches.close().unwrap();
    assert_eq!(call(true), 6, "nobody knows");
}

// rule: M8
#[test]
fn flags_have_a_place_where_none_is_named() {
    static RUNS: Runs = Runs::new();

    #[cached(switch = "flags_have_a_place")]
    fn switched() -> u32 {
        RUNS.one()
    }

    assert_eq!([switched(), switched()], [1, 1]);
    memo::switches().unwrap().put("flags_have_a_place", false).unwrap();
    assert_eq!([switched(), switched()], [2, 3]);
    memo::switches().unwrap().delete("flags_have_a_place").unwrap();
    assert_eq!(switched(), 1);
}

// rule: M9
#[test]
fn a_cache_that_fails_is_no_failure_of_the_function() {
    #[cached(cache = "cache", key = "{number}")]
    fn number(cache: &Cache<u32>, runs: &Runs, number: u32) -> Result<u32, String> {
        runs.one();
        if number == 0 { Err("zero".to_owned()) } else { Ok(number) }
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!(number(cache, &runs, 1), Ok(1));
        cache.close().unwrap();
        let calls = [1, 1, 0].map(|argument| number(cache, &runs, argument));
        assert_eq!((calls, runs.count()), ([Ok(1), Ok(1), Err("zero".to_owned())], 4));
    });
}

// rule: M9
#[test]
fn what_cannot_be_stored_is_the_answer_all_the_same() {
    #[cached(cache = "cache", key = "a")]
    fn large(cache: &Cache<String>, runs: &Runs) -> String {
        runs.one();
        "x".repeat(100)
    }

    let cache = Cache::builder().disk_bytes(50).open_in_memory().unwrap();
    let runs = Runs::new();
    assert_eq!([large(&cache, &runs), large(&cache, &runs)].map(|text| text.len()), [100, 100]);
    assert_eq!((runs.count(), cache.len().unwrap()), (2, 0));
}
