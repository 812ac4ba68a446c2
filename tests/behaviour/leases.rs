//! L9: one process at a time loads a key.

use crate::support::{Child, on_file};
use disk_backed_cache::{Builder, DiskBackedCache, Durability, ErrorKind, Removal};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path, settings: impl FnOnce(Builder<u32>) -> Builder<u32>) -> DiskBackedCache<u32> {
    settings(DiskBackedCache::builder().load_lease(LONG)).open(path).unwrap()
}

fn load(cache: &DiskBackedCache<u32>, made: u32) -> u32 {
    *cache.get_or_insert_with("a", || made).unwrap()
}

/// Waits until what was to be told by the file of that name was told.
fn wait_for(path: &Path, name: &str) {
    let deadline = Instant::now() + LONG;
    while !path.with_file_name(name).exists() {
        assert!(Instant::now() < deadline, "nobody says {name:?}");
        thread::yield_now();
    }
}

fn say(path: &Path, name: &str) {
    fs::write(path.with_file_name(name), "").unwrap();
}

/// How many files of leases lie beside the cache's.
fn leases(path: &Path) -> usize {
    let beside = fs::read_dir(path.parent().unwrap()).unwrap();
    beside
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("-lease-"))
        .count()
}

/// In a process of its own: a loader that says that it runs, and waits until it is told to end.
fn load_slowly(path: &Path, settings: impl FnOnce(Builder<u32>) -> Builder<u32>) -> u32 {
    let cache = open(path, settings);
    let load = || {
        say(path, "loading");
        wait_for(path, "go on");
        1
    };
    *cache.get_or_insert_with("a", load).unwrap()
}

// rule: L9
#[test]
fn while_another_process_loads_a_load_waits_and_finds_what_that_one_stored() {
    let child = Child::of(
        "leases::while_another_process_loads_a_load_waits_and_finds_what_that_one_stored",
    );
    let buffered = |b: Builder<u32>| {
        b.durability(Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1 << 20 })
    };
    if let Some(path) = child.file() {
        let by = path.with_file_name("buffered").exists();
        let cache = move |b| if by { buffered(b) } else { b };
        assert_eq!(load_slowly(&path, cache), 1);
        if by {
            // What it loaded is found although it does not close.
            child.die();
        }
        return;
    }
    for by in ["committed", "buffered"] {
        on_file(|_, path| {
            say(path, by);
            // With a snapshot that may be kept for longer than everything here takes.
            let cache = open(path, |b| b.staleness(LONG));
            assert_eq!(cache.get("a").unwrap(), None);
            thread::scope(|scope| {
                scope.spawn(|| child.run(path));
                wait_for(path, "loading");
                let second = scope.spawn(|| load(&cache, 2));
                say(path, "go on");
                assert_eq!(second.join().unwrap(), 1, "{by}");
            });
            assert_eq!((cache.stats().loads, cache.stats().disk_hits), (0, 1));
            assert_eq!(leases(path), 0);
        });
    }
}

// rule: L9
#[test]
fn a_lease_ends_with_its_process() {
    let child = Child::of("leases::a_lease_ends_with_its_process");
    if let Some(path) = child.file() {
        let die = || child.die();
        open(&path, |b| b).get_or_insert_with("a", || -> u32 { die() }).unwrap();
        return;
    }
    on_file(|_, path| {
        child.run(path);
        assert_eq!(leases(path), 1, "its file stayed");
        let cache = open(path, |b| b);
        assert_eq!((load(&cache, 2), cache.stats().loads, leases(path)), (2, 1, 0));
    });
}

// rule: L9
#[test]
fn a_lease_is_not_waited_for_longer_than_was_said() {
    let child = Child::of("leases::a_lease_is_not_waited_for_longer_than_was_said");
    if let Some(path) = child.file() {
        assert_eq!(load_slowly(&path, |b| b), 1, "it has an answer, which is not stored");
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.load_lease(Duration::from_millis(2)));
        thread::scope(|scope| {
            scope.spawn(|| child.run(path));
            wait_for(path, "loading");
            assert_eq!((load(&cache, 2), leases(path)), (2, 1));
            say(path, "go on");
        });
        cache.evict_memory();
        assert_eq!((*cache.get("a").unwrap().unwrap(), leases(path)), (2, 0));
    });
}

// rule: L9
#[test]
fn a_load_that_fails_or_panics_gives_its_lease_back() {
    on_file(|_, path| {
        let cache = open(path, |b| b);
        let failed = cache.try_get_or_insert_with("a", || {
            assert_eq!(leases(path), 1);
            Err::<u32, _>("no source")
        });
        assert!(failed.is_err());
        assert_eq!(leases(path), 0);
        let panics = || cache.get_or_insert_with("a", || -> u32 { panic!("no source") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!((leases(path), load(&cache, 3)), (0, 3));
    });
}

// rule: L9
#[test]
fn what_no_other_process_has_or_can_be_stored_is_loaded_without() {
    on_file(|_, path| {
        let without = |cache: &DiskBackedCache<u32>| {
            let load = || u32::try_from(leases(path)).unwrap();
            *cache.get_or_insert_with("a", load).unwrap()
        };
        let memory = DiskBackedCache::builder().load_lease(LONG).open_in_memory().unwrap();
        assert_eq!(without(&memory), 0);
        let cache = open(path, |b| b.exclusive());
        assert_eq!(without(&cache), 0);
        assert!(cache.delete("a").unwrap());
        cache.close().unwrap();
        assert_eq!(without(&open(path, |b| b.read_only())), 0);
        assert_eq!(without(&open(path, |b| b)), 1);
    });
}

// rule: L9
#[test]
fn no_patience_is_refused() {
    let settings = DiskBackedCache::<u32>::builder().load_lease(Duration::ZERO);
    let error = settings.open_in_memory().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert!(error.problems()[0].starts_with("load_lease is zero"), "{error}");
}

/// A listener loaded on the thread that commits in the background. It waited for a lease until that same thread said
/// that some time had passed, and so for ever.
// rule: L9, H4
#[test]
fn a_listener_waits_for_a_lease_no_longer_than_was_said() {
    on_file(|_, path| {
        let (made, answers) = mpsc::channel();
        let handle: Arc<Mutex<Option<DiskBackedCache<u32>>>> = Arc::default();
        let own = Arc::clone(&handle);
        let listener = move |removal: Removal<u32>| {
            if removal.key == "b"
                && let Some(cache) = own.lock().unwrap().take()
            {
                made.send(load(&cache, 2)).unwrap();
            }
        };
        let max_delay = Duration::from_millis(1);
        let durability = Durability::Buffered { max_delay, max_bytes: 1 << 20 };
        let cache = open(path, |b| {
            let b = b.load_lease(Duration::from_millis(20));
            b.durability(durability).eviction_listener(listener)
        });
        *handle.lock().unwrap() = Some(cache.clone());
        thread::scope(|scope| {
            let ((begins, begun), (goes_on, go_on)) = (mpsc::channel(), mpsc::channel::<()>());
            let loads = cache.clone();
            let slowly = move || {
                let slow = || {
                    begins.send(()).unwrap();
                    go_on.recv().unwrap_err();
                    1
                };
                *loads.get_or_insert_with("a", slow).unwrap()
            };
            let slow = scope.spawn(slowly);
            begun.recv().unwrap();
            // Who comes now loads by himself, and that one's lease is in his way.
            cache.delete("a").unwrap();
            while handle.lock().unwrap().is_some() {
                cache.put("b", 1).unwrap();
            }
            assert_eq!(answers.recv_timeout(LONG), Ok(2));
            drop(goes_on);
            assert_eq!(slow.join().unwrap(), 1);
        });
    });
}

/// A load that waited for a lease was told by the thread that commits in the background when to try again. While that
/// was in a listener it did not try, however long; and if the listener waited for that load, for ever.
// rule: L9, H4
#[test]
fn a_lease_is_waited_for_while_a_listener_keeps_the_background_waiting() {
    on_file(|_, path| {
        let ((tells, told), (goes_on, go_on)) = (mpsc::channel(), mpsc::channel::<()>());
        let go_on = Mutex::new(go_on);
        let listener = move |removal: Removal<u32>| {
            if removal.key == "b" {
                // Only once.
                let _is_known = tells.send(());
                go_on.lock().unwrap().recv().unwrap_err();
            }
        };
        let max_delay = Duration::from_millis(1);
        let durability = Durability::Buffered { max_delay, max_bytes: 1 << 20 };
        let cache = open(path, |b| {
            let b = b.load_lease(Duration::from_millis(20));
            b.durability(durability).eviction_listener(listener)
        });
        let (leads, waits) = (cache.clone(), cache.clone());
        let ((begins, begun), (ends, end)) = (mpsc::channel(), mpsc::channel::<()>());
        let slow = thread::spawn(move || {
            let load = || {
                begins.send(()).unwrap();
                end.recv().unwrap_err();
                1
            };
            *leads.get_or_insert_with("a", load).unwrap()
        });
        begun.recv().unwrap();
        // Who comes now loads by himself, and that one's lease is in his way.
        cache.delete("a").unwrap();
        (1..3).for_each(|value| cache.put("b", value).unwrap());
        told.recv().unwrap();
        let (answers, answer) = mpsc::channel();
        let second = thread::spawn(move || answers.send(load(&waits, 2)).unwrap());
        let answered = answer.recv_timeout(LONG);
        drop((goes_on, ends));
        assert_eq!(answered, Ok(2));
        assert_eq!(slow.join().unwrap(), 1);
        second.join().unwrap();
    });
}
