//! A1 and A2: every operation beside the blocking one, and when it begins.

use crate::{Place, in_memory, on_both, poll};
use disk_backed_cache::{
    AsyncDiskBackedCache, Cacheable, DiskBackedCache, Error, ErrorKind, LoadError, ManualClock,
    PutOptions, Store, Timestamp,
};
use futures_lite::StreamExt;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// What a program may do with a handle, whatever it caches.
#[expect(dead_code, reason = "that it compiles is the test")]
fn a_handle_is_shared_between_threads<T: Cacheable, S: Store>(
    cache: AsyncDiskBackedCache<T, S>,
) -> impl Send + Sync + Clone {
    cache
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

/// Two caches under one clock, which have the same done to them.
struct Twins {
    asynchronous: AsyncDiskBackedCache<String>,
    blocking: DiskBackedCache<String>,
    clock: Arc<ManualClock>,
}

impl Twins {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let open = || {
            let builder = DiskBackedCache::builder().clock(Arc::clone(&clock));
            let builder = builder.background_maintenance(false).max_item_size(10).disk_bytes(100);
            builder.open_in_memory().unwrap()
        };
        Self { asynchronous: open().into(), blocking: open(), clock }
    }

    /// That all they count and hold is the same.
    fn compare(&self) {
        assert_eq!(self.asynchronous.stats(), self.blocking.stats());
    }
}

/// Does an operation on both twins and compares the answers.
macro_rules! both {
    ($twins:expr, $($operation:tt)+) => {
        let asynchronous = shown($twins.asynchronous.$($operation)+.await);
        assert_eq!(asynchronous, shown($twins.blocking.$($operation)+));
        $twins.compare();
    };
}

fn shown<T: Debug>(answer: T) -> String {
    format!("{answer:?}")
}

fn appended(there: Option<&String>) -> Option<String> {
    (there.map_or(0, String::len) < 3).then(|| format!("{}x", there.map_or("", String::as_str)))
}

fn text(letters: usize) -> String {
    "x".repeat(letters)
}

async fn read_and_write(twins: &Twins) {
    both!(twins, get("a"));
    both!(twins, put("a", text(3)));
    twins.clock.set(at(1));
    both!(twins, put_many([("b", text(4)), ("c", text(20)), ("b", text(5))]));
    both!(twins, get("a"));
    both!(twins, get("c"));
    both!(twins, tier_of("a"));
    both!(twins, tier_of("c"));
    both!(twins, tier_of("d"));
    both!(twins, contains_key("d"));
    both!(twins, contains_key("b"));
    both!(twins, info("b"));
    both!(twins, info("e"));
    both!(twins, info("f"));
    let found = twins.asynchronous.get_many(["a", "b", "d"]).await.map(BTreeMap::from_iter);
    let also = twins.blocking.get_many(["a", "b", "d"]).map(BTreeMap::from_iter);
    assert_eq!(shown(found), shown(also));
    both!(twins, put_if_absent("a", text(1)));
    both!(twins, put_if_absent("d", text(1)));
    both!(twins, update_with("d", appended));
    both!(twins, update_with("a", appended));
    both!(twins, update_with("e", appended));
    both!(twins, take("e"));
    both!(twins, take("e"));
    both!(twins, delete("d"));
    both!(twins, delete("d"));
    both!(twins, delete_many(["a", "d", "a"]));
    both!(twins, put("f", text(101)));
    both!(twins, get(""));
    both!(twins, put("", text(1)));
    both!(twins, delete(""));
    both!(twins, update_with("", appended));
}

async fn look_after(twins: &Twins) {
    both!(twins, len());
    both!(twins, is_empty());
    both!(twins, total_size());
    both!(twins, flush());
    both!(twins, run_maintenance());
    both!(twins, purge_outdated());
    both!(twins, verify());
    both!(twins, repair());
    twins.asynchronous.evict_memory();
    twins.blocking.evict_memory();
    both!(twins, get("b"));
    both!(twins, at(at(9)).get("b"));
    both!(twins, at(at(9)).put("g", text(2)));
    both!(twins, at(at(9)).put_many([("h", text(2))]));
    both!(twins, at(at(9)).get_many(["h"]));
    both!(twins, at(at(9)).put_if_absent("i", text(2)));
    both!(twins, at(at(9)).update_with("i", appended));
    both!(twins, at(at(9)).tier_of("i"));
    both!(twins, at(at(9)).contains_key("i"));
    both!(twins, info("i"));
    both!(twins, at(at(9)).info("h"));
    both!(twins, at(at(9)).take("i"));
    both!(twins, at(at(9)).delete("h"));
    both!(twins, at(at(9)).delete_many(["g"]));
    both!(twins, clear());
    both!(twins, is_empty());
}

async fn use_single_entries(twins: &Twins) {
    let sliding = || PutOptions::new().ttl(Duration::from_secs(5));
    both!(twins, put_with("a", text(2), sliding()));
    both!(twins, put_with("a", text(2), sliding().fixed_ttl(Duration::from_secs(5))));
    both!(twins, at(at(3)).put_with("ab", text(2), sliding()));
    both!(twins, ttl("ab"));
    both!(twins, at(at(7)).ttl("ab"));
    both!(twins, ttl("none"));
    both!(twins, touch("a"));
    both!(twins, at(at(8)).touch("ab"));
    both!(twins, touch("none"));
    both!(twins, peek("a"));
    both!(twins, at(at(99)).peek("ab"));
    both!(twins, with(sliding()).put("w", text(2)));
    both!(twins, at(at(3)).with(sliding()).put("wa", text(2)));
    both!(twins, with(sliding()).put_many([("wb", text(2)), ("wc", text(3))]));
    both!(twins, with(sliding()).put_if_absent("wd", text(2)));
    both!(twins, at(at(4)).with(sliding()).put_if_absent("wd", text(2)));
    both!(twins, with(sliding()).update_with("wd", appended));
    both!(twins, with(PutOptions::new().ttl(Duration::ZERO)).put_many([("we", text(2))]));
    for key in ["w", "wa", "wb", "wd", "we"] {
        both!(twins, ttl(key));
    }
    let revision = twins.asynchronous.info("a").await.unwrap().unwrap().revision.unwrap();
    assert_eq!(twins.blocking.info("a").unwrap().unwrap().revision, Some(revision));
    both!(twins, put_if_revision("a", text(3), revision));
    both!(twins, put_if_revision("a", text(4), revision));
    both!(twins, with(sliding()).put_if_revision("a", text(4), revision));
    both!(twins, at(at(9)).put_if_revision("a", text(4), revision));
    both!(twins, put_with("t", text(2), PutOptions::new().tag("red")));
    both!(twins, put_with("ta", text(2), PutOptions::new().tag("red")));
    both!(twins, at(at(9)).delete_tag("blue"));
    both!(twins, delete_tag("red"));
    both!(twins, delete_tag(""));
    both!(twins, at(at(9)).delete_prefix("ab"));
    both!(twins, delete_prefix("a"));
    both!(twins, delete_prefix("a"));
    both!(twins, shrink());
    scan_and_retain(twins).await;
}

async fn scan_and_retain(twins: &Twins) {
    both!(twins, put_many([("s", text(1)), ("sa", text(2)), ("s%", text(3))]));
    for prefix in ["s", "s%", "S"] {
        let scan = twins.asynchronous.scan(prefix).collect::<Vec<_>>().await;
        assert_eq!(shown(scan), shown(twins.blocking.scan(prefix).collect::<Vec<_>>()));
        let keys = twins.asynchronous.scan(prefix).keys().collect::<Vec<_>>().await;
        assert_eq!(shown(keys), shown(twins.blocking.scan(prefix).keys().collect::<Vec<_>>()));
        let values = twins.asynchronous.at(at(9)).scan(prefix).values();
        let also = twins.blocking.at(at(9)).scan(prefix).values();
        assert_eq!(shown(values.collect::<Vec<_>>().await), shown(also.collect::<Vec<_>>()));
        twins.compare();
    }
    both!(twins, retain(|key, _| key != "sa"));
    both!(twins, at(at(9)).retain(|_, info| info.size == 1));
    both!(twins, len());
}

async fn load(twins: &Twins) {
    let Twins { asynchronous, blocking, .. } = twins;
    for _ in 0..2 {
        let loaded = asynchronous.get_or_insert_with("a", async || text(2)).await;
        assert_eq!(shown(loaded), shown(blocking.get_or_insert_with("a", || text(2))));
        let loaded = asynchronous.at(at(9)).get_or_insert_with("b", async || text(2)).await;
        assert_eq!(shown(loaded), shown(blocking.at(at(9)).get_or_insert_with("b", || text(2))));
        let options = PutOptions::new().ttl(Duration::from_secs(5));
        let with = asynchronous.at(at(9)).with(options.clone());
        let loaded = with.get_or_insert_with("e", async || text(2)).await;
        let with = blocking.at(at(9)).with(options.clone());
        assert_eq!(shown(loaded), shown(with.get_or_insert_with("e", || text(2))));
        let with = asynchronous.with(options.clone());
        let loaded = with.try_get_or_insert_with("f", async || Ok::<_, u8>(text(2))).await;
        let with = blocking.with(options);
        assert_eq!(shown(loaded), shown(with.try_get_or_insert_with("f", || Ok::<_, u8>(text(2)))));
        let loaded = asynchronous.try_get_or_insert_with("c", async || Err::<String, _>(1)).await;
        let failed = blocking.try_get_or_insert_with("c", || Err::<String, _>(1));
        assert_eq!(shown(loaded), shown(failed));
        let then = asynchronous.at(at(9));
        let loaded = then.try_get_or_insert_with("d", async || Ok::<_, u8>(text(3))).await;
        let then = blocking.at(at(9));
        assert_eq!(shown(loaded), shown(then.try_get_or_insert_with("d", || Ok::<_, u8>(text(3)))));
        twins.compare();
    }
    both!(twins, info("a"));
    both!(twins, info("b"));
    let refused = asynchronous.get_or_insert_with("", async || text(2)).await;
    assert_eq!(shown(refused), shown(blocking.get_or_insert_with("", || text(2))));
}

// rule: A1
#[test]
fn every_operation_answers_as_the_blocking_one() {
    on_both(|| async {
        let twins = Twins::new();
        read_and_write(&twins).await;
        look_after(&twins).await;
        load(&twins).await;
        use_single_entries(&twins).await;
        both!(twins, close());
        both!(twins, close());
        read_and_write(&twins).await;
        look_after(&twins).await;
        load(&twins).await;
    });
}

// rule: A1, O25
#[test]
fn every_operation_on_a_closed_cache_is_closed() {
    on_both(|| async {
        let cache = in_memory::<String>();
        cache.put("a", text(1)).await.unwrap();
        let clone = cache.clone();
        clone.close().await.unwrap();
        let closed = |error: Error| assert!(error.is_closed(), "{error}");
        closed(cache.get("a").await.unwrap_err());
        closed(cache.get_many(["a"]).await.unwrap_err());
        closed(cache.put("a", text(1)).await.unwrap_err());
        closed(cache.update_with("a", appended).await.unwrap_err());
        closed(cache.get_or_insert_with("a", async || text(1)).await.unwrap_err());
        closed(cache.clear().await.unwrap_err());
        closed(cache.blocking().get("a").unwrap_err());
        cache.close().await.unwrap();
        assert_eq!(cache.stats().puts, 1);
    });
}

// rule: A1, T2
#[test]
fn an_operation_begins_when_it_is_first_polled() {
    on_both(|| async {
        let clock = Arc::new(ManualClock::default());
        let builder = DiskBackedCache::<u32>::builder().clock(Arc::clone(&clock));
        let cache = builder.open_in_memory().unwrap().into_async();
        drop(cache.put("never", 1));
        let put = cache.put("a", 1);
        clock.set(at(5));
        put.await.unwrap();
        assert_eq!(cache.info("a").await.unwrap().unwrap().created, at(5));
        assert_eq!((cache.stats().puts, cache.len().await.unwrap()), (1, 1));
    });
}

// rule: A2
#[test]
fn what_lies_in_memory_is_the_answer_to_the_first_poll() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        cache.put("a", 1).await.unwrap();
        let Poll::Ready(got) = poll(pin!(cache.get("a"))) else { panic!("it waits") };
        assert_eq!(*got.unwrap().unwrap(), 1);
        let then = cache.at(at(9));
        let Poll::Ready(got) = poll(pin!(then.get("a"))) else { panic!("it waits") };
        assert_eq!(*got.unwrap().unwrap(), 1);
        let load = async || -> u32 { panic!("it is there") };
        let Poll::Ready(got) = poll(pin!(cache.get_or_insert_with("a", load))) else {
            panic!("it waits")
        };
        assert_eq!(*got.unwrap(), 1);
        assert_eq!(cache.stats().memory_hits, 3);
    });
}

// rule: A2, F15
#[test]
fn so_is_a_row_that_is_kept_in_memory() {
    on_both(|| async {
        let place = Place::new();
        let hour = Duration::from_secs(3_600);
        let builder = || DiskBackedCache::<u32>::builder().memory_entries(0).staleness(hour);
        let cache = builder().open_async(place.path()).await.unwrap();
        cache.put("a", 1).await.unwrap();
        // Others were counted before the commit, or are by the first get.
        for _ in 0..3 {
            assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&1));
        }
        let Poll::Ready(got) = poll(pin!(cache.get("a"))) else { panic!("it waits") };
        assert_eq!(got.unwrap().as_deref(), Some(&1));
        let stats = cache.stats();
        assert_eq!((stats.gets, stats.disk_hits, stats.memory_hits), (4, 4, 0));
        cache.put("a", 2).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
        assert!(cache.delete("a").await.unwrap());
        assert_eq!(cache.get("a").await.unwrap(), None);
        cache.close().await.unwrap();
        assert!(cache.get("a").await.unwrap_err().is_closed());
    });
}

// rule: A1, A7
#[test]
fn handles_of_both_kinds_are_one_cache() {
    on_both(|| async {
        let place = Place::new();
        let open = || DiskBackedCache::<u32>::builder().open_async(place.path());
        let (first, second) = (open().await.unwrap(), open().await.unwrap());
        let third = DiskBackedCache::<u32>::builder().open(place.path()).unwrap();
        first.put("a", 1).await.unwrap();
        second.blocking().put("b", 2).unwrap();
        third.into_async().put("c", 3).await.unwrap();
        assert_eq!((first.stats().puts, first.len().await.unwrap()), (3, 3));
        assert!(Arc::ptr_eq(
            &first.get("a").await.unwrap().unwrap(),
            &second.blocking().get("a").unwrap().unwrap(),
        ));
    });
}

// rule: A1
#[test]
fn opening_reports_what_opening_reports() {
    on_both(|| async {
        let place = Place::new();
        let builder = DiskBackedCache::<u32>::builder;
        let error = builder().disk_entries(0).open_async(place.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
        let error = builder().open_async(place.0.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
        let file = disk_backed_cache::CacheFile::open(place.path()).unwrap();
        let cache = builder().collection("x").open_in_async(&file).await.unwrap();
        let printed = format!("{cache:?}");
        assert!(printed.starts_with("AsyncDiskBackedCache { store: SqliteStore("), "{printed}");
        let refused = DiskBackedCache::<String>::builder().collection("x").open_in_async(&file);
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Conflict);
        let failed = cache.try_get_or_insert_with("", async || Ok::<_, u8>(1)).await;
        assert!(matches!(failed, Err(LoadError::Cache(error)) if error.is_invalid_key()));
    });
}

/// Small rows are decoded where they are polled, others by the cache's threads. Neither takes a row whose key
/// is missing for none.
#[cfg(all(feature = "zstd", feature = "encryption"))]
// rule: A1, Z3, Z6
#[test]
fn packed_rows_are_read_and_missing_keys_are_told() {
    use disk_backed_cache::{CacheFile, Compression, EncryptionKeys};

    on_both(|| async {
        let file = CacheFile::open_in_memory().unwrap();
        let open = |keys: Option<EncryptionKeys>| {
            let builder = DiskBackedCache::<String>::builder().background_maintenance(false);
            let builder = builder.compression(Compression::zstd(3));
            let builder = match keys {
                None => builder,
                Some(keys) => builder.encryption(keys),
            };
            builder.open_in(&file).unwrap().into_async()
        };
        let values = [("small", 100), ("medium", 10_000), ("large", 100_000)];
        let values = values.map(|(key, size)| (key, "text ".repeat(size / 5)));
        let cache = open(Some(EncryptionKeys::new(1, &[1; 32])));
        for (key, value) in values.clone() {
            cache.put(key, value).await.unwrap();
        }
        cache.evict_memory();
        for (key, value) in &values {
            assert_eq!(cache.get(key).await.unwrap().as_deref(), Some(value));
        }
        cache.close().await.unwrap();
        let cache = open(None);
        for (key, _) in &values {
            let error = cache.get(key).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MissingEncryptionKey);
            assert_eq!(error.key(), Some(*key));
        }
        assert_eq!(cache.stats().gets, 0);
        assert_eq!(cache.len().await.unwrap(), 3);
    });
}
