//! What every contender is: one small trait in front of it, and what it promises, in words.

use crate::object::Customer;
use std::path::Path;
use std::sync::Arc;

/// A cache or store that is opened and then used from any number of threads.
pub trait Contender: Send + Sync {
    /// The object of `key`: shared where it lies in memory, decoded where it lies on disk.
    fn get(&self, key: &str) -> Option<Arc<Customer>>;

    fn put(&self, key: &str, value: Arc<Customer>);

    /// Stores many objects in the contender's fastest way.
    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        pairs.into_iter().for_each(|(key, value)| self.put(&key, value));
    }

    /// Waits until what was put is where a later process finds it.
    fn settle(&self) {}
}

/// What a contender is opened with.
#[derive(Clone)]
pub struct Setup<'f> {
    /// Where its files lie, if it has any.
    pub folder: &'f Path,
    /// Objects in memory, for those with a memory tier. 0 turns it off where that can be done.
    pub memory_entries: usize,
    /// How many entries it will hold on disk.
    pub disk_entries: usize,
    /// Whether more than these are to be driven out, by those that can.
    pub bounded: bool,
    /// About how large an object is.
    pub object_bytes: usize,
    /// Whether it is opened only to be filled and closed, so that it may write as fast as it can.
    pub filling: bool,
}

/// Where a contender keeps objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tiers {
    Memory,
    Disk,
    Both,
}

impl Tiers {
    pub fn has_disk(self) -> bool {
        self != Self::Memory
    }
}

/// A contender that can be named on the command line.
pub struct Peer {
    pub name: &'static str,
    pub tiers: Tiers,
    pub open: fn(&Setup<'_>) -> Box<dyn Contender>,
    pub facts: Facts,
}

/// What the tables say about a contender beside its figures.
pub struct Facts {
    /// What it is, with its settings.
    pub what: &'static str,
    /// Which entry goes when there is no room.
    pub eviction: &'static str,
    pub ttl: &'static str,
    /// What of the acknowledged writes is there after a crash.
    pub crash: &'static str,
    /// Whether it stores many objects at once.
    pub batches: bool,
    /// Whether it keeps the number (or bytes) of its entries on disk within a limit.
    pub bounds_disk: bool,
    /// Whether it differs from another one only in how it writes, so that reads need not be measured.
    pub writes_only: bool,
    /// More entries than this would only measure the file system.
    pub most_entries: usize,
}

impl Facts {
    /// Of a contender without files.
    pub const fn memory(what: &'static str, eviction: &'static str, ttl: &'static str) -> Self {
        Self {
            what,
            eviction,
            ttl,
            crash: "nothing",
            batches: false,
            bounds_disk: false,
            writes_only: false,
            most_entries: usize::MAX,
        }
    }

    /// Of a store that grows without limit and stores batches.
    pub const fn store(what: &'static str, crash: &'static str) -> Self {
        Self {
            what,
            eviction: "none, it grows",
            ttl: "none",
            crash,
            batches: true,
            bounds_disk: false,
            writes_only: false,
            most_entries: usize::MAX,
        }
    }
}
