//! The cache that all of this is about.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use disk_backed_cache::{Builder, DiskBackedCache, Durability, MessagePack};
use std::sync::Arc;
use std::time::Duration;

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
    vec![
        Peer {
            name: "ours",
            tiers: Tiers::Both,
            open: |setup| open(setup, |builder| builder),
            facts: FACTS,
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
    let mut builder = DiskBackedCache::builder()
        .memory_ttl(Duration::from_secs(1_800))
        .disk_ttl(Duration::from_secs(3_600))
        .memory_entries(setup.memory_entries as u64)
        .memory_bytes(1 << 30);
    if setup.bounded {
        builder = builder.disk_entries(setup.disk_entries as u64);
    }
    Box::new(Ours(configure(builder).open(setup.folder.join("cache.db")).unwrap()))
}

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
