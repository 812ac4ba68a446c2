//! H4 on the threads of a cache: whoever awaits an operation finds that the listener was told.

use crate::on_both;
use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache, RemovalCause};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

// rule: H4
#[test]
fn the_listener_was_told_when_an_operation_is_complete() {
    on_both(async || {
        let told = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::new(OnceLock::<AsyncDiskBackedCache<u32>>::new());
        let (log, asked) = (Arc::clone(&told), Arc::clone(&own));
        let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
        let builder = builder.disk_entries(2).disk_ttl(Duration::from_secs(3_600));
        let builder = builder.eviction_listener(move |removal| {
            let cache = asked.get().unwrap();
            // The listener runs on a thread of the cache, which may block.
            let replaced = removal.cause == RemovalCause::Replaced;
            assert_eq!(cache.blocking().peek(&removal.key).unwrap().is_some(), replaced);
            log.lock().unwrap().push((
                removal.key,
                removal.value.map(|value| *value),
                removal.cause,
            ));
        });
        let cache = builder.open_in_memory().unwrap().into_async();
        assert!(own.set(cache.clone()).is_ok());
        let took = || std::mem::take(&mut *told.lock().unwrap());
        let one = |key: &str, value, cause| vec![(key.to_owned(), Some(value), cause)];
        cache.put("a", 1).await.unwrap();
        cache.put("b", 2).await.unwrap();
        cache.put("c", 3).await.unwrap();
        assert_eq!(took(), one("a", 1, RemovalCause::Capacity));
        cache.put("b", 4).await.unwrap();
        assert_eq!(took(), one("b", 2, RemovalCause::Replaced));
        assert!(cache.delete("c").await.unwrap());
        assert_eq!(took(), one("c", 3, RemovalCause::Deleted));
        assert_eq!(*cache.get_or_insert_with("c", async || 5).await.unwrap(), 5);
        assert_eq!(*cache.get_or_insert_with("d", async || 6).await.unwrap(), 6);
        let evicted = took();
        assert_eq!(evicted.len(), 1, "{evicted:?}");
        assert_eq!(evicted[0].2, RemovalCause::Capacity);
        cache.close().await.unwrap();
    });
}
