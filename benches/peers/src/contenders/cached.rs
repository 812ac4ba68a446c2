//! The disk cache of the `cached` crate: redb with a TTL.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::cached::{ConcurrentCached, RedbCache, SerializeCached};
use std::sync::Arc;
use std::time::Duration;

pub fn peers() -> Vec<Peer> {
    let peer = |name, open, facts| Peer { name, tiers: Tiers::Disk, open, facts };
    let facts = |what, crash| Facts {
        ttl: "from the put, 1 h",
        batches: false,
        ..Facts::store(what, crash)
    };
    vec![
        peer(
            "cached",
            |setup| open(setup, true),
            facts("`cached::RedbCache` of JSON strings", "everything, power loss included"),
        ),
        peer(
            "cached-relaxed",
            |setup| open(setup, false),
            Facts {
                writes_only: true,
                ..facts(
                    "`cached::RedbCache` with `durable(false)`",
                    "nothing since the last durable commit, of which it made none",
                )
            },
        ),
    ]
}

fn open(setup: &Setup<'_>, durable: bool) -> Box<dyn Contender> {
    let builder = RedbCache::<String, String>::builder("entries")
        .disk_dir(setup.folder)
        .ttl(Duration::from_secs(3_600))
        .durable(durable && !setup.filling);
    Box::new(Cached(builder.build().unwrap()))
}

struct Cached(RedbCache<String, String>);

impl Contender for Cached {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        let value = self.0.cache_get(&key.to_owned()).unwrap()?;
        Some(Customer::decode(value.as_bytes()))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        let json = String::from_utf8(value.encode()).expect("JSON is UTF-8");
        self.0.cache_set_ref(&key.to_owned(), &json).unwrap();
    }

    fn settle(&self) {
        self.0.flush().unwrap();
    }
}
