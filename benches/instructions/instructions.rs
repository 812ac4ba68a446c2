//! What the cache's main operations cost in instructions, counted by callgrind.
//!
//! Instructions are no time: they do not know what waits for memory, for locks or for the disk. But
//! they do not drift, so a change that makes an operation longer is found on any machine. Each limit
//! is a tenth above what was counted when it was last set; whoever makes an operation longer on
//! purpose sets it anew, and says why.
//!
//! `cargo bench --manifest-path benches/instructions/Cargo.toml` needs valgrind and
//! `cargo install gungraun-runner`.

use disk_backed_cache::{Builder, Cacheable, DiskBackedCache, Durability, Json, MessagePack};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
struct Customer {
    id: u64,
    name: String,
    email: String,
    balance_cents: i64,
    tags: Vec<String>,
}

/// How often each operation is done.
const OPERATIONS: u64 = 1_000;

/// A cache with rows under the keys to be asked for.
struct Filled {
    cache: DiskBackedCache<Customer>,
    keys: Vec<String>,
    /// Gone with the cache.
    _folder: Option<TempDir>,
}

fn customer(id: u64) -> Customer {
    Customer {
        id,
        name: format!("Customer Number {id:06}"),
        email: format!("customer.{id:06}@example.com"),
        balance_cents: id as i64 * 37,
        tags: vec!["retail".to_owned(), "loyal".to_owned()],
    }
}

/// Without a thread, so that the same is done every time.
fn builder() -> Builder<Customer> {
    let hour = Duration::from_secs(3_600);
    DiskBackedCache::builder().disk_ttl(hour).background_maintenance(false)
}

fn filled(builder: Builder<Customer>) -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let cache = builder.open(folder.path().join("cache.db")).unwrap();
    fill(cache, Some(folder))
}

fn fill(cache: DiskBackedCache<Customer>, folder: Option<TempDir>) -> Filled {
    let keys: Vec<String> =
        (0..OPERATIONS).map(|id| format!("{:016x}", id * 0x9E37_79B9)).collect();
    cache.put_many(keys.iter().zip((0..).map(customer))).unwrap();
    cache.flush().unwrap();
    Filled { cache, keys, _folder: folder }
}

fn in_memory() -> Filled {
    filled(builder())
}

fn on_disk() -> Filled {
    filled(builder().memory_entries(0).codec(Json))
}

fn on_disk_packed() -> Filled {
    filled(builder().memory_entries(0).codec(MessagePack))
}

/// Rows that were read already. (Of a file they are kept where there is a thread.)
fn kept() -> Filled {
    let cache = builder().memory_entries(0).open_in_memory().unwrap();
    let filled = fill(cache, None);
    get_all(&filled);
    filled
}

/// Full, so that every new entry drives one out of both tiers.
fn full() -> Filled {
    filled(builder().memory_entries(OPERATIONS / 2).disk_entries(OPERATIONS))
}

fn buffered() -> Filled {
    let durability =
        Durability::Buffered { max_delay: Duration::from_secs(60), max_bytes: 1 << 30 };
    filled(builder().durability(durability))
}

fn get_all(filled: &Filled) {
    for key in &filled.keys {
        black_box(filled.cache.get(key).unwrap().unwrap());
    }
}

fn limit(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

#[library_benchmark]
#[bench::memory(args = (in_memory()), config = limit(230_800))]
#[bench::disk(args = (on_disk()), config = limit(20_680_000))]
#[bench::kept(args = (kept()), config = limit(8_200_000))]
#[bench::disk_packed(args = (on_disk_packed()), config = limit(19_040_000))]
fn get(filled: Filled) -> Filled {
    get_all(&filled);
    filled
}

// A hit, at most a tenth above a get's limit.
#[library_benchmark]
#[bench::memory(args = (in_memory()), config = limit(253_880))]
fn load(filled: Filled) -> Filled {
    for key in &filled.keys {
        let load = || -> Customer { unreachable!("it is there") };
        black_box(filled.cache.get_or_insert_with(key, load).unwrap());
    }
    filled
}

#[library_benchmark]
#[bench::replacing(args = (in_memory(), "", customer(0)), config = limit(92_070_000))]
#[bench::evicting(args = (full(), "new", customer(0)), config = limit(115_990_000))]
#[bench::buffered(args = (buffered(), "", customer(0)), config = limit(5_970_000))]
fn put(filled: Filled, prefix: &str, value: Customer) -> Filled {
    let value = Arc::new(value);
    for key in &filled.keys {
        filled.cache.put(&format!("{prefix}{key}"), Arc::clone(&value)).unwrap();
    }
    filled
}

#[library_benchmark]
#[bench::evicting(args = (full()), config = limit(47_810_000))]
fn put_many(filled: Filled) -> Filled {
    let new = |(key, id): (&String, u64)| (format!("new{key}"), customer(id));
    filled.cache.put_many(filled.keys.iter().zip(0..).map(new)).unwrap();
    filled
}

library_benchmark_group!(name = operations, benchmarks = [get, load, put, put_many]);

main!(library_benchmark_groups = operations);
