//! Both tiers as one would put them together by hand: `quick_cache` in front of rusqlite.

use super::rusqlite::Table;
use crate::contender::{Contender, Facts, Peer, Tiers};
use crate::object::Customer;
use quick_cache::sync::Cache;
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "by-hand",
        tiers: Tiers::Both,
        open: |setup| {
            let (memory, disk) = (Cache::new(setup.memory_entries), Table::open(setup));
            Box::new(Combined { memory, disk })
        },
        facts: Facts {
            eviction: "Clock-PRO in memory; on disk by time of the last put",
            bounds_disk: true,
            ..Facts::store(
                "`quick_cache` in front of the table by hand",
                "all of it after the process crashed; after power loss all but the latest",
            )
        },
    }]
}

struct Combined {
    memory: Cache<String, Arc<Customer>>,
    disk: Table,
}

impl Contender for Combined {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        if let Some(value) = self.memory.get(key) {
            return Some(value);
        }
        let value = self.disk.get(key)?;
        self.memory.insert(key.to_owned(), Arc::clone(&value));
        Some(value)
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.disk.put(key, Arc::clone(&value));
        self.memory.insert(key.to_owned(), value);
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        for (key, value) in &pairs {
            self.memory.insert(key.clone(), Arc::clone(value));
        }
        self.disk.put_many(pairs);
    }
}
