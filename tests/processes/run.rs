//! How long a run takes and what is random in it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whether the long form was asked for.
pub fn is_long() -> bool {
    std::env::var_os("DBC_LONG").is_some_and(|long| long == "1")
}

/// The seed that `DBC_SEED` names, or a new one.
pub fn seed() -> u64 {
    match std::env::var("DBC_SEED") {
        Ok(seed) => seed.parse().expect("DBC_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| {
            // Its lower half, which fits everybody's clipboard.
            u64::from(since.subsec_nanos()) ^ since.as_secs()
        }),
    }
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }
}
