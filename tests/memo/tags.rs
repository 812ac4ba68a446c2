//! Results that are dropped together.

use crate::{Runs, on_both};
use disk_backed_cache::{DiskBackedCache, cached, memo};
use std::sync::Arc;
use std::time::Duration;

type Cache = DiskBackedCache<u32>;

#[cached(cache = "cache", key = "{user}/{number}", tag = "user:{user}", tag = kind, fixed_ttl = "1h")]
fn page(cache: &Cache, runs: &Runs, user: &str, number: u32, kind: Arc<str>) -> u32 {
    runs.one()
}

// rule: M7, M11
#[test]
fn all_results_with_a_tag_are_dropped_together() {
    on_both(|cache, _| {
        let runs = Runs::new();
        let calls = || {
            let call = |(user, number, kind)| page(cache, &runs, user, number, Arc::from(kind));
            [("ada", 1, "draft"), ("ada", 2, "final"), ("bob", 1, "draft")].map(call)
        };
        assert_eq!([calls(), calls()], [[1, 2, 3]; 2]);
        assert_eq!(cache.delete_tag("user:ada").unwrap(), 2);
        assert_eq!([calls(), calls()], [[4, 5, 3]; 2]);
        assert_eq!(cache.delete_tag("draft").unwrap(), 2);
        assert_eq!([calls(), calls()], [[6, 5, 7]; 2]);
        assert_eq!(cache.delete_tag("user:{user}").unwrap(), 0);
        assert_eq!(cache.ttl("ada/1").unwrap(), Some(Duration::from_secs(3_600)));
    });
}

// rule: M11
#[test]
fn default_caches_know_tags() {
    static RUNS: Runs = Runs::new();

    #[cached(tag = format!("default_caches_know_tags:{number}"))]
    fn double(number: u16) -> Option<u16> {
        RUNS.one();
        Some(2 * number)
    }

    assert_eq!([1, 2, 1, 2].map(double), [2, 4, 2, 4].map(Some));
    let cache = memo::default_cache::<u16>().unwrap();
    assert_eq!(cache.delete_tag("default_caches_know_tags:1").unwrap(), 1);
    assert_eq!([2, 1, 1].map(double), [4, 2, 2].map(Some));
    assert_eq!(RUNS.count(), 3);
}

// rule: M11
#[test]
fn a_call_that_is_answered_changes_no_tags() {
    #[cached(cache = "cache", key = "a", tag = "{tag}")]
    fn tagged(cache: &Cache, runs: &Runs, tag: &str) -> u32 {
        runs.one()
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!(["first", "second"].map(|tag| tagged(cache, &runs, tag)), [1, 1]);
        assert_eq!(["second", "first"].map(|tag| cache.delete_tag(tag).unwrap()), [0, 1]);
        assert_eq!(["second", "first"].map(|tag| tagged(cache, &runs, tag)), [2, 2]);
        assert_eq!(["first", "second"].map(|tag| cache.delete_tag(tag).unwrap()), [0, 1]);
    });
}

// rule: M11, J5
#[test]
fn a_result_whose_tag_is_deleted_meanwhile_is_not_kept() {
    #[cached(cache = "cache", key = "a", tag = "old")]
    fn deleted(cache: &Cache, runs: &Runs, tag: &str) -> u32 {
        cache.delete_tag(tag).unwrap();
        runs.one()
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!(
            ["old", "old", "new", "new"].map(|tag| deleted(cache, &runs, tag)),
            [1, 2, 3, 3]
        );
    });
}

// rule: M9, M11
#[test]
fn a_tag_that_is_none_keeps_nothing() {
    #[cached(cache = "cache", key = "a", tag = "{tag}")]
    fn tagged(cache: &Cache, runs: &Runs, tag: &str) -> u32 {
        runs.one()
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        let [longest, longer] = [256, 257].map(|characters| "é".repeat(characters));
        let call = |tag| tagged(cache, &runs, tag);
        assert_eq!(["", &longer, ""].map(call), [1, 2, 3]);
        assert!(cache.is_empty().unwrap());
        assert_eq!([&longest, "", &longest].map(call), [4, 5, 4], "what is kept stays");
    });
}
