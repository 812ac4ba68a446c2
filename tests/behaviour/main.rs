//! What the cache does, rule by rule: every test names the rules of `docs/semantics.md` that it
//! checks, and runs on a file and on a database in memory wherever the rule speaks of both.

mod access;
mod batches;
mod buffered;
mod builder;
mod codecs;
#[cfg(feature = "zstd")]
mod compression;
mod conditional;
mod disorder;
mod durability;
#[cfg(feature = "encryption")]
mod encryption;
mod expiry;
mod expiry_upkeep;
mod file;
mod groups;
mod inner_close;
mod inner_writes;
mod keys;
mod leases;
mod lifecycle;
mod listener;
mod loading;
mod memory_cache;
mod operations;
mod own_ttl;
mod processes;
mod questions;
mod recency;
mod recency_exact;
mod reentry;
mod refreshing;
mod refreshing_panics;
mod repair;
mod scans;
mod self_loads;
mod shrinking;
mod size;
mod stale;
mod statistics;
mod support;
mod tags;
mod thread_end;
mod threads;
mod time;
mod touching;
mod upgrades;
mod versions;
mod waiting_loads;
