//! Rounds of eight threads on one cache, each judged when it is over.

use super::face::Face;
use super::history::{Action, Event, Model, is_linearizable, told};
use super::player::{Given, Histories, KEYS, MOMENTS, Player, next_number, timed};
use super::values::{LARGE_BYTES, Old, Value};
use disk_backed_cache::{
    Builder, CacheFile, Cacheable, DiskBackedCache, Durability, ManualClock, Stats, Timestamp,
};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

const THREADS: usize = 8;

/// Few, so that threads overlap in all they do, and a violation is easy to read.
const OPERATIONS: usize = 10;

/// Fewer than [`KEYS`], so that promotions evict.
const MEMORY_ENTRIES: u64 = 2;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `None` has room for all keys.
    pub disk_entries: Option<u64>,
    /// Whether entries expire within a round.
    pub expiry: bool,
    /// Whether each round begins with rows of an older version.
    pub upgrades: bool,
    /// Whether a thread works in the background, so that readers keep snapshots.
    pub background: bool,
    pub buffered: bool,
    /// Whether half of the threads use the asynchronous face, and leave some of what they begin.
    pub asynchronous: bool,
}

impl Rules {
    fn model(self) -> Model {
        match self {
            Self { expiry: true, .. } => Model::Expiring,
            Self { disk_entries: Some(_), .. } => Model::Evicting,
            _ => Model::Register,
        }
    }

    fn builder<T: Cacheable>(self, clock: &Arc<ManualClock>) -> Builder<T> {
        let mut builder = DiskBackedCache::builder()
            .memory_entries(MEMORY_ENTRIES)
            .max_item_size(LARGE_BYTES as u64)
            .clock(Arc::clone(clock))
            .background_maintenance(self.background);
        if self.buffered {
            let max_delay = Duration::from_millis(1);
            builder = builder.durability(Durability::Buffered { max_delay, max_bytes: 500 });
        }
        if let Some(entries) = self.disk_entries {
            builder = builder.disk_entries(entries);
        }
        if self.expiry {
            let nanos = Duration::from_nanos;
            builder = builder.memory_ttl(nanos(2)).disk_ttl(nanos(5)).max_age(nanos(7));
        }
        builder
    }
}

/// A cache and what was done to it since it was opened.
pub struct Game {
    rules: Rules,
    file: CacheFile,
    clock: Arc<ManualClock>,
    cache: DiskBackedCache<Value>,
    given: Given,
    /// How many events were judged.
    recorded: usize,
    /// The first thing found that no key's history tells.
    complaint: Option<String>,
}

impl Game {
    pub fn new(rules: Rules, file: CacheFile) -> Self {
        let clock = Arc::new(ManualClock::default());
        let cache = rules.builder(&clock).open_in(&file).unwrap();
        Self { rules, file, clock, cache, given: Given::default(), recorded: 0, complaint: None }
    }

    /// Plays a round and judges it.
    pub fn round(&mut self, round: u64) {
        // A time of its own, long after the round before has expired.
        let start = (round * 4 * MOMENTS) as i64;
        self.clock.set(Timestamp::from_nanos(start + MOMENTS as i64));
        let mut histories =
            if self.rules.upgrades { self.begin_with_old_rows() } else { Default::default() };
        let complaints = self.play(round, start, &mut histories);
        self.recorded += histories.iter().map(Vec::len).sum::<usize>();
        for (key, events) in KEYS.iter().zip(&histories) {
            assert!(
                is_linearizable(self.rules.model(), events),
                "violation: no order explains what round {round} saw of {key:?} under {:?}\n{}",
                self.rules,
                told(events)
            );
        }
        let complaints = complaints.into_iter().chain(self.complaints_at_rest(&histories));
        for complaint in complaints {
            self.complaint.get_or_insert_with(|| format!("round {round}: {complaint}"));
        }
    }

    /// How much was done to keys, each key that one call names counted by itself.
    pub fn recorded(&self) -> usize {
        self.recorded
    }

    /// Fails if anything was found that no history tells.
    pub fn end(self) {
        assert_eq!(self.complaint, None);
    }

    /// Has all rows written by the older type, and opens the cache on them.
    fn begin_with_old_rows(&mut self) -> Histories {
        self.cache.close().unwrap();
        let old = self.rules.builder::<Old>(&self.clock).open_in(&self.file).unwrap();
        let numbers = KEYS.map(|_| next_number());
        let pairs = KEYS.into_iter().zip(numbers.map(Old));
        let (took, ()) = timed(|| old.put_many(pairs).unwrap());
        old.close().unwrap();
        self.cache = self.rules.builder(&self.clock).open_in(&self.file).unwrap();
        self.given = Given::default();
        numbers.map(|number| {
            let action = Action::Wrote(number);
            vec![Event { thread: THREADS, began: took.start, ended: took.end, action }]
        })
    }

    /// The dealer's is the blocking one.
    fn face(&self, thread: usize) -> Face {
        Face::of(self.cache.clone(), self.rules.asynchronous && thread % 2 == 1)
    }

    fn turn(&self, player: &mut Player, thread: usize, turn: usize) {
        if self.rules.asynchronous && (thread + turn).is_multiple_of(3) {
            player.leave();
        } else {
            player.play();
        }
    }

    /// What a thread left goes on. It has ended when the cache is closed; who counts begins anew.
    fn end_what_was_left(
        &mut self,
        dealer: Player,
        players: &mut Vec<Player>,
        start: i64,
        seed: u64,
    ) -> Player {
        self.cache.close().unwrap();
        self.cache = self.rules.builder(&self.clock).open_in(&self.file).unwrap();
        self.given = Given::default();
        players.push(dealer);
        players.iter_mut().for_each(|player| player.given = Given::default());
        Player::new(self.face(THREADS), THREADS, start, seed)
    }

    /// Lets all threads play at once; returns what `verify` complained of meanwhile.
    fn play(&mut self, round: u64, start: i64, histories: &mut Histories) -> Vec<String> {
        let seed = |thread: usize| round * (THREADS as u64 + 1) + thread as u64;
        let player = |thread| Player::new(self.face(thread), thread, start, seed(thread));
        let mut dealer = player(THREADS);
        if !self.rules.upgrades {
            dealer.put_all();
        }
        let ready = Barrier::new(THREADS);
        let mut players: Vec<Player> = thread::scope(|scope| {
            let (ready, game) = (&ready, &*self);
            let playing = |thread| {
                let mut player = player(thread);
                scope.spawn(move || {
                    ready.wait();
                    (0..OPERATIONS).for_each(|turn| game.turn(&mut player, thread, turn));
                    player
                })
            };
            let threads: Vec<_> = (0..THREADS).map(playing).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        if self.rules.asynchronous {
            dealer = self.end_what_was_left(dealer, &mut players, start, seed(THREADS));
        }
        // What waits to be committed comes on top of the limits.
        self.cache.flush().unwrap();
        // What memory holds, then what the disk tier holds.
        dealer.get_all();
        self.cache.evict_memory();
        dealer.get_all();

        players.push(dealer);
        let mut complaints = Vec::new();
        for player in players {
            self.given += player.given;
            complaints.extend(player.complaints);
            for (all, own) in histories.iter_mut().zip(player.histories) {
                all.extend(own);
            }
        }
        complaints
    }

    fn complaints_at_rest(&self, histories: &Histories) -> Vec<String> {
        let mut complaints = self.cache.verify().unwrap().problems().to_vec();
        let stats = self.cache.stats();
        let Stats { puts, gets, deletes, .. } = stats;
        let (given, counted) = (self.given, Given { puts, gets, deletes });
        if counted != given || gets != stats.memory_hits + stats.disk_hits + stats.misses {
            complaints.push(format!("{given:?} do not add up to {stats:?}"));
        }
        let disk_entries = self.cache.len().unwrap();
        let limit = self.rules.disk_entries.unwrap_or(u64::MAX);
        if stats.memory_entries > MEMORY_ENTRIES || disk_entries > limit {
            complaints.push(format!("above the limits: {stats:?}"));
        }
        if stats.disk_entries != disk_entries {
            complaints.push(format!("{disk_entries} entries on disk: {stats:?}"));
        }
        let present = |events: &&Vec<Event>| {
            matches!(events.last(), Some(Event { action: Action::Read(Some(_)), .. }))
        };
        let found = histories.iter().filter(present).count() as u64;
        if !self.rules.expiry && found != disk_entries {
            complaints.push(format!("{found} keys were found, and {disk_entries} are there"));
        }
        complaints
    }
}
