//! One process of the crowd: two threads that do everything to a few hundred keys, or only read them.

use crate::child::Task;
use crate::packet::Packet;
use crate::run::Random;
use disk_backed_cache::{
    Builder, Clock, DiskBackedCache, Durability, Error, ErrorKind, PutOptions, SystemClock,
    Timestamp,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many processes there are, each of another kind.
pub const ROLES: u64 = WRITERS + 1;
/// How many of them write.
pub const WRITERS: u64 = 4;
/// The one that only reads.
pub const READER: u64 = WRITERS;
const THREADS: u64 = 2;
const KEYS: u64 = 300;

/// No process lets the file grow beyond this.
pub const MOST_ENTRIES: u64 = 200;
/// The limits of the last one, which is of the older version too.
pub const FEW_ENTRIES: u64 = 120;
const FEW_BYTES: u64 = 40_000;
const OLD_ROLE: u64 = WRITERS - 1;

const MEMORY_ENTRIES: u64 = 60;
/// How many pairs one call puts at most.
const LARGEST_BATCH: u64 = 4;

const DISK_TTL: Duration = Duration::from_secs(3);
const MAX_AGE: Duration = Duration::from_secs(5);
/// Of some entries.
const OWN_TTL: Duration = Duration::from_millis(800);

/// How long a process waits for others that write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process waits for another one that loads.
const LEASE: Duration = Duration::from_secs(1);

const TAG: &str = "tag";

/// By how much clocks of different processes may differ, with the tick that a get may lag.
const CLOCKS: Duration = Duration::from_millis(200);

/// After how many operations a thread says what it has done.
const REPORT: u64 = 100;

pub fn builder<const MAJOR: u64>(role: u64) -> Builder<Packet<MAJOR>> {
    let builder = DiskBackedCache::builder()
        .memory_entries(MEMORY_ENTRIES)
        .memory_ttl(Duration::from_secs(1))
        .disk_ttl(DISK_TTL)
        .max_age(MAX_AGE)
        .busy_timeout(BUSY_TIMEOUT);
    let (max_delay, max_bytes) = (Duration::from_millis(20), 64 << 10);
    match role {
        0 => builder.disk_entries(MOST_ENTRIES).load_lease(LEASE),
        1 => builder
            .disk_entries(MOST_ENTRIES)
            .durability(Durability::Buffered { max_delay, max_bytes }),
        2 => builder
            .disk_entries(MOST_ENTRIES)
            .durability(Durability::Synced)
            .memory_entries(0)
            .staleness(Duration::ZERO)
            .load_lease(LEASE),
        READER => builder.read_only(),
        OLD_ROLE => builder.disk_entries(FEW_ENTRIES).disk_bytes(FEW_BYTES),
        _ => panic!("there are {ROLES} roles"),
    }
}

/// Does what the words of the task say: the role, the number of the process, the seed, and `crowd` or
/// `alone`.
pub fn work(task: &Task) {
    task.say_failures();
    let words: Vec<&str> = task.words.split(' ').collect();
    let [role, process, seed, company] = words[..] else { panic!("{words:?}") };
    let [role, process, seed] = [role, process, seed].map(|number| number.parse().unwrap());
    if role == OLD_ROLE {
        work_as::<1>(task, role, process, seed, company == "alone");
    } else {
        work_as::<2>(task, role, process, seed, company == "alone");
    }
}

fn work_as<const MAJOR: u64>(task: &Task, role: u64, process: u64, seed: u64, alone: bool) {
    let cache = builder::<MAJOR>(role).open(&task.file).unwrap();
    let player = |thread: u64| {
        let writer = process * THREADS + thread;
        Player::new(&cache, writer, seed.wrapping_add(writer), role == READER)
    };
    if alone {
        keep_to_own_limits(role, player(0));
    } else {
        play_until_told(task, [player(0), player(1)]);
    }
    let stats = cache.stats();
    assert_eq!(stats.decode_failures, 0, "{stats:?}");
    assert_eq!(stats.gets, stats.memory_hits + stats.disk_hits + stats.misses, "{stats:?}");
    cache.close().unwrap();
}

fn play_until_told<const MAJOR: u64>(task: &Task, players: [Player<'_, MAJOR>; THREADS as usize]) {
    let done = AtomicBool::new(false);
    let played = AtomicU64::new(0);
    let found = AtomicU64::new(0);
    thread::scope(|scope| {
        let playing = players.map(|mut player| {
            let (done, played, found) = (&done, &played, &found);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    (0..REPORT).for_each(|_| player.play());
                    played.fetch_add(REPORT, Ordering::Relaxed);
                    found.fetch_add(std::mem::take(&mut player.found), Ordering::Relaxed);
                }
            })
        });
        loop {
            let ended = task.ends_within(Duration::from_millis(50))
                || playing.iter().any(thread::ScopedJoinHandle::is_finished);
            task.say(&format!(
                "did {} {}",
                played.load(Ordering::Relaxed),
                found.load(Ordering::Relaxed)
            ));
            if ended {
                break done.store(true, Ordering::Relaxed);
            }
        }
    });
}

/// With nobody else there, its own limits hold after each of its writes.
fn keep_to_own_limits<const MAJOR: u64>(role: u64, mut player: Player<'_, MAJOR>) {
    let cache = player.cache;
    let entries = if role == OLD_ROLE { FEW_ENTRIES } else { MOST_ENTRIES };
    let bytes = if role == OLD_ROLE { FEW_BYTES } else { u64::MAX };
    for _ in 0..2 * MOST_ENTRIES {
        player.put();
        cache.flush().unwrap();
        let holds = (cache.len().unwrap(), cache.total_size().unwrap());
        assert!(holds.0 <= entries && holds.1 <= bytes, "{holds:?} in role {role}");
        let stats = cache.stats();
        assert!(stats.memory_entries <= MEMORY_ENTRIES, "{stats:?}");
    }
    player.verify();
}

struct Player<'c, const MAJOR: u64> {
    cache: &'c DiskBackedCache<Packet<MAJOR>>,
    writer: u64,
    sequence: u64,
    random: Random,
    /// Whether it only reads.
    reads: bool,
    /// The smallest sequence of its own that it may still meet under a key.
    least: HashMap<String, u64>,
    found: u64,
}

impl<'c, const MAJOR: u64> Player<'c, MAJOR> {
    fn new(cache: &'c DiskBackedCache<Packet<MAJOR>>, writer: u64, seed: u64, reads: bool) -> Self {
        let random = Random::new(seed);
        Self { cache, writer, sequence: 0, random, reads, least: HashMap::new(), found: 0 }
    }

    fn play(&mut self) {
        match self.random.below(1_000) {
            0..330 => self.get(),
            330..400 => self.get_many(),
            400..500 => self.look(),
            500..510 => self.scan(),
            510..530 => self.cache.evict_memory(),
            530..560 => self.cache.run_maintenance().unwrap(),
            560..580 => self.cache.flush().unwrap(),
            580..585 => self.verify(),
            585..640 => self.expect_limits(),
            _ if self.reads => self.expect_refusal(),
            _ => self.write(),
        }
    }

    fn write(&mut self) {
        match self.random.below(1_000) {
            0..440 => self.put(),
            440..600 => self.put_many(),
            600..720 => self.delete(),
            720..770 => self.delete_many(),
            770..800 => self.put_tagged(),
            800..840 => self.load(),
            840..870 => self.put_if_absent(),
            870..900 => self.update(),
            900..930 => self.take(),
            930..960 => drop(self.cache.touch(&self.key()).unwrap()),
            960..970 => drop(self.cache.delete_tag(TAG).unwrap()),
            970..975 => self.delete_prefix(),
            975..980 => self.retain(),
            980..990 => drop(self.cache.purge_outdated().unwrap()),
            990..993 => self.repair(),
            993..995 => self.shrink(),
            _ => self.clear(),
        }
    }

    fn key(&mut self) -> String {
        format!("key {}", self.random.below(KEYS))
    }

    fn get(&mut self) {
        let key = self.key();
        let began = SystemClock::new().now();
        if let Some(packet) = self.cache.get(&key).unwrap() {
            self.judge(&key, &packet, began);
        }
    }

    fn get_many(&mut self) {
        let keys: Vec<String> = (0..5).map(|_| self.key()).collect();
        let began = SystemClock::new().now();
        for (key, packet) in self.cache.get_many(&keys).unwrap() {
            self.judge(&key, &packet, began);
        }
    }

    fn scan(&mut self) {
        let prefix = format!("key {}", self.random.below(10));
        let began = SystemClock::new().now();
        let mut last = String::new();
        for found in self.cache.scan(&prefix).values() {
            let (key, packet) = found.unwrap();
            assert!(last < key && key.starts_with(&prefix), "{key:?} after {last:?}");
            self.judge(&key, &packet, began);
            last = key;
        }
    }

    /// SQLite begins it, and asks for the lock as others do: among many that write it may wait in vain.
    fn shrink(&mut self) {
        let began = Instant::now();
        let shrunk = self.cache.shrink();
        let waited = began.elapsed();
        let in_vain = |error: &Error| error.is_busy() && waited >= BUSY_TIMEOUT;
        assert!(shrunk.as_ref().err().is_none_or(in_vain), "after {waited:?}: {shrunk:?}");
    }

    /// Whoever only reads changes nothing.
    fn expect_refusal(&mut self) {
        let (key, now) = (self.key(), SystemClock::new().now());
        let packet = self.unsure_packet(&key, now);
        let refused = match self.random.below(4) {
            0 => self.cache.put(&key, packet).unwrap_err(),
            1 => self.cache.delete(&key).unwrap_err(),
            2 => self.cache.update_with(&key, |_| Some(packet.clone())).unwrap_err(),
            _ => self.cache.clear().unwrap_err(),
        };
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
    }

    /// Expects a value that may be there for somebody who asked when it `began`.
    fn judge(&mut self, key: &str, packet: &Packet<MAJOR>, began: Timestamp) {
        self.found += 1;
        packet.check(key);
        let oldest = began - MAX_AGE - CLOCKS;
        assert!(packet.put >= oldest.as_nanos(), "it is past its age at {began:?}: {packet:?}");
        // What it wrote itself it sees.
        let least = self.least.get(key).copied().unwrap_or(0);
        assert!(
            packet.writer != self.writer || packet.sequence >= least,
            "its own value {least} or later was written over: {packet:?}"
        );
    }

    fn packet(&mut self, key: &str, put: Timestamp) -> Packet<MAJOR> {
        let packet = self.unsure_packet(key, put);
        self.least.insert(key.to_owned(), self.sequence);
        packet
    }

    /// One that is stored, perhaps.
    fn unsure_packet(&mut self, key: &str, put: Timestamp) -> Packet<MAJOR> {
        self.sequence += 1;
        let filling = self.random.below(400) as usize;
        Packet::new(key, self.writer, self.sequence, put, filling)
    }

    fn put(&mut self) {
        let (key, now) = (self.key(), SystemClock::new().now());
        let packet = self.packet(&key, now);
        self.cache.at(now).put(&key, packet).unwrap();
    }

    fn put_many(&mut self) {
        let now = SystemClock::new().now();
        let pairs: Vec<_> = (0..LARGEST_BATCH)
            .map(|_| {
                let key = self.key();
                let packet = self.packet(&key, now);
                (key, packet)
            })
            .collect();
        self.cache.at(now).put_many(pairs).unwrap();
    }

    fn put_tagged(&mut self) {
        let (key, now) = (self.key(), SystemClock::new().now());
        let packet = self.packet(&key, now);
        let options = PutOptions::new().tag(TAG);
        let options = if self.random.below(2) == 0 { options.ttl(OWN_TTL) } else { options };
        self.cache.at(now).put_with(&key, packet, options).unwrap();
    }

    fn load(&mut self) {
        let (key, began) = (self.key(), SystemClock::new().now());
        let packet = self.unsure_packet(&key, began);
        let found = self.cache.at(began).get_or_insert_with(&key, || packet).unwrap();
        self.judge(&key, &found, began);
    }

    fn put_if_absent(&mut self) {
        let (key, now) = (self.key(), SystemClock::new().now());
        let packet = self.unsure_packet(&key, now);
        if self.cache.at(now).put_if_absent(&key, packet).unwrap() {
            self.least.insert(key, self.sequence);
        }
    }

    fn update(&mut self) {
        let (key, now) = (self.key(), SystemClock::new().now());
        let packet = self.packet(&key, now);
        let update = |there: Option<&Packet<MAJOR>>| {
            there.into_iter().for_each(|there| there.check(&key));
            Some(packet.clone())
        };
        assert!(self.cache.at(now).update_with(&key, update).unwrap().is_some());
    }

    fn take(&mut self) {
        let (key, began) = (self.key(), SystemClock::new().now());
        if let Some(packet) = self.cache.take(&key).unwrap() {
            self.judge(&key, &packet, began);
            self.forget(key);
        }
    }

    fn delete_prefix(&mut self) {
        let prefix = self.key();
        self.cache.delete_prefix(&prefix).unwrap();
        let keys = (0..KEYS).map(|key| format!("key {key}"));
        keys.filter(|key| key.starts_with(&prefix)).for_each(|key| self.forget(key));
    }

    fn retain(&mut self) {
        let oldest = SystemClock::new().now() - MAX_AGE / 2;
        self.cache.retain(|_, info| info.created >= oldest).unwrap();
    }

    /// There is nothing to mend.
    fn repair(&self) {
        let repaired = self.cache.repair().unwrap();
        assert!(repaired.removed == 0 && !repaired.totals_changed, "{repaired:?}");
    }

    fn delete(&mut self) {
        let key = self.key();
        self.cache.delete(&key).unwrap();
        self.forget(key);
    }

    fn delete_many(&mut self) {
        let keys: Vec<String> = (0..3).map(|_| self.key()).collect();
        self.cache.delete_many(&keys).unwrap();
        keys.into_iter().for_each(|key| self.forget(key));
    }

    fn clear(&mut self) {
        self.cache.clear().unwrap();
        (0..KEYS).for_each(|key| self.forget(format!("key {key}")));
    }

    fn forget(&mut self, key: String) {
        self.least.insert(key, self.sequence + 1);
    }

    fn look(&mut self) {
        let key = self.key();
        match self.random.below(3) {
            0 => drop(self.cache.contains_key(&key).unwrap()),
            1 => drop(self.cache.tier_of(&key).unwrap()),
            _ => {
                let info = self.cache.info(&key).unwrap();
                assert!(info.is_none_or(|info| info.key == key));
            }
        }
    }

    /// Each of the others lets the file grow to no more than this.
    fn expect_limits(&self) {
        let entries = self.cache.len().unwrap();
        assert!(entries <= MOST_ENTRIES, "{entries} entries are on disk");
        // The other thread may be about to evict what it put.
        let stats = self.cache.stats();
        assert!(stats.memory_entries <= MEMORY_ENTRIES + LARGEST_BATCH, "{stats:?}");
    }

    fn verify(&self) {
        let report = self.cache.verify().unwrap();
        assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
    }
}
