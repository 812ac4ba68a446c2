//! Caches in memory. Each holds `Arc<Customer>` under a `String`.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use foyer::{CacheBuilder, EvictionConfig, LruConfig, S3FifoConfig};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn peers() -> Vec<Peer> {
    let peer = |name, open, facts| Peer { name, tiers: Tiers::Memory, open, facts };
    vec![
        peer("lru", lru, Facts::memory("`Mutex<lru::LruCache>`", "exact LRU", "none")),
        peer("moka", moka, Facts::memory("`moka::sync::Cache`", "W-TinyLFU", "none set")),
        peer(
            "moka-tti",
            moka_tti,
            Facts::memory("`moka` with time to idle", "W-TinyLFU", "sliding, 30 min"),
        ),
        peer(
            "mini-moka",
            mini_moka,
            Facts::memory(
                "`mini_moka::sync::Cache`; a get needs a `String`, which is made for it",
                "W-TinyLFU",
                "none set",
            ),
        ),
        peer(
            "quick_cache",
            quick_cache,
            Facts::memory("`quick_cache::sync::Cache`", "Clock-PRO", "none"),
        ),
        peer(
            "foyer-lru",
            |setup| foyer(setup, LruConfig::default().into()),
            Facts::memory("`foyer::Cache`, LRU", "LRU per shard, 8 shards", "none"),
        ),
        peer(
            "foyer-s3fifo",
            |setup| foyer(setup, S3FifoConfig::default().into()),
            Facts::memory("`foyer::Cache`, S3-FIFO", "S3-FIFO per shard, 8 shards", "none"),
        ),
    ]
}

fn lru(setup: &Setup<'_>) -> Box<dyn Contender> {
    let capacity = NonZeroUsize::new(setup.memory_entries).expect("there is room for an object");
    Box::new(Mutex::new(LruCache::new(capacity)))
}

impl Contender for Mutex<LruCache<String, Arc<Customer>>> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.lock().unwrap().get(key).cloned()
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        let replaced = self.lock().unwrap().push(key.to_owned(), value);
        // What was driven out is dropped without the lock.
        drop(replaced);
    }
}

fn moka(setup: &Setup<'_>) -> Box<dyn Contender> {
    Box::new(moka::sync::Cache::new(setup.memory_entries as u64))
}

fn moka_tti(setup: &Setup<'_>) -> Box<dyn Contender> {
    let builder = moka::sync::Cache::builder()
        .max_capacity(setup.memory_entries as u64)
        .time_to_idle(Duration::from_secs(1_800));
    Box::new(builder.build())
}

impl Contender for moka::sync::Cache<String, Arc<Customer>> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.get(key)
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.insert(key.to_owned(), value);
    }

    fn settle(&self) {
        self.run_pending_tasks();
    }
}

fn mini_moka(setup: &Setup<'_>) -> Box<dyn Contender> {
    Box::new(mini_moka::sync::Cache::new(setup.memory_entries as u64))
}

impl Contender for mini_moka::sync::Cache<String, Arc<Customer>> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.get(&key.to_owned())
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.insert(key.to_owned(), value);
    }

    fn settle(&self) {
        mini_moka::sync::ConcurrentCacheExt::sync(self);
    }
}

fn quick_cache(setup: &Setup<'_>) -> Box<dyn Contender> {
    Box::new(quick_cache::sync::Cache::<String, Arc<Customer>>::new(setup.memory_entries))
}

impl Contender for quick_cache::sync::Cache<String, Arc<Customer>> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.get(key)
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.insert(key.to_owned(), value);
    }
}

fn foyer(setup: &Setup<'_>, eviction: EvictionConfig) -> Box<dyn Contender> {
    let builder = CacheBuilder::new(setup.memory_entries).with_eviction_config(eviction);
    Box::new(builder.build::<foyer::CacheProperties>())
}

impl Contender for foyer::Cache<String, Arc<Customer>> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.get(key).map(|entry| Arc::clone(entry.value()))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.insert(key.to_owned(), value);
    }
}
