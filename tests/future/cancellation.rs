//! A4: futures that are dropped after every number of polls.

use crate::{eventually, in_memory, on_both, polled_at_most};
use disk_backed_cache::{AsyncDiskBackedCache, Timestamp};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use tokio::task::yield_now;

type Cache = AsyncDiskBackedCache<u32>;
type Done<'c> = Pin<Box<dyn Future<Output = ()> + Send + 'c>>;

/// An operation, on a cache with `a` as 1 on disk.
struct Operation {
    name: &'static str,
    run: fn(&Cache) -> Done<'_>,
    /// The value of `a` afterwards.
    leaves: Option<u32>,
    /// Whether it is done to its end once it was polled.
    is_whole: bool,
}

const OPERATIONS: [Operation; 8] = [
    Operation {
        name: "get",
        run: |cache| Box::pin(async move { drop(cache.get("a").await.unwrap()) }),
        leaves: Some(1),
        is_whole: true,
    },
    Operation {
        name: "put",
        run: |cache| Box::pin(async move { cache.put("a", 2).await.unwrap() }),
        leaves: Some(2),
        is_whole: true,
    },
    Operation {
        name: "delete",
        run: |cache| Box::pin(async move { assert!(cache.delete("a").await.unwrap()) }),
        leaves: None,
        is_whole: true,
    },
    Operation {
        name: "take",
        run: |cache| Box::pin(async move { drop(cache.take("a").await.unwrap()) }),
        leaves: None,
        is_whole: true,
    },
    Operation {
        name: "clear",
        run: |cache| Box::pin(async move { cache.clear().await.unwrap() }),
        leaves: None,
        is_whole: true,
    },
    Operation {
        name: "update_with",
        run: |cache| {
            Box::pin(async move {
                let update = |there: Option<&u32>| there.map(|number| number + 1);
                drop(cache.update_with("a", update).await.unwrap());
            })
        },
        leaves: Some(2),
        is_whole: false,
    },
    Operation {
        name: "get_or_insert_with, and finds",
        run: |cache| {
            Box::pin(async move {
                drop(cache.get_or_insert_with("a", async || 9_u32).await.unwrap());
            })
        },
        leaves: Some(1),
        is_whole: true,
    },
    Operation {
        name: "get_or_insert_with, and loads",
        run: |cache| {
            Box::pin(async move {
                let load = async || {
                    yield_now().await;
                    9_u32
                };
                drop(cache.at(LATER).get_or_insert_with("b", load).await.unwrap());
            })
        },
        leaves: Some(1),
        is_whole: true,
    },
];

const LATER: Timestamp = Timestamp::from_nanos(i64::MAX);

async fn with_a_row() -> Cache {
    let cache = in_memory();
    cache.put("a", 1).await.unwrap();
    cache.evict_memory();
    cache
}

/// What lies under `a`, without a touch.
async fn present(cache: &Cache) -> Option<u32> {
    cache.get_many(["a"]).await.unwrap().get("a").map(|value| **value)
}

// rule: A4
#[test]
fn an_operation_that_is_dropped_at_any_of_its_polls_is_done_whole_or_not_at_all() {
    on_both(|| async {
        for Operation { name, run, leaves, is_whole } in OPERATIONS {
            for polls in 0.. {
                println!("{name}, dropped after {polls} polls");
                let cache = with_a_row().await;
                let ended = polled_at_most(polls, run(&cache)).await.is_some();
                let now = present(&cache).await;
                assert!([Some(1), leaves].contains(&now), "{now:?}");
                if ended || (polls > 0 && is_whole) {
                    eventually(|| async { present(&cache).await == leaves }).await;
                }
                let loaded = cache.get_or_insert_with("b", async || 9_u32).await.unwrap();
                assert_eq!(*loaded, 9, "nobody waits for what was dropped");
                cache.put("a", 3).await.unwrap();
                assert!(cache.verify().await.unwrap().is_ok());
                if ended {
                    break;
                }
            }
        }
    });
}

// rule: A4, O17
#[test]
fn a_batch_that_nobody_waits_for_is_one_thing_still() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let keys: BTreeSet<String> = (0..100).map(|key| key.to_string()).collect();
        let put = cache.put_many(keys.iter().map(|key| (key, 1_u32)));
        assert!(polled_at_most(1, put).await.is_none_or(|put| put.is_ok()));
        eventually(async || {
            let found = cache.get_many(&keys).await.unwrap().len();
            assert!([0, 100].contains(&found), "{found}");
            found == 100
        })
        .await;
    });
}
