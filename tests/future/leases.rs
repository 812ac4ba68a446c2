//! L9 of tasks: one process at a time loads a key.

use crate::{Place, on_both};
use disk_backed_cache::DiskBackedCache;
use std::fs::{self, File};
use std::time::Duration;

/// A task waits for a lease by a timer of its own, whatever threads of the cache do meanwhile.
// rule: L9, A3
#[test]
fn a_task_waits_for_a_lease_no_longer_than_was_said() {
    on_both(|| async {
        let place = Place::new();
        let builder = DiskBackedCache::<u32>::builder().load_lease(Duration::from_millis(20));
        let path = place.path();
        let cache = builder.open_async(&path).await.unwrap();
        let mut leases = Vec::new();
        let load = async || {
            let beside = fs::read_dir(path.parent().unwrap()).unwrap();
            let all = beside.map(|file| file.unwrap().path());
            leases.extend(all.filter(|path| path.to_string_lossy().contains("-lease-")));
            1
        };
        cache.get_or_insert_with("a", load).await.unwrap();
        cache.delete("a").await.unwrap();
        // As another process would.
        let lease = File::create_new(&leases[0]).unwrap();
        lease.lock().unwrap();
        assert_eq!(*cache.get_or_insert_with("a", async || 2).await.unwrap(), 2);
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
    });
}
