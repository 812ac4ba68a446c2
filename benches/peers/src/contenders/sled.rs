//! sled: a lock-free tree over a log.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::sled::{Batch, Db};
use std::sync::Arc;

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "sled",
        tiers: Tiers::Disk,
        open: |setup: &Setup<'_>| Box::new(::sled::open(setup.folder.join("sled")).unwrap()),
        facts: Facts::store(
            "`sled` 0.34 as it comes: flushed every 500 ms",
            "all but the latest half second, after a crash of the process too",
        ),
    }]
}

impl Contender for Db {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        (**self).get(key).unwrap().map(|value| Customer::decode(&value))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.insert(key, value.encode()).unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        let mut batch = Batch::default();
        for (key, value) in pairs {
            batch.insert(key.as_str(), value.encode());
        }
        self.apply_batch(batch).unwrap();
    }

    fn settle(&self) {
        self.flush().unwrap();
    }
}
