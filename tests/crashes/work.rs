//! The child: it works on the file and says of each operation that it begins and that it has ended.

use super::collections::Collections;
use super::entry::{Entry, name};
use super::plan::{Plan, time};
use super::random::Random;
use disk_backed_cache::{Clock, DiskBackedCache, PutOptions, Timestamp};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Works until it is killed or the plan is done.
pub fn work(path: &Path, plan: &Plan) {
    let (number, clock) = (AtomicU64::new(plan.first), Arc::default());
    let desk = Desk { plan, pen: Pen::new(), number, clock };
    let mut random = Random::new(plan.seed);
    let mut left = plan.operations;
    let (mut calm, mut explicit) = (random.one_in(2), random.one_in(2));
    while left > 0 {
        let mut collections = Collections::default();
        for collection in 0..plan.collections {
            let builder = plan.of(collection).builder(&desk.clock);
            let open = || collections.open(path, plan.collections, builder);
            desk.note(collection, "open", 1, |_| (open(), None));
        }
        let share = (plan.era / 2 + random.below(plan.era)).min(left).div_ceil(plan.threads);
        left = left.saturating_sub(share * plan.threads);
        // With buffered puts, what commits them makes the wait short; every other time there is nothing else.
        calm = plan.buffered && !calm;
        thread::scope(|scope| {
            for _ in 0..plan.threads {
                let (desk, caches) = (&desk, collections.all());
                let random = Random::new(random.next());
                let mut worker = Worker { desk, caches, collection: 0, random, calm };
                scope.spawn(move || (0..share).for_each(|_| worker.act()));
            }
        });
        if left == 0 && plan.still {
            desk.pen.write("#still\n");
            // The end comes with a signal, or with the parent's own.
            let ended = std::io::stdin().read_to_end(&mut Vec::new());
            panic!("the parent is gone: {ended:?}");
        }
        explicit = !explicit;
        for collection in (0..plan.collections).rev() {
            let mut close = || collections.close_last(explicit ^ (collection % 2 == 1));
            desk.note(collection, "close", 1, |_| (close(), None));
        }
    }
}

/// The number of the last operation that the parent was told of, so that it knows the latest time that
/// anything was judged by.
#[derive(Debug, Default)]
struct Told(AtomicU64);

impl Clock for Told {
    fn now(&self) -> Timestamp {
        time(self.0.load(Ordering::Acquire))
    }
}

/// Standard output without a buffer. A line is one write, which a pipe takes as a whole.
struct Pen(File);

/// What a pipe takes as a whole.
const LONGEST_LINE: usize = 4_096;

impl Pen {
    fn new() -> Self {
        Self(File::from(std::io::stdout().as_fd().try_clone_to_owned().unwrap()))
    }

    fn write(&self, line: &str) {
        assert!(line.len() <= LONGEST_LINE);
        assert_eq!((&self.0).write(line.as_bytes()).unwrap(), line.len());
    }
}

const TAG: &str = "every fourth";

/// What the threads share.
struct Desk<'p> {
    plan: &'p Plan,
    pen: Pen,
    number: AtomicU64,
    clock: Arc<Told>,
}

impl Desk<'_> {
    /// Does one operation of that many numbers, between two lines. It is given its first number.
    fn note<R>(
        &self,
        collection: u32,
        what: &str,
        numbers: u64,
        operation: impl FnOnce(u64) -> (R, Option<u64>),
    ) -> R {
        let number = self.number.fetch_add(numbers, Ordering::Relaxed);
        let (verb, keys) = what.split_at(what.find(' ').unwrap_or(what.len()));
        self.pen.write(&match collection {
            0 => format!("#begin {number} {what}\n"),
            _ => format!("#begin {number} {verb}@{collection}{keys}\n"),
        });
        self.clock.0.fetch_max(number, Ordering::AcqRel);
        let (result, answer) = operation(number);
        self.pen.write(&match answer {
            Some(answer) => format!("#end {number} {answer}\n"),
            None => format!("#end {number}\n"),
        });
        result
    }
}

struct Worker<'d> {
    desk: &'d Desk<'d>,
    caches: &'d [DiskBackedCache<Entry>],
    /// The one that has its turn.
    collection: u32,
    random: Random,
    /// Whether it leaves alone what commits buffered puts.
    calm: bool,
}

impl Worker<'_> {
    fn act(&mut self) {
        self.collection = self.random.below(self.caches.len() as u64) as u32;
        let most = if self.calm { 780 } else { 1_000 };
        match self.random.below(most) {
            0..370 => self.put(1),
            370..440 => self.put_several(),
            440..720 => self.get(),
            720..770 => self.get_many(),
            770..780 => self.note("evict_memory", 1, |_| (self.cache().evict_memory(), None)),
            780..860 => self.delete(1),
            860..895 => self.delete_several(),
            895..900 if self.desk.plan.tagged => self.delete_tagged(),
            895..900 => self.delete_several(),
            900..904 => self.note("clear", 1, |_| (self.cache().clear().unwrap(), None)),
            904..930 => self.note("flush", 1, |_| (self.cache().flush().unwrap(), None)),
            930..960 => {
                self.note("maintain", 1, |_| (self.cache().run_maintenance().unwrap(), None));
            }
            _ => drop(self.note("len", 1, |_| (self.cache().len().unwrap(), None))),
        }
    }

    fn cache(&self) -> &DiskBackedCache<Entry> {
        &self.caches[self.collection as usize]
    }

    fn note<R>(
        &self,
        what: &str,
        numbers: u64,
        operation: impl FnOnce(u64) -> (R, Option<u64>),
    ) -> R {
        self.desk.note(self.collection, what, numbers, operation)
    }

    /// So many different keys.
    fn keys(&mut self, count: u64) -> Vec<u32> {
        let mut keys = Vec::new();
        while (keys.len() as u64) < count.min(self.desk.plan.keys.into()) {
            let key = self.random.below(self.desk.plan.keys.into()) as u32;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn put_several(&mut self) {
        let count = 2 + self.random.below(30);
        self.put(count);
    }

    fn put(&mut self, count: u64) {
        let mut keys = self.keys(count);
        let tagged = self.has_tag(keys[0]);
        keys.retain(|key| self.has_tag(*key) == tagged);
        let options = PutOptions::new();
        let options = if tagged { options.tag(TAG) } else { options };
        let entry = |first: u64, place: usize| Entry::new(keys[place], first + place as u64);
        let put = |first: u64| {
            let cache = self.cache().at(time(first));
            let cache = cache.with(options);
            match keys[..] {
                [key] => cache.put(&name(key), entry(first, 0)).unwrap(),
                _ => {
                    let pairs =
                        (0..keys.len()).map(|place| (name(keys[place]), entry(first, place)));
                    cache.put_many(pairs).unwrap();
                }
            }
        };
        self.note(&listed("put", &keys), keys.len() as u64, |first| (put(first), None));
    }

    fn get(&mut self) {
        let key = self.keys(1)[0];
        self.note(&listed("get", &[key]), 1, |number| {
            let found = self.cache().at(time(number)).get(&name(key)).unwrap();
            ((), found.map(|entry| number_of(&entry, key)))
        });
    }

    fn get_many(&mut self) {
        let keys = self.keys(8);
        self.note(&listed("get_many", &keys), 1, |_| {
            let found = self.cache().get_many(keys.iter().map(|key| name(*key))).unwrap();
            for key in &keys {
                let whole = found.get(&name(*key)).is_none_or(|entry| entry.is_whole(*key));
                assert!(whole, "a get_many of key {key} found {found:?}");
            }
            ((), None)
        });
    }

    fn delete_several(&mut self) {
        let count = 2 + self.random.below(10);
        self.delete(count);
    }

    /// Whether what is put under `key` has the tag, always.
    fn has_tag(&self, key: u32) -> bool {
        self.desk.plan.tagged && key.is_multiple_of(4)
    }

    /// Deletes by the tag, which is to be what it is to delete all keys that have it.
    fn delete_tagged(&self) {
        let keys: Vec<u32> = (0..self.desk.plan.keys).filter(|key| self.has_tag(*key)).collect();
        self.note(&listed("delete", &keys), 1, |number| {
            let deleted = self.cache().at(time(number)).delete_tag(TAG).unwrap();
            // What others put again meanwhile may be deleted again (J2).
            assert!(self.desk.plan.threads > 1 || deleted <= keys.len() as u64);
            ((), None)
        });
    }

    fn delete(&mut self, count: u64) {
        let keys = self.keys(count);
        self.note(&listed("delete", &keys), 1, |number| {
            let cache = self.cache().at(time(number));
            match keys[..] {
                [key] => drop(cache.delete(&name(key)).unwrap()),
                _ => drop(cache.delete_many(keys.iter().map(|key| name(*key))).unwrap()),
            }
            ((), None)
        });
    }
}

fn number_of(entry: &Entry, key: u32) -> u64 {
    assert!(entry.is_whole(key), "a get of key {key} found {entry:?}");
    entry.number
}

fn listed(what: &str, keys: &[u32]) -> String {
    let mut line = what.to_owned();
    keys.iter().for_each(|key| line.push_str(&format!(" {key}")));
    line
}
