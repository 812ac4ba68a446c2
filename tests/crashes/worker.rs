//! One thread of the child: all operations, on keys by chance.

use super::entry::{Entry, name};
use super::plan::{Lives, Plan, time};
use super::random::Random;
use super::work::Desk;
use disk_backed_cache::{At, DiskBackedCache, PutOptions, SqliteStore, With};
use std::thread;
use std::time::Duration;

const TAG: &str = "every fourth";

/// Where closings are further apart, the log is to be taken over into the file, which shrinking does, too.
const ERA_OF_SHRINKING: u64 = 1_500;

pub struct Worker<'d> {
    desk: &'d Desk<'d>,
    caches: &'d [DiskBackedCache<Entry>],
    /// The one that has its turn.
    collection: u32,
    random: Random,
    /// Whether it leaves alone what commits buffered puts.
    calm: bool,
}

impl<'d> Worker<'d> {
    pub fn new(
        desk: &'d Desk<'d>,
        caches: &'d [DiskBackedCache<Entry>],
        random: Random,
        calm: bool,
    ) -> Self {
        Self { desk, caches, collection: 0, random, calm }
    }

    pub fn act(&mut self) {
        self.collection = self.random.below(self.caches.len() as u64) as u32;
        let most = if self.calm { 780 } else { 1_000 };
        match self.random.below(most) {
            0..340 => self.put(1),
            340..410 => self.put_several(),
            410..430 => self.load(),
            430..580 if self.desk.plan.reloads => self.refresh(),
            430..670 => self.get(),
            670..690 => self.touch(),
            690..735 => self.get_many(),
            735..770 => self.look(),
            770..780 => self.note("evict_memory", 1, |_| (self.cache().evict_memory(), None)),
            780..850 => self.delete(1),
            850..880 => self.delete_several(),
            880..885 => self.delete_tagged(),
            885..890 => self.delete_prefix(),
            890..895 => self.retain(),
            895..910 => self.take(),
            910..920 => self.put_if_absent(),
            920..930 => self.put_if_revision(),
            930..940 => self.update(),
            940..944 => self.note("clear", 1, |_| (self.cache().clear().unwrap(), None)),
            944..960 => self.note("flush", 1, |_| (self.cache().flush().unwrap(), None)),
            960..980 => {
                self.note("maintain", 1, |_| (self.cache().run_maintenance().unwrap(), None));
            }
            _ => self.ask(),
        }
    }

    /// What asks the whole file, or mends it.
    fn ask(&mut self) {
        match self.random.below(20) {
            0..3 => self.scan(),
            3..5 => self.note("verify", 1, |_| {
                let report = self.cache().verify().unwrap();
                assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
                ((), None)
            }),
            5 => self.note("purge_outdated", 1, |_| {
                assert_eq!(self.cache().purge_outdated().unwrap(), 0);
                ((), None)
            }),
            6 => self.note("repair", 1, |_| {
                let repaired = self.cache().repair().unwrap();
                assert!(repaired.removed == 0 && !repaired.totals_changed, "{repaired:?}");
                ((), None)
            }),
            7 if self.desk.plan.era <= ERA_OF_SHRINKING => {
                self.note("shrink", 1, |_| (self.cache().shrink().unwrap(), None));
            }
            8 => drop(self.note("len", 1, |_| (self.cache().total_size().unwrap(), None))),
            _ => drop(self.note("len", 1, |_| (self.cache().len().unwrap(), None))),
        }
    }

    fn cache(&self) -> &'d DiskBackedCache<Entry> {
        &self.caches[self.collection as usize]
    }

    fn at(&self, number: u64) -> At<'d, Entry, SqliteStore> {
        self.cache().at(time(number))
    }

    /// For what is put under `key`.
    fn with(&self, number: u64, key: u32) -> With<'d, Entry, SqliteStore> {
        let plan = self.desk.plan;
        let mut options = PutOptions::new();
        if plan.has_tag(key) {
            options = options.tag(TAG);
        }
        if let Some(ttl) = plan.own_ttl(key) {
            options = options.ttl(Duration::from_millis(ttl));
        }
        self.at(number).with(options)
    }

    fn note<R>(
        &self,
        what: &str,
        numbers: u64,
        operation: impl FnOnce(u64) -> (R, Option<u64>),
    ) -> R {
        self.desk.note(self.collection, what, numbers, operation)
    }

    fn key(&mut self) -> u32 {
        self.random.below(self.desk.plan.keys.into()) as u32
    }

    /// So many different keys.
    fn keys(&mut self, count: u64) -> Vec<u32> {
        let mut keys = Vec::new();
        while (keys.len() as u64) < count.min(self.desk.plan.keys.into()) {
            let key = self.key();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn keys_that(&self, are_meant: impl Fn(&Plan, u32) -> bool) -> Vec<u32> {
        (0..self.desk.plan.keys).filter(|key| are_meant(self.desk.plan, *key)).collect()
    }

    fn put_several(&mut self) {
        let count = 2 + self.random.below(30);
        self.put(count);
    }

    /// Of several keys those that are put with the same options.
    fn put(&mut self, count: u64) {
        let mut keys = self.keys(count);
        let plan = self.desk.plan;
        let options = |key: u32| (plan.has_tag(key), plan.own_ttl(key));
        let first = keys[0];
        keys.retain(|key| options(*key) == options(first));
        let entry = |first: u64, place: usize| Entry::new(keys[place], first + place as u64);
        match keys[..] {
            [key] => self.note(&listed("put", &keys), 1, |number| {
                (self.with(number, key).put(&name(key), entry(number, 0)).unwrap(), None)
            }),
            _ => self.note(&listed("put_many", &keys), keys.len() as u64, |number| {
                let pairs = (0..keys.len()).map(|place| (name(keys[place]), entry(number, place)));
                (self.with(number, keys[0]).put_many(pairs).unwrap(), None)
            }),
        }
    }

    fn load(&mut self) {
        let key = self.key();
        self.note(&listed("load", &[key]), 1, |number| {
            let cache = self.with(number, key);
            let found = cache.get_or_insert_with(&name(key), || Entry::new(key, number)).unwrap();
            ((), Some(number_of(&found, key)))
        });
    }

    /// What it finds may be replaced later, by a thread that nobody waits for.
    fn refresh(&mut self) {
        let (key, turns) = (self.key(), self.random.below(2) * self.random.below(100));
        self.note(&listed("refresh", &[key]), 1, |number| {
            let tell = self.desk.teller(number);
            let load = move || {
                tell();
                // Half of them take as long as others need to do something meanwhile.
                (0..turns).for_each(|_| thread::yield_now());
                Entry::new(key, number)
            };
            let cache = self.with(number, key);
            let found = cache.get_or_refresh_with(&name(key), load).unwrap();
            ((), Some(number_of(&found, key)))
        });
    }

    fn put_if_absent(&mut self) {
        let key = self.key();
        self.note(&listed("put_if_absent", &[key]), 1, |number| {
            let entry = Entry::new(key, number);
            let stored = self.with(number, key).put_if_absent(&name(key), entry).unwrap();
            ((), idle_unless(stored))
        });
    }

    fn put_if_revision(&mut self) {
        let key = self.key();
        self.note(&listed("put_if_revision", &[key]), 1, |number| {
            let info = self.at(number).info(&name(key)).unwrap();
            let stored = info.and_then(|info| info.revision).is_some_and(|revision| {
                let entry = Entry::new(key, number);
                self.with(number, key).put_if_revision(&name(key), entry, revision).unwrap()
            });
            ((), idle_unless(stored))
        });
    }

    fn update(&mut self) {
        let key = self.key();
        self.note(&listed("update_with", &[key]), 1, |number| {
            let updated = self.with(number, key).update_with(&name(key), |there| {
                assert!(there.is_none_or(|entry| entry.is_whole(key)), "{there:?}");
                Some(Entry::new(key, number))
            });
            assert_eq!(number_of(&updated.unwrap().expect("it was stored"), key), number);
            ((), None)
        });
    }

    fn get(&mut self) {
        let key = self.key();
        self.note(&listed("get", &[key]), 1, |number| {
            let found = self.at(number).get(&name(key)).unwrap();
            ((), found.map(|entry| number_of(&entry, key)))
        });
    }

    fn touch(&mut self) {
        let key = self.key();
        self.note(&listed("touch", &[key]), 1, |number| {
            ((), idle_unless(self.at(number).touch(&name(key)).unwrap()))
        });
    }

    fn get_many(&mut self) {
        let keys = self.keys(8);
        self.note("get_many", 1, |number| {
            let found = self.at(number).get_many(keys.iter().map(|key| name(*key))).unwrap();
            for key in &keys {
                let whole = found.get(&name(*key)).is_none_or(|entry| entry.is_whole(*key));
                assert!(whole, "a get_many of key {key} found {found:?}");
            }
            ((), None)
        });
    }

    /// What changes nothing.
    fn look(&mut self) {
        let (key, which) = (self.key(), self.random.below(4));
        self.note("look", 1, |number| {
            let (cache, name) = (self.at(number), name(key));
            match which {
                0 => {
                    let found = cache.peek(&name).unwrap();
                    assert!(found.is_none_or(|entry| entry.is_whole(key)));
                }
                1 => drop(cache.ttl(&name).unwrap()),
                2 => assert!(cache.info(&name).unwrap().is_none_or(|info| info.key == name)),
                _ => drop((cache.contains_key(&name).unwrap(), cache.tier_of(&name).unwrap())),
            }
            ((), None)
        });
    }

    fn scan(&self) {
        self.note("scan", 1, |number| {
            let mut last = String::new();
            for found in self.at(number).scan("").values() {
                let (found, entry) = found.unwrap();
                assert!(last < found && name(entry.key) == found && entry.is_whole(entry.key));
                last = found;
            }
            ((), None)
        });
    }

    fn delete_several(&mut self) {
        let count = 2 + self.random.below(10);
        self.delete(count);
    }

    fn delete(&mut self, count: u64) {
        let keys = self.keys(count);
        match keys[..] {
            [key] => self.note(&listed("delete", &keys), 1, |number| {
                self.at(number).delete(&name(key)).unwrap();
                ((), None)
            }),
            _ => self.note(&listed("delete_many", &keys), 1, |number| {
                let names = keys.iter().map(|key| name(*key));
                self.at(number).delete_many(names).unwrap();
                ((), None)
            }),
        }
    }

    /// Deletes by the tag, which is to be what it is to delete all keys that have it.
    fn delete_tagged(&self) {
        let keys = self.keys_that(Plan::has_tag);
        if !keys.is_empty() {
            self.note(&listed("delete_tag", &keys), 1, |number| {
                (self.expect_deleted(self.at(number).delete_tag(TAG).unwrap(), &keys), None)
            });
        }
    }

    fn delete_prefix(&mut self) {
        let mut prefix = name(self.key());
        prefix.pop();
        let keys = self.keys_that(|_, key| name(key).starts_with(&prefix));
        self.note(&listed("delete_prefix", &keys), 1, |number| {
            (self.expect_deleted(self.at(number).delete_prefix(&prefix).unwrap(), &keys), None)
        });
    }

    /// Removes some, where nothing has expired: what has it leaves alone.
    fn retain(&mut self) {
        let rest = self.random.below(7) as u32;
        if self.desk.plan.of(self.collection).lives != Lives::ENDLESS {
            return;
        }
        let keys = self.keys_that(|plan, key| key % 7 == rest && plan.own_ttl(key).is_none());
        self.note(&listed("retain", &keys), 1, |number| {
            let names: Vec<String> = keys.iter().map(|key| name(*key)).collect();
            let removed = self.at(number).retain(|key, info| {
                assert_eq!(key, info.key);
                !names.iter().any(|name| name == key)
            });
            (self.expect_deleted(removed.unwrap(), &keys), None)
        });
    }

    /// What others put again meanwhile may be deleted again (J2, G9).
    fn expect_deleted(&self, deleted: u64, keys: &[u32]) {
        assert!(
            self.desk.plan.threads > 1 || deleted <= keys.len() as u64,
            "{deleted} of {keys:?}"
        );
    }

    fn take(&mut self) {
        let key = self.key();
        self.note(&listed("take", &[key]), 1, |number| {
            let taken = self.at(number).take(&name(key)).unwrap();
            ((), idle_unless(taken.is_some_and(|entry| number_of(&entry, key) > 0)))
        });
    }
}

/// What is told of an operation that has changed something, or not.
fn idle_unless(changed: bool) -> Option<u64> {
    (!changed).then_some(0)
}

fn number_of(entry: &Entry, key: u32) -> u64 {
    assert!(entry.is_whole(key), "what is kept of key {key} is {entry:?}");
    entry.number
}

fn listed(what: &str, keys: &[u32]) -> String {
    let mut line = what.to_owned();
    keys.iter().for_each(|key| line.push_str(&format!(" {key}")));
    line
}
