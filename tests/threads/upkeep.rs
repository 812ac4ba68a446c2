//! The background thread: it comes with the first handle and goes with the last.

use crate::on_new_paths;
use disk_backed_cache::{Clock, DiskBackedCache, SystemClock, Timestamp};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// A clock that notices which threads read it, and when those have ended.
#[derive(Debug)]
struct Witness {
    maker: ThreadId,
    time: SystemClock,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    others: Mutex<Others>,
    changed: Condvar,
}

/// Threads other than the one that made the clock.
#[derive(Debug, Default)]
struct Others {
    begun: u32,
    ended: u32,
}

/// Lives as long as its thread.
struct Life(Arc<Seen>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.others.lock().unwrap().ended += 1;
    }
}

thread_local! {
    static LIFE: std::cell::OnceCell<Life> = const { std::cell::OnceCell::new() };
}

impl Clock for Witness {
    fn now(&self) -> Timestamp {
        if thread::current().id() != self.maker {
            LIFE.with(|life| {
                life.get_or_init(|| {
                    self.seen.others.lock().unwrap().begun += 1;
                    self.seen.changed.notify_all();
                    Life(Arc::clone(&self.seen))
                });
            });
        }
        self.time.now()
    }
}

fn witness() -> Arc<Witness> {
    Arc::new(Witness {
        maker: thread::current().id(),
        time: SystemClock::new(),
        seen: Arc::default(),
    })
}

/// Waits until the background thread has run.
fn wait_for_upkeep(seen: &Seen) {
    let others = seen.others.lock().unwrap();
    // The test's watchdog looks after this.
    drop(seen.changed.wait_while(others, |others| others.begun == 0).unwrap());
}

fn open(path: &Path, clock: &Arc<Witness>, collection: &str) -> DiskBackedCache<u64> {
    let builder = DiskBackedCache::builder().clock(Arc::clone(clock)).collection(collection);
    builder.recency_lag(Duration::from_nanos(1)).open(path).unwrap()
}

// rule: O27
#[test]
fn the_background_thread_ends_with_the_last_clone_and_keeps_nothing_alive() {
    on_new_paths(10, |path| {
        let clock = witness();
        let cache = open(path, &clock, "default");
        let value = Arc::new(1);
        cache.put("k", Arc::clone(&value)).unwrap();
        let clone = cache.clone();
        drop(cache);
        wait_for_upkeep(&clock.seen);
        assert_eq!(clock.seen.others.lock().unwrap().ended, 0, "a clone is left");
        drop(clone);
        let others = clock.seen.others.lock().unwrap();
        assert_eq!((others.begun, others.ended), (1, 1));
        assert_eq!((Arc::strong_count(&clock), Arc::strong_count(&value)), (1, 1));
    });
}

// rule: O23, O24
#[test]
fn the_background_thread_ends_when_the_last_collection_is_closed() {
    on_new_paths(10, |path| {
        let clock = witness();
        let caches = ["one", "two"].map(|collection| open(path, &clock, collection));
        wait_for_upkeep(&clock.seen);
        caches[0].close().unwrap();
        assert_eq!(clock.seen.others.lock().unwrap().ended, 0, "a collection is left");
        caches[1].close().unwrap();
        let others = clock.seen.others.lock().unwrap();
        assert_eq!((others.begun, others.ended), (1, 1), "one thread for both");
    });
}
