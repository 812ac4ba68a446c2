//! What is cached: objects of about 250 bytes of JSON or more, or of about 90, under keys of 16
//! characters.

use disk_backed_cache::Cacheable;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Uniform, Zipf};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of every key.
const KEY_BYTES: usize = 16;

/// The exponent of every Zipf distribution here, as in YCSB.
const ZIPF_EXPONENT: f64 = 0.99;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
pub struct Customer {
    id: u64,
    name: String,
    balance_cents: i64,
    newsletter: bool,
    // What a small one has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<Vec<Order>>,
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    postcode: String,
    latitude: f64,
    longitude: f64,
}

/// About 128 bytes of JSON.
#[derive(Serialize, Deserialize)]
struct Order {
    number: u64,
    article: String,
    pieces: u32,
    cents: i64,
    remark: Option<String>,
}

impl Customer {
    /// About 90 bytes of JSON.
    pub fn small(id: u64) -> Self {
        Self {
            id,
            name: format!("Customer Number {id:06}"),
            balance_cents: (id as i64 - 500) * 37,
            newsletter: id.is_multiple_of(3),
            email: None,
            tags: None,
            address: None,
            orders: None,
        }
    }

    /// About 250 bytes of JSON.
    pub fn new(id: u64) -> Self {
        let degrees = (id % 90) as f64;
        Self {
            email: Some(format!("customer.{id:06}@example.com")),
            tags: Some(vec!["retail".to_owned(), "loyal".to_owned()]),
            address: Some(Address {
                street: format!("{id:06} Long Street"),
                city: "Springfield".to_owned(),
                postcode: format!("{:05}", id % 100_000),
                latitude: degrees + 0.125,
                longitude: -degrees - 0.625,
            }),
            orders: Some(Vec::new()),
            ..Self::small(id)
        }
    }

    /// A small one, or one with as many orders as make it about `bytes` of JSON.
    pub fn of_size(id: u64, bytes: usize) -> Self {
        if bytes < 250 {
            return Self::small(id);
        }
        let orders = bytes.saturating_sub(250) / 128;
        let order = |index: u64| Order {
            number: 10_000_000 + id + index,
            article: format!("Article {:06} of the great catalogue", (id * 31 + index) % 1_000_000),
            pieces: 1 + (index % 7) as u32,
            cents: 1_999 + index as i64,
            remark: index.is_multiple_of(2).then(|| "to be left with the neighbours".to_owned()),
        };
        Self { orders: Some((0..orders as u64).map(order).collect()), ..Self::new(id) }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has nothing that JSON does not have")
    }

    pub fn decode(bytes: &[u8]) -> Arc<Self> {
        Arc::new(serde_json::from_slice(bytes).expect("it was encoded from one"))
    }

    pub fn id(&self) -> u64 {
        self.id
    }
}

/// The key of a number. Neighbouring numbers lie far apart in the alphabet, as in most caches.
pub fn key(number: u64) -> String {
    format!("{:016x}", mixed(number))
}

/// A bijection that leaves no pattern (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Keys in the order of their use, one behind the other, so that fetching the next one costs next to
/// nothing while it is measured.
pub struct Keys(String);

impl Keys {
    pub fn of(numbers: impl IntoIterator<Item = u64>) -> Self {
        Self(numbers.into_iter().map(key).collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| &self.0[index * KEY_BYTES..(index + 1) * KEY_BYTES])
    }

    pub fn len(&self) -> usize {
        self.0.len() / KEY_BYTES
    }
}

/// Which of many numbers is asked for how often.
#[derive(Clone, Copy)]
pub enum Popularity {
    Uniform,
    Zipf,
}

impl Popularity {
    /// `count` numbers below `below`; the same for the same `seed`.
    pub fn numbers(self, below: u64, count: usize, seed: u64) -> Vec<u64> {
        let mut rng = StdRng::seed_from_u64(seed);
        match self {
            Self::Uniform => {
                let uniform = Uniform::new(0, below).expect("there are numbers below it");
                (0..count).map(|_| uniform.sample(&mut rng)).collect()
            }
            Self::Zipf => {
                // Which number is popular must have nothing to do with when it was put.
                let mut ranked: Vec<u64> = (0..below).collect();
                ranked.shuffle(&mut StdRng::seed_from_u64(0));
                let zipf = Zipf::new(below as f64, ZIPF_EXPONENT).expect("both are positive");
                let rank = |rng: &mut StdRng| (zipf.sample(rng) as usize - 1).min(ranked.len() - 1);
                (0..count).map(|_| ranked[rank(&mut rng)]).collect()
            }
        }
    }
}
