//! L9 of tasks: one process at a time loads a key.

use crate::{Place, on_both, poll};
use disk_backed_cache::DiskBackedCache;
use futures_lite::future::pending;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;

/// A task waits for a lease by a timer of its own, whatever threads of the cache do meanwhile.
// rule: L9, A3
#[test]
fn a_task_waits_for_a_lease_no_longer_than_was_said() {
    on_both(|| async {
        let place = Place::new();
        let builder = DiskBackedCache::<u32>::builder().load_lease(Duration::from_millis(20));
        let cache = builder.open_async(place.path()).await.unwrap();
        let (begun, when_begun) = oneshot::channel();
        let mut slow = Box::pin(cache.get_or_insert_with("a", async || {
            begun.send(()).unwrap();
            pending::<u32>().await
        }));
        let mut when_begun = pin!(when_begun);
        while poll(when_begun.as_mut()).is_pending() {
            assert!(poll(slow.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        // Who comes now loads by himself, and that one's lease is in his way.
        cache.delete("a").await.unwrap();
        assert_eq!(*cache.get_or_insert_with("a", async || 2).await.unwrap(), 2);
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
        drop(slow);
    });
}
