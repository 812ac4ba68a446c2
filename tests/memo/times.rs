//! How long results are kept.

use crate::{Runs, at, on_both};
use disk_backed_cache::{DiskBackedCache, cached};
use std::time::Duration;

#[cached(cache = "cache", key = "sliding", ttl = "1min 30s")]
fn sliding(cache: &DiskBackedCache<u32>, runs: &Runs) -> u32 {
    runs.one()
}

#[cached(cache = "cache", key = "fixed", fixed_ttl = Duration::from_secs(90))]
fn fixed(cache: &DiskBackedCache<u32>, runs: &Runs) -> u32 {
    runs.one()
}

// rule: M7
#[test]
fn a_result_lives_as_long_as_the_function_says() {
    on_both(|cache, clock| {
        let [one, two] = [Runs::new(), Runs::new()];
        let calls = [0, 90, 180, 271].map(|second| {
            clock.set(at(second));
            (sliding(cache, &one), fixed(cache, &two))
        });
        assert_eq!(calls, [(1, 1), (1, 1), (1, 2), (2, 3)]);
        assert_eq!(cache.ttl("fixed").unwrap(), Some(Duration::from_secs(90)));
    });
}

// rule: M7, M9
#[test]
fn a_time_that_makes_no_sense_keeps_nothing() {
    #[cached(cache = "cache", key = "a", ttl = time)]
    fn timed(cache: &DiskBackedCache<u32>, runs: &Runs, time: Duration) -> u32 {
        runs.one()
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!([0; 2].map(|_| timed(cache, &runs, Duration::ZERO)), [1, 2]);
        assert_eq!([0; 2].map(|_| timed(cache, &runs, Duration::MAX)), [3, 3]);
    });
}
