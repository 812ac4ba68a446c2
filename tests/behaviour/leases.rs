//! L9: one process at a time loads a key.

use crate::support::{Child, on_file};
use disk_backed_cache::{Builder, DiskBackedCache, Durability, ErrorKind, PutOptions, Removal};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
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

/// The files of leases that lie beside the cache's.
fn all_leases(path: &Path) -> Vec<PathBuf> {
    let beside = fs::read_dir(path.parent().unwrap()).unwrap();
    let all = beside.map(|file| file.unwrap().path());
    all.filter(|path| path.to_string_lossy().contains("-lease-")).collect()
}

fn leases(path: &Path) -> usize {
    all_leases(path).len()
}

/// Takes the lease of `a` as another process would.
fn take_lease(cache: &DiskBackedCache<u32>, path: &Path) -> File {
    let mut leases = Vec::new();
    cache
        .get_or_insert_with("a", || {
            leases = all_leases(path);
            0
        })
        .unwrap();
    cache.delete("a").unwrap();
    let lease = File::create_new(&leases[0]).unwrap();
    lease.lock().unwrap();
    lease
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

/// Who deleted a key while it was loaded, and loaded it again, waited for the lease of a load whose object nobody was to
/// have: in that one's own loader, too.
// rule: L9, L5
#[test]
fn a_load_that_a_write_overtakes_gives_its_lease_up() {
    type Write = fn(&DiskBackedCache<u32>);
    let writes: [Write; 5] = [
        |cache| assert!(!cache.delete("a").unwrap()),
        |cache| cache.clear().unwrap(),
        |cache| assert_eq!(cache.delete_prefix("a").unwrap(), 0),
        |cache| assert_eq!(cache.delete_tag("fruit").unwrap(), 0),
        |cache| cache.put("a", 5).unwrap(),
    ];
    for write in writes {
        on_file(|_, path| {
            let cache = open(path, |b| b);
            let tagged = cache.with(PutOptions::new().tag("fruit"));
            let overtaken = tagged.get_or_insert_with("a", || {
                assert_eq!(leases(path), 1);
                write(&cache);
                assert_eq!(leases(path), 0);
                let loads_again = cache.get_or_insert_with("a", || {
                    assert_eq!(leases(path), 1);
                    2
                });
                assert!([2, 5].contains(&*loads_again.unwrap()));
                assert_eq!(leases(path), 0);
                1
            });
            assert_eq!((*overtaken.unwrap(), leases(path)), (1, 0));
            assert!([2, 5].contains(&*cache.get("a").unwrap().unwrap()));
        });
    }
}

/// A load that a write overtakes while it waits for another's lease does not wait any more, and takes none.
// rule: L9, L5
#[test]
fn a_load_that_was_overtaken_waits_for_no_lease() {
    on_file(|_, path| {
        let cache = open(path, |b| b);
        let (_lease, began) = (take_lease(&cache, path), Instant::now());
        thread::scope(|scope| {
            let waits = scope.spawn(|| load(&cache, 2));
            while !waits.is_finished() {
                cache.delete("a").unwrap();
                thread::yield_now();
            }
            assert_eq!(waits.join().unwrap(), 2);
        });
        assert!(began.elapsed() < LONG);
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
        let _lease = take_lease(&cache, path);
        while handle.lock().unwrap().is_some() {
            cache.put("b", 1).unwrap();
        }
        assert_eq!(answers.recv_timeout(LONG), Ok(2));
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
        let _lease = take_lease(&cache, path);
        let waits = cache.clone();
        (1..3).for_each(|value| cache.put("b", value).unwrap());
        told.recv().unwrap();
        let (answers, answer) = mpsc::channel();
        let second = thread::spawn(move || answers.send(load(&waits, 2)).unwrap());
        let answered = answer.recv_timeout(LONG);
        drop(goes_on);
        assert_eq!(answered, Ok(2));
        second.join().unwrap();
    });
}
