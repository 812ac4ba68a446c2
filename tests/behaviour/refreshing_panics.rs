//! A reload in the midst of which an object panics when it is dropped.

use crate::support::{on_both, secs};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, DiskBackedCache, Durability, ErrorKind, Removal};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// Panics where it is dropped if it is 13.
#[derive(Debug, Serialize, Deserialize)]
struct Fragile(u32);

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(self.0 != 13 || std::thread::panicking(), "it broke, as it should");
    }
}

impl Cacheable for Fragile {
    fn type_name() -> Cow<'static, str> {
        "fragile".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// A reload commits puts that wait, and drops their objects. If that panicked, what was kept to be told at the end of the
/// reload was told at once, before those who wait for it were let go. A listener that loaded the key waited for the
/// reload, and that for the listener.
// rule: Y1, L6, H4
#[test]
fn a_listener_that_is_told_by_a_reload_that_panics_waits_for_none() {
    on_both(|bench| {
        let handle: Arc<Mutex<Option<DiskBackedCache<Fragile>>>> = Arc::default();
        let own = Arc::clone(&handle);
        let (tells, told) = mpsc::channel();
        let listener = move |removal: Removal<Fragile>| {
            let cache = own.lock().unwrap().take();
            if let Some(cache) = cache {
                // By then the new row has expired, too.
                let late = cache.at(disk_backed_cache::Timestamp::from_nanos(i64::MAX / 2));
                let loaded = late.get_or_insert_with(&removal.key, || Fragile(3));
                tells.send(loaded.map(|it| it.0).map_err(|error| error.kind())).unwrap();
            }
        };
        let patient = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 << 20 };
        let cache = bench.cache::<Fragile>(|b| {
            let b = b.disk_ttl(secs(10)).refresh_ahead(0.5).verify_round_trip(false);
            b.memory_bytes(0).row_cache_bytes(0).durability(patient).eviction_listener(listener)
        });
        cache.put("a", Fragile(1)).unwrap();
        cache.flush().unwrap();
        bench.at_second(6);
        cache.put("b", Fragile(13)).unwrap();
        *handle.lock().unwrap() = Some(cache.clone());
        assert_eq!(cache.get_or_refresh_with("a", || Fragile(2)).unwrap().0, 1);
        let answer = told.recv_timeout(Duration::from_secs(60));
        assert_eq!(answer, Ok(Err(ErrorKind::Reentrant)));
    });
}
