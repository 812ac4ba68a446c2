//! Numbers that a seed determines.

use std::hash::{BuildHasher, RandomState};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// `DBC_SEED`, or one that nobody knows before.
pub fn seed() -> u64 {
    match std::env::var("DBC_SEED") {
        Ok(seed) => seed.parse().expect("DBC_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

/// Whether the long form is asked for.
pub fn is_long() -> bool {
    std::env::var("DBC_LONG").is_ok_and(|long| long == "1")
}
