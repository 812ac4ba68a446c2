//! R5: eviction is exact although hits write nothing to the file.

use crate::support::{at, on_both, text};
use disk_backed_cache::Builder;

/// Six entries, of which all but `lonely` are used again in an order of their own, then six more
/// puts: each must push out the least recently used.
fn evicts_in_order_of_use(settings: fn(Builder<String>) -> Builder<String>) {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| settings(b).disk_entries(6));
        for (second, key) in (1..).zip(["a", "b", "c", "d", "e", "lonely"]) {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        let used = ["d", "a", "e", "c", "b"];
        for (second, key) in (11..).zip(used) {
            cache.at(at(second)).get(key).unwrap();
        }
        for (second, victim) in (21..).zip(["lonely"].into_iter().chain(used)) {
            assert!(cache.at(at(second)).contains_key(victim).unwrap(), "{victim} is still there");
            cache.at(at(second)).put(&format!("new {second}"), text(5)).unwrap();
            assert!(!cache.at(at(second)).contains_key(victim).unwrap(), "{victim} goes next");
        }
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: R5, D5
#[test]
fn with_everything_in_memory() {
    evicts_in_order_of_use(|b| b);
}

// rule: R5, D5
#[test]
fn with_entries_that_have_left_memory_since_they_were_used() {
    evicts_in_order_of_use(|b| b.memory_entries(2));
}

// rule: R5, D3, D5
#[test]
fn with_entries_that_never_were_in_memory() {
    evicts_in_order_of_use(|b| b.memory_entries(0));
    evicts_in_order_of_use(|b| b.max_item_size(1));
}

// rule: R5
#[test]
fn an_older_explicit_put_goes_before_everything_younger() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(2).disk_entries(3));
        for (second, key) in [(10, "a"), (20, "b"), (30, "c")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        // `c` was the youngest and becomes the oldest.
        cache.at(at(5)).put("c", text(5)).unwrap();
        cache.at(at(40)).put("d", text(5)).unwrap();
        let kept = ["a", "b", "c", "d"].map(|key| cache.contains_key(key).unwrap());
        assert_eq!(kept, [true, true, false, true]);
    });
}

// rule: R5, D5
#[test]
fn a_thousand_corrections_in_one_eviction_are_as_exact_as_one() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_entries(500).disk_entries(1_500));
        let key = |number: i64| format!("{number:04}");
        cache.at(at(0)).put_many((0..1_500).map(|number| (key(number), 0))).unwrap();
        // Used from the last to the first, all but the one in the middle.
        for number in (0..1_500).rev().filter(|number| *number != 750) {
            cache.at(at(2_000 - number)).get(&key(number)).unwrap();
        }
        cache.at(at(5_000)).put("new", 1).unwrap();
        assert!(!cache.contains_key(&key(750)).unwrap());
        cache.at(at(5_000)).put("newer", 1).unwrap();
        assert!(!cache.contains_key(&key(1_499)).unwrap());
        assert_eq!((cache.len().unwrap(), cache.stats().disk_evictions), (1_500, 2));
    });
}
