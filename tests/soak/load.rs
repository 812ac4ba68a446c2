//! Eight threads on two collections of a file, which are closed and opened again meanwhile.

use crate::packet::Packet;
use crate::report::report;
use crate::run::Random;
use disk_backed_cache::{
    Builder, DiskBackedCache, Durability, ManualClock, PutOptions, Stats, Timestamp,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: u64 = 8;
const KEYS: u64 = 20_000;

/// The most time between two reopenings, in milliseconds.
const BETWEEN: u64 = 2_000;

type Cache = DiskBackedCache<Packet<1>>;

/// Time moves with the work, so that as much expires on a busy machine as on a fast one.
const OPERATION: Duration = Duration::from_micros(100);

/// A collection and the counts of its handles that were closed.
struct Collection {
    buffered: bool,
    clock: Arc<ManualClock>,
    cache: RwLock<Cache>,
    before: Mutex<Vec<Stats>>,
}

pub struct Load {
    path: PathBuf,
    clock: Arc<ManualClock>,
    collections: [Collection; 2],
    seed: u64,
    operations: AtomicU64,
    reopened: AtomicU64,
}

fn builder(buffered: bool, clock: &Arc<ManualClock>) -> Builder<Packet<1>> {
    let builder = DiskBackedCache::builder()
        .clock(Arc::clone(clock))
        .memory_entries(1_000)
        .memory_bytes(1 << 20);
    if buffered {
        let durability =
            Durability::Buffered { max_delay: Duration::from_millis(20), max_bytes: 1 << 20 };
        builder
            .collection("buffered")
            .durability(durability)
            .disk_entries(3_000)
            .disk_ttl(Duration::from_secs(2))
    } else {
        builder
            .collection("committed")
            .disk_bytes(8 << 20)
            .memory_ttl(Duration::from_millis(50))
            .disk_ttl(Duration::from_secs(60))
            .max_age(Duration::from_secs(3))
    }
}

impl Collection {
    fn new(path: &Path, buffered: bool, clock: Arc<ManualClock>) -> Self {
        let cache = RwLock::new(builder(buffered, &clock).open(path).unwrap());
        Self { buffered, clock, cache, before: Mutex::default() }
    }

    fn close(&self, cache: &Cache) {
        cache.close().unwrap();
        self.before.lock().unwrap().push(cache.stats());
    }

    fn reopen(&self, path: &Path, cache: &mut Cache) {
        *cache = builder(self.buffered, &self.clock).open(path).unwrap();
    }

    /// A count of all handles.
    fn sum(&self, count: impl Fn(&Stats) -> u64) -> u64 {
        self.before.lock().unwrap().iter().map(count).sum()
    }
}

impl Load {
    pub fn new(path: &Path, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        let collections =
            [false, true].map(|buffered| Collection::new(path, buffered, Arc::clone(&clock)));
        let (operations, reopened) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { path: path.to_owned(), clock, collections, seed, operations, reopened }
    }

    /// What the threads do until they are told to end.
    pub fn threads(&self) -> impl Iterator<Item = impl Fn(&AtomicBool) + Send> {
        (0..=THREADS).map(move |thread| {
            move |done: &AtomicBool| match thread {
                THREADS => self.reopen(done),
                writer => self.play(writer, done),
            }
        })
    }

    fn play(&self, writer: u64, done: &AtomicBool) {
        let collection = &self.collections[(writer % 2) as usize];
        let mut player = Player { writer, sequence: 0, random: Random::new(self.seed ^ writer) };
        while !done.load(Ordering::Relaxed) {
            player.play(&collection.cache.read().unwrap());
            self.operations.fetch_add(1, Ordering::Relaxed);
            self.clock.advance(OPERATION);
        }
    }

    /// Closes a collection, or both and with them the file, and opens them again.
    fn reopen(&self, done: &AtomicBool) {
        let mut random = Random::new(self.seed ^ THREADS);
        while !done.load(Ordering::Relaxed) {
            let next = Instant::now() + Duration::from_millis(random.below(BETWEEN));
            while Instant::now() < next && !done.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(10));
            }
            let which = match random.below(3) {
                0 => &self.collections[..1],
                1 => &self.collections[1..],
                _ => &self.collections[..],
            };
            let mut caches: Vec<RwLockWriteGuard<'_, Cache>> =
                which.iter().map(|collection| collection.cache.write().unwrap()).collect();
            which.iter().zip(&caches).for_each(|(collection, cache)| collection.close(cache));
            let pairs = which.iter().zip(&mut caches);
            pairs.for_each(|(collection, cache)| collection.reopen(&self.path, cache));
            self.reopened.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Rows on disk and their encoded bytes.
    pub fn stored(&self) -> (u64, u64) {
        let stats =
            self.collections.each_ref().map(|collection| collection.cache.read().unwrap().stats());
        let sum = |gauge: fn(&Stats) -> u64| stats.iter().map(gauge).sum();
        (sum(|stats| stats.disk_entries), sum(|stats| stats.disk_bytes))
    }

    /// Closes everything, and expects that everything was tried and is right.
    pub fn end(&self) {
        for collection in &self.collections {
            let cache = collection.cache.read().unwrap();
            let report = cache.verify().unwrap();
            assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
            collection.close(&cache);
        }
        let sum = |count: fn(&Stats) -> u64| -> u64 {
            self.collections.iter().map(|collection| collection.sum(count)).sum()
        };
        let counts = [
            ("operations", self.operations.load(Ordering::Relaxed)),
            ("reopenings", self.reopened.load(Ordering::Relaxed)),
            ("puts", sum(|stats| stats.puts)),
            ("memory hits", sum(|stats| stats.memory_hits)),
            ("disk hits", sum(|stats| stats.disk_hits)),
            ("memory evictions", sum(|stats| stats.memory_evictions)),
            ("disk evictions", sum(|stats| stats.disk_evictions)),
            ("memory expirations", sum(|stats| stats.memory_expirations)),
            ("disk expirations", sum(|stats| stats.disk_expirations)),
        ];
        report!("{counts:?}");
        assert!(counts.iter().all(|(_, count)| *count > 0), "something was not tried: {counts:?}");
        assert_eq!(sum(|stats| stats.decode_failures), 0);
    }
}

struct Player {
    writer: u64,
    sequence: u64,
    random: Random,
}

impl Player {
    fn play(&mut self, cache: &Cache) {
        match self.random.below(100_000) {
            0..45_000 => {
                let key = self.key();
                if let Some(packet) = cache.get(&key).unwrap() {
                    packet.check(&key);
                }
            }
            45_000..70_000 => {
                let (key, packet) = self.pair();
                cache.put(&key, packet).unwrap();
            }
            70_000..75_000 => self.play_more(cache),
            75_000..83_000 => {
                let keys: Vec<String> = (0..8).map(|_| self.key()).collect();
                let found = cache.get_many(&keys).unwrap();
                found.iter().for_each(|(key, packet)| packet.check(key));
            }
            83_000..89_000 => {
                let pairs: Vec<_> = (0..8).map(|_| self.pair()).collect();
                cache.put_many(pairs).unwrap();
            }
            89_000..94_000 => drop(cache.delete(&self.key()).unwrap()),
            94_000..96_000 => drop(cache.info(&self.key()).unwrap()),
            96_000..98_500 => drop((cache.len().unwrap(), cache.total_size().unwrap())),
            98_500..99_500 => cache.run_maintenance().unwrap(),
            99_500..99_950 => cache.flush().unwrap(),
            99_950..99_998 => cache.evict_memory(),
            99_998 => cache.clear().unwrap(),
            _ => assert!(cache.verify().unwrap().is_ok()),
        }
    }

    /// All else that there is, less often.
    fn play_more(&mut self, cache: &Cache) {
        let (key, packet) = self.pair();
        let whole = |found: Option<Arc<Packet<1>>>| {
            found.into_iter().for_each(|packet| packet.check(&key));
        };
        match self.random.below(1_000) {
            0..200 => {
                let options = PutOptions::new().tag(&format!("tag {}", self.random.below(50)));
                let ttl = Duration::from_millis(1 + self.random.below(1_000));
                cache.put_with(&key, packet, options.ttl(ttl)).unwrap();
            }
            200..400 => whole(Some(cache.get_or_insert_with(&key, || packet).unwrap())),
            400..500 => whole(cache.update_with(&key, |_| Some(packet.clone())).unwrap()),
            500..600 => drop(cache.put_if_absent(&key, packet).unwrap()),
            600..700 => drop(cache.touch(&key).unwrap()),
            700..800 => whole(cache.peek(&key).unwrap()),
            800..900 => whole(cache.take(&key).unwrap()),
            900..950 => {
                for found in cache.scan(&key).values() {
                    let (key, packet) = found.unwrap();
                    packet.check(&key);
                }
            }
            950..970 => drop(cache.delete_prefix(&key).unwrap()),
            970..990 => {
                let tag = format!("tag {}", self.random.below(50));
                cache.delete_tag(&tag).unwrap();
            }
            990..997 => drop(cache.retain(|kept, _| kept != key).unwrap()),
            997..999 => {
                let repaired = cache.repair().unwrap();
                assert!(repaired.removed == 0 && !repaired.totals_changed, "{repaired:?}");
            }
            _ => drop(cache.shrink().unwrap()),
        }
    }

    /// Some far more often than others.
    fn key(&mut self) -> String {
        let below = (0..3).fold(KEYS, |below, _| self.random.below(below) + 1);
        format!("key {below}")
    }

    fn pair(&mut self) -> (String, Packet<1>) {
        let key = self.key();
        self.sequence += 1;
        let filling = match self.random.below(20) {
            0 => 20_000 + self.random.below(40_000),
            _ => self.random.below(500),
        };
        let put = Timestamp::default();
        let packet = Packet::new(&key, self.writer, self.sequence, put, filling as usize);
        (key, packet)
    }
}
