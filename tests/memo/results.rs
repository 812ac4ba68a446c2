//! What of a result is kept, and who has it.

use crate::{Runs, at, on_both};
use disk_backed_cache::{DiskBackedCache, ManualClock, cached};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

type Cache<T> = DiskBackedCache<T>;

#[cached(cache = "cache", key = "{number}")]
fn square(cache: &Cache<u32>, runs: &Runs, number: u32) -> u32 {
    runs.one();
    number * number
}

// rule: M1
#[test]
fn a_call_that_was_made_before_does_not_run_again() {
    on_both(|cache, _| {
        let runs = Runs::new();
        for _ in 0..2 {
            assert_eq!([3, 4].map(|number| square(cache, &runs, number)), [9, 16]);
            cache.evict_memory();
        }
        assert_eq!((runs.count(), cache.get("3").unwrap().as_deref()), (2, Some(&9)));
    });
}

// rule: M1
#[test]
fn of_many_who_make_a_call_together_one_runs() {
    #[cached(cache = "cache", key = "a")]
    fn slow(cache: &Cache<u32>, runs: &Runs) -> u32 {
        runs.one()
    }

    on_both(|cache, _| {
        const THREADS: usize = 16;
        let (runs, ready) = (Runs::new(), Barrier::new(THREADS));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    ready.wait();
                    assert_eq!(slow(cache, &runs), 1);
                });
            }
        });
        assert_eq!((runs.count(), cache.stats().loads), (1, 1));
    });
}

// rule: M1
#[test]
fn a_panic_of_the_body_goes_on_in_its_caller_and_nothing_is_kept() {
    #[cached(cache = "cache", key = "a")]
    fn first_time_unlucky(cache: &Cache<u32>, runs: &Runs) -> u32 {
        assert!(runs.one() > 1, "unlucky");
        7
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        let call = || first_time_unlucky(cache, &runs);
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        assert_eq!((call(), call(), runs.count()), (7, 7, 2));
    });
}

// rule: M1
#[test]
fn what_is_shared_is_answered_as_it_is() {
    #[cached(cache = "cache", key = "a")]
    fn page(cache: &Cache<String>) -> Arc<String> {
        Arc::new("long".to_owned())
    }

    on_both(|cache, _| assert!(Arc::ptr_eq(&page(cache), &page(cache))));
}

// rule: M3
#[test]
fn errors_and_nothing_are_not_kept() {
    /// Its error can be neither cloned nor sent.
    #[cached(cache = "cache", key = "a")]
    fn may_fail(cache: &Cache<u32>, runs: &Runs) -> Result<u32, Rc<str>> {
        if runs.one() < 3 { Err("not yet".into()) } else { Ok(7) }
    }

    #[cached(cache = "cache", key = "b")]
    fn may_be_there(cache: &Cache<u32>, runs: &Runs) -> Option<u32> {
        (runs.one() > 2).then_some(7)
    }

    #[cached(cache = "cache", key = "c")]
    fn may_be_both(cache: &Cache<u32>, runs: &Runs) -> Result<Option<u32>, String> {
        match runs.one() {
            1 => Err("not yet".to_owned()),
            2 => Ok(None),
            _ => Ok(Some(7)),
        }
    }

    on_both(|cache, _| {
        let [one, two, three] = [Runs::new(), Runs::new(), Runs::new()];
        let calls = [0; 4].map(|_| may_fail(cache, &one).ok());
        assert_eq!((calls, one.count()), ([None, None, Some(7), Some(7)], 3));
        let calls = [0; 4].map(|_| may_be_there(cache, &two));
        assert_eq!((calls, two.count()), ([None, None, Some(7), Some(7)], 3));
        let calls = [0; 4].map(|_| may_be_both(cache, &three));
        let expected = [Err("not yet".to_owned()), Ok(None), Ok(Some(7)), Ok(Some(7))];
        assert_eq!((calls, three.count(), cache.len().unwrap()), (expected, 3, 3));
    });
}

// rule: M3
#[test]
fn what_has_expired_is_the_answer_in_the_place_of_what_is_not_kept() {
    #[cached(cache = "cache", key = "a")]
    fn may_fail(cache: &Cache<u32>, runs: &Runs) -> Result<u32, String> {
        if runs.one() == 2 { Err("the source is away".to_owned()) } else { Ok(runs.count()) }
    }

    #[cached(cache = "cache", key = "b")]
    fn may_be_there(cache: &Cache<u32>, runs: &Runs) -> Option<u32> {
        (runs.one() != 2).then_some(runs.count())
    }

    let clock = Arc::new(ManualClock::default());
    let cache = DiskBackedCache::builder()
        .clock(Arc::clone(&clock))
        .max_age(Duration::from_secs(10))
        .fail_safe(Duration::from_secs(10))
        .refresh_ahead(0.1)
        .stale_while_revalidate(Duration::from_secs(10))
        .open_in_memory()
        .unwrap();
    let [one, two] = [Runs::new(), Runs::new()];
    let calls = [0, 9, 11, 12, 12].map(|second| {
        clock.set(at(second));
        (may_fail(&cache, &one), may_be_there(&cache, &two))
    });
    let expected = [1, 1, 1, 3, 3].map(|number| (Ok(number), Some(number)));
    assert_eq!(calls, expected);
    assert_eq!((one.count(), cache.stats().stale_answers, cache.stats().refreshes), (3, 2, 0));
}

// rule: M3
#[test]
fn aliases_are_what_they_stand_for() {
    type Fallible<T> = Result<T, std::io::Error>;
    type Maybe = Option<u32>;

    #[cached(cache = "cache", key = "a")]
    fn may_fail(cache: &Cache<u32>, runs: &Runs) -> Fallible<u32> {
        if runs.one() == 1 { Err(std::io::Error::other("not yet")) } else { Ok(7) }
    }

    #[cached(cache = "cache", key = "b")]
    fn may_be_there(cache: &Cache<u32>, runs: &Runs) -> Maybe {
        (runs.one() > 1).then_some(7)
    }

    on_both(|cache, _| {
        let [one, two] = [Runs::new(), Runs::new()];
        assert_eq!([0; 3].map(|_| may_fail(cache, &one).ok()), [None, Some(7), Some(7)]);
        assert_eq!([0; 3].map(|_| may_be_there(cache, &two)), [None, Some(7), Some(7)]);
        assert_eq!((one.count(), two.count()), (2, 2));
    });
}

// rule: M4
#[test]
fn errors_and_nothing_are_kept_where_that_is_asked_for() {
    #[cached(cache = "cache", key = "a", result)]
    fn fails(cache: &Cache<Result<u32, String>>, runs: &Runs) -> Result<u32, String> {
        Err(format!("{}", runs.one()))
    }

    #[cached(cache = "cache", key = "a", option)]
    fn is_not_there(cache: &Cache<Option<u32>>, runs: &Runs) -> Option<u32> {
        runs.one();
        None
    }

    on_both(|cache, _| {
        let runs = Runs::new();
        let calls = [0; 2].map(|_| fails(cache, &runs));
        assert_eq!(calls, [Err("1".to_owned()), Err("1".to_owned())]);
    });
    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!([0; 2].map(|_| is_not_there(cache, &runs)), [None, None]);
        assert_eq!((runs.count(), cache.len().unwrap()), (1, 1));
    });
}

/// What a function may answer that has both.
fn both(turn: u32) -> Result<Option<u32>, String> {
    match turn {
        1 => Ok(None),
        2 => Err("gone".to_owned()),
        _ => Ok(Some(turn)),
    }
}

// rule: M4
#[test]
fn of_a_result_of_an_option_each_is_asked_for_alone() {
    #[cached(cache = "cache", key = "a", result)]
    fn keeps_errors(
        cache: &Cache<Result<u32, String>>,
        runs: &Runs,
    ) -> Result<Option<u32>, String> {
        both(runs.one())
    }

    #[cached(cache = "cache", key = "a", option)]
    fn keeps_nothing(cache: &Cache<Option<u32>>, runs: &Runs) -> Result<Option<u32>, String> {
        both(runs.one() % 2 + 1)
    }

    #[cached(cache = "cache", key = "a", result, option)]
    fn keeps_both(
        cache: &Cache<Result<Option<u32>, String>>,
        runs: &Runs,
    ) -> Result<Option<u32>, String> {
        both(runs.one())
    }

    let gone = || Err("gone".to_owned());
    on_both(|cache, _| {
        let runs = Runs::new();
        let calls = [0; 3].map(|_| keeps_errors(cache, &runs));
        assert_eq!(calls, [Ok(None), gone(), gone()]);
        cache.clear().unwrap();
        assert_eq!([0; 2].map(|_| keeps_errors(cache, &runs)), [Ok(Some(3)), Ok(Some(3))]);
    });
    on_both(|cache, _| {
        let runs = Runs::new();
        let calls = [0; 3].map(|_| keeps_nothing(cache, &runs));
        assert_eq!(calls, [gone(), Ok(None), Ok(None)]);
    });
    on_both(|cache, _| {
        let runs = Runs::new();
        assert_eq!([0; 2].map(|_| keeps_both(cache, &runs)), [Ok(None), Ok(None)]);
        cache.clear().unwrap();
        assert_eq!([0; 2].map(|_| keeps_both(cache, &runs)), [gone(), gone()]);
    });
}
