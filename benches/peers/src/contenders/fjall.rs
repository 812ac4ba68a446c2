//! fjall: a log-structured merge tree.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "fjall",
        tiers: Tiers::Disk,
        open,
        facts: Facts::store(
            "`fjall` as it comes: its journal is not synced",
            "all of it after the process crashed; after power loss all but the latest",
        ),
    }]
}

fn open(setup: &Setup<'_>) -> Box<dyn Contender> {
    let database = Database::builder(setup.folder.join("fjall")).open().unwrap();
    let entries = database.keyspace("entries", KeyspaceCreateOptions::default).unwrap();
    Box::new(Fjall { database, entries })
}

struct Fjall {
    database: Database,
    entries: Keyspace,
}

impl Contender for Fjall {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.entries.get(key).unwrap().map(|value| Customer::decode(&value))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.entries.insert(key, value.encode()).unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        let mut batch = self.database.batch();
        for (key, value) in pairs {
            batch.insert(&self.entries, key, value.encode());
        }
        batch.commit().unwrap();
    }

    fn settle(&self) {
        self.database.persist(PersistMode::SyncAll).unwrap();
    }
}
