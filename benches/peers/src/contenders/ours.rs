//! The cache that all of this is about.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use disk_backed_cache::{Builder, DiskBackedCache, Durability, MemoryCache, MessagePack};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Each with the settings that tell it from the others.
pub fn peers() -> Vec<Peer> {
    const SYNCED: Facts = Facts {
        what: "`disk_backed_cache` with `Durability::Synced`",
        crash: "everything, power loss included",
        writes_only: true,
        ..FACTS
    };
    const BUFFERED: Facts = Facts {
        what: "`disk_backed_cache` with `Durability::Buffered` (100 ms, 64 MiB: the size of fjall's write buffer)",
        crash: "all but what was accepted within the last 100 ms, after a crash of the process too",
        ..FACTS
    };
    const COMPACT: Facts =
        Facts { what: "`disk_backed_cache` with the codec `MessagePack`", ..FACTS };
    const FOUR_FILES: Facts = Facts {
        what: "four files of `disk_backed_cache`, each key in the one that its XXH3 names",
        eviction: "exact LRU in each file",
        writes_only: true,
        ..FACTS
    };
    vec![
        Peer {
            name: "ours",
            tiers: Tiers::Both,
            open: |setup| open(setup, |builder| builder),
            facts: FACTS,
        },
        Peer {
            name: "ours-memory",
            tiers: Tiers::Memory,
            open: |setup| {
                let builder = MemoryCache::builder().entries(setup.memory_entries as u64);
                Box::new(builder.ttl(MEMORY_TTL).build().unwrap())
            },
            facts: Facts::memory(
                "`disk_backed_cache::MemoryCache`: the memory tier with nothing beneath",
                "exact LRU",
                "sliding",
            ),
        },
        Peer {
            name: "ours-synced",
            tiers: Tiers::Disk,
            open: |setup| open(setup, |builder| builder.durability(Durability::Synced)),
            facts: SYNCED,
        },
        Peer {
            name: "ours-buffered",
            tiers: Tiers::Both,
            open: |setup| {
                let max_delay = Duration::from_millis(100);
                let durability = Durability::Buffered { max_delay, max_bytes: 64 << 20 };
                open(setup, |builder| builder.durability(durability))
            },
            facts: BUFFERED,
        },
        Peer {
            name: "ours-compact",
            tiers: Tiers::Disk,
            open: |setup| open(setup, |builder| builder.codec(MessagePack)),
            facts: COMPACT,
        },
        Peer {
            name: "ours-4-files",
            tiers: Tiers::Disk,
            open: |setup| Box::new(FourFiles::open(setup)),
            facts: FOUR_FILES,
        },
    ]
}

const FACTS: Facts = Facts {
    what: "`disk_backed_cache` as an application opens it: both TTLs, background maintenance",
    eviction: "exact LRU in both tiers",
    ttl: "sliding, one per tier",
    crash: "all of it after the process crashed; after power loss all but the latest",
    batches: true,
    bounds_disk: true,
    writes_only: false,
    most_entries: usize::MAX,
};

fn open(
    setup: &Setup<'_>,
    configure: impl FnOnce(Builder<Customer>) -> Builder<Customer>,
) -> Box<dyn Contender> {
    Box::new(Ours(configure(builder(setup)).open(setup.folder.join("cache.db")).unwrap()))
}

fn builder(setup: &Setup<'_>) -> Builder<Customer> {
    let builder = DiskBackedCache::builder()
        .memory_ttl(MEMORY_TTL)
        .disk_ttl(Duration::from_secs(3_600))
        .memory_entries(setup.memory_entries as u64)
        .memory_bytes(1 << 30);
    if setup.bounded { builder.disk_entries(setup.disk_entries as u64) } else { builder }
}

const MEMORY_TTL: Duration = Duration::from_secs(1_800);

struct Ours(DiskBackedCache<Customer>);

impl Contender for Ours {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.0.get(key).unwrap()
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.0.put(key, value).unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        self.0.put_many(pairs).unwrap();
    }

    fn settle(&self) {
        self.0.flush().unwrap();
    }
}

impl Contender for MemoryCache<Customer> {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.get(key)
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.put(key, value);
    }
}

const FILES: usize = 4;

/// Several caches, each with a file, a writer and a part of the limits of its own. The hash of a key
/// says which one it is in, and must say the same in every later process.
struct FourFiles([DiskBackedCache<Customer>; FILES]);

impl FourFiles {
    fn open(setup: &Setup<'_>) -> Self {
        let (memory_entries, disk_entries) =
            (setup.memory_entries / FILES, setup.disk_entries.div_ceil(FILES));
        let setup = Setup { memory_entries, disk_entries, ..setup.clone() };
        let file = |index| setup.folder.join(format!("cache-{index}.db"));
        Self(std::array::from_fn(|index| builder(&setup).open(file(index)).unwrap()))
    }

    fn index(key: &str) -> usize {
        (xxh3_64(key.as_bytes()) % FILES as u64) as usize
    }
}

impl Contender for FourFiles {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        self.0[Self::index(key)].get(key).unwrap()
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        self.0[Self::index(key)].put(key, value).unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        let mut parts: [Vec<_>; FILES] = Default::default();
        for (key, value) in pairs {
            parts[Self::index(&key)].push((key, value));
        }
        for (cache, part) in self.0.iter().zip(parts) {
            cache.put_many(part).unwrap();
        }
    }

    fn settle(&self) {
        self.0.iter().for_each(|cache| cache.flush().unwrap());
    }
}
