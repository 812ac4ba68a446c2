//! foyer's hybrid cache: memory over a device of blocks, written in the background.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::foyer::{
    BlockEngineConfig, Code, DeviceBuilder, Error, FsDeviceBuilder, HybridCache,
    HybridCacheBuilder, HybridCachePolicy, LruConfig, Result, Spawner,
};
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::runtime::Runtime;

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "foyer-hybrid",
        tiers: Tiers::Both,
        open,
        facts: Facts {
            eviction: "LRU per shard in memory; whole blocks on disk, oldest first",
            batches: false,
            bounds_disk: true,
            ..Facts::store(
                "`foyer::HybridCache`, LRU, written on insertion",
                "what its writer had written by then; it drops puts when it cannot follow",
            )
        },
    }]
}

/// What lies before an entry's value in its block.
const HEADER_BYTES: usize = 64;

/// Entries begin on page boundaries.
const PAGE_BYTES: usize = 4_096;

/// Room for the puts that its writer has not come to.
const BUFFER_BYTES: usize = 64 << 20;

fn open(setup: &Setup<'_>) -> Box<dyn Contender> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let capacity =
        setup.disk_entries * (setup.object_bytes + HEADER_BYTES).next_multiple_of(PAGE_BYTES);
    // The largest that still gives it enough of them to choose from; 16 MiB is its default.
    let block = (capacity / 32).clamp(1 << 20, 16 << 20);
    // Without a limit a quarter more, with one exactly the limit and the block that is being written.
    let blocks = if setup.bounded { capacity / block + 2 } else { capacity / block * 5 / 4 + 8 };
    let device = FsDeviceBuilder::new(setup.folder.join("foyer")).with_capacity(blocks * block);
    let memory = HybridCacheBuilder::new()
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        .with_flush_on_close(false)
        .memory(setup.memory_entries.max(1));
    let memory = if setup.memory_entries == 0 { memory.with_shards(1) } else { memory };
    let engine = BlockEngineConfig::new(device.build().unwrap())
        .with_block_size(block)
        .with_buffer_pool_size(BUFFER_BYTES);
    let building = memory
        .with_eviction_config(LruConfig::default())
        .storage()
        .with_engine_config(engine)
        .with_spawner(Spawner::from(runtime.handle().clone()))
        .build();
    let cache = runtime.block_on(building).unwrap();
    Box::new(Hybrid { cache, runtime })
}

struct Hybrid {
    cache: HybridCache<String, Stored>,
    runtime: Runtime,
}

impl Contender for Hybrid {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        // What lies in memory is there at once.
        let entry = match self.cache.get(key).try_unwrap() {
            Ok(entry) => Some(entry),
            Err(pending) => self.runtime.block_on(pending).unwrap(),
        };
        entry.map(|entry| Arc::clone(&entry.value().0))
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.cache.insert(key.to_owned(), Stored(value));
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            self.put(&key, value);
            // It drops what its writer cannot follow.
            if index % 100 == 99 {
                self.settle();
            }
        }
        self.settle();
    }

    fn settle(&self) {
        self.runtime.block_on(self.cache.storage().wait());
    }
}

impl Drop for Hybrid {
    fn drop(&mut self) {
        self.runtime.block_on(self.cache.close()).unwrap();
    }
}

/// A value that foyer stores as JSON.
struct Stored(Arc<Customer>);

impl Code for Stored {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        writer.write_all(&self.0.encode()).map_err(Error::io_error)
    }

    fn decode(reader: &mut impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(Error::io_error)?;
        Ok(Self(Customer::decode(&bytes)))
    }

    fn estimated_size(&self) -> usize {
        self.0.encode().len()
    }
}
