//! What is cached: objects of about 250 bytes of JSON under keys of 16 characters.

use disk_backed_cache::{Builder, Cacheable, DiskBackedCache};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
pub struct Customer {
    id: u64,
    name: String,
    email: String,
    balance_cents: i64,
    newsletter: bool,
    tags: Vec<String>,
    address: Address,
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    postcode: String,
    latitude: f64,
    longitude: f64,
}

impl Customer {
    pub fn new(id: u64) -> Self {
        let degrees = (id % 90) as f64;
        Self {
            id,
            name: format!("Customer Number {id:06}"),
            email: format!("customer.{id:06}@example.com"),
            balance_cents: (id as i64 - 500) * 37,
            newsletter: id.is_multiple_of(3),
            tags: vec!["retail".to_owned(), "loyal".to_owned()],
            address: Address {
                street: format!("{id:06} Long Street"),
                city: "Springfield".to_owned(),
                postcode: format!("{:05}", id % 100_000),
                latitude: degrees + 0.125,
                longitude: -degrees - 0.625,
            },
        }
    }
}

/// Objects to be stored again and again, so that making them costs nothing while it is measured.
pub struct Customers(Vec<Arc<Customer>>);

impl Customers {
    pub fn new() -> Self {
        Self((0..1_024).map(Customer::new).map(Arc::new).collect())
    }

    pub fn get(&self, id: u64) -> &Arc<Customer> {
        &self.0[id as usize % self.0.len()]
    }
}

/// The key of a number. Neighbouring numbers lie far apart in the alphabet, as in most caches.
pub fn key(number: u64) -> String {
    format!("{:016x}", mixed(number))
}

/// Keys to be asked for, in an order made beforehand, round and round.
#[derive(Clone)]
pub struct Keys {
    keys: Arc<[String]>,
    next: usize,
}

impl Keys {
    /// `count` times the key of a random number below `below`.
    pub fn random(count: u64, below: u64) -> Self {
        let number = |index| mixed(index ^ 0xC0FF_EE00_0000) % below;
        Self { keys: (0..count).map(|index| key(number(index))).collect(), next: 0 }
    }

    /// The next `count` keys.
    pub fn take(&mut self, count: u64) -> Vec<&str> {
        let from = self.next;
        self.next = (from + count as usize) % self.keys.len();
        let round = self.keys.iter().cycle().skip(from);
        round.take(count as usize).map(String::as_str).collect()
    }
}

/// A bijection that leaves no pattern (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A cache as an application would open it: both TTLs, the system clock, background maintenance.
pub fn cache() -> Builder<Customer> {
    DiskBackedCache::builder()
        .memory_ttl(Duration::from_secs(1_800))
        .disk_ttl(Duration::from_secs(3_600))
}

/// Stores `count` objects, each of its own, under the keys of 0, 1, 2 and so on.
pub fn fill(cache: &DiskBackedCache<Customer>, count: u64) {
    let numbers: Vec<u64> = (0..count).collect();
    for page in numbers.chunks(10_000) {
        cache.put_many(page.iter().map(|&number| (key(number), Customer::new(number)))).unwrap();
    }
}
