//! L9 of tasks: one process at a time loads a key.

use crate::{Place, eventually, on_both};
use disk_backed_cache::{AsyncDiskBackedCache, Cacheable, DiskBackedCache, ManualClock};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Takes the lease of `a` as another process would.
pub async fn take_lease<T: Cacheable>(
    cache: &AsyncDiskBackedCache<T>,
    path: &Path,
    made: T,
) -> File {
    let mut leases = Vec::new();
    let load = async || {
        let beside = fs::read_dir(path.parent().unwrap()).unwrap();
        let all = beside.map(|file| file.unwrap().path());
        leases.extend(all.filter(|path| path.to_string_lossy().contains("-lease-")));
        made
    };
    cache.get_or_insert_with("a", load).await.unwrap();
    cache.delete("a").await.unwrap();
    let lease = File::create_new(&leases[0]).unwrap();
    lease.lock().unwrap();
    lease
}

/// A task waits for a lease by a timer of its own, whatever threads of the cache do meanwhile.
// rule: L9, A3
#[test]
fn a_task_waits_for_a_lease_no_longer_than_was_said() {
    on_both(|| async {
        let place = Place::new();
        let builder = DiskBackedCache::<u32>::builder().load_lease(Duration::from_millis(20));
        let path = place.path();
        let cache = builder.open_async(&path).await.unwrap();
        let _lease = take_lease(&cache, &path, 1).await;
        assert_eq!(*cache.get_or_insert_with("a", async || 2).await.unwrap(), 2);
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
    });
}

/// With leases nobody loaded where the timer was faster than the look at the file.
// rule: A11, L9
#[test]
fn what_is_stale_is_the_answer_while_another_process_loads_and_only_then_nobody_loads() {
    on_both(|| async {
        // At the first attempt to take the lease, and after several.
        for soft in [Duration::from_nanos(1), Duration::from_millis(20)] {
            let (place, clock) = (Place::new(), Arc::<ManualClock>::default());
            let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
            let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
            let builder = builder.clock(clock.clone()).disk_ttl(second).fail_safe(hour);
            let builder = builder.load_lease(hour).soft_load_timeout(soft);
            let cache = builder.open_async(place.path()).await.unwrap();
            let lease = take_lease(&cache, &place.path(), 0).await;
            cache.put("a", 1).await.unwrap();
            clock.advance(2 * second);
            let never = || async { Err::<u32, _>("another process loads") };
            assert_eq!(*cache.try_get_or_refresh_with("a", never).await.unwrap(), 1);
            assert_eq!(cache.stats().load_failures, 0);
            assert_eq!((cache.stats().load_timeouts, cache.stats().stale_answers), (1, 1));
            drop(lease);
            let (answer, source) = oneshot::channel();
            let load = move || async move { source.await.unwrap() };
            assert_eq!(*cache.get_or_refresh_with("a", load).await.unwrap(), 1);
            answer.send(2_u32).unwrap();
            eventually(async || cache.contains_key("a").await.unwrap()).await;
            assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
        }
    });
}
