//! What those who put and those who evict tell each other without a lock.

use crate::options::Limits;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What the limits speak of, over all shards. What comes is counted when it is there, in a write when all
/// of it is; what goes is counted before it is gone, under the shard's lock. On a line of its own, away
/// from what hits read.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Sums {
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// The shards into which something came at or below their bounds.
#[derive(Debug, Default)]
pub(super) struct Lowered([AtomicU64; WORDS]);

const WORDS: usize = super::MOST_SHARDS.div_ceil(64);

impl Sums {
    pub fn entries(&self) -> u64 {
        at_least_nothing(&self.entries)
    }

    pub fn bytes(&self) -> u64 {
        at_least_nothing(&self.bytes)
    }

    pub fn hold(&self, limits: Limits) -> bool {
        limits.hold(self.entries(), self.bytes())
    }

    /// Takes note of objects that came.
    pub fn came(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::SeqCst);
        if bytes > 0 {
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    /// Takes note of objects that go.
    pub fn went(&self, entries: u64, bytes: u64) {
        self.entries.fetch_sub(entries, Ordering::SeqCst);
        if bytes > 0 {
            self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
    }
}

/// What a write brought may go before the write has counted it: then the sum is below nothing for a moment.
fn at_least_nothing(sum: &AtomicU64) -> u64 {
    u64::try_from(sum.load(Ordering::SeqCst).cast_signed()).unwrap_or(0)
}

impl Lowered {
    pub fn add(&self, shard: usize) {
        self.0[shard / 64].fetch_or(1 << (shard % 64), Ordering::SeqCst);
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::SeqCst) == 0)
    }

    /// The shards there are, and none from here on.
    pub fn take(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().map(|word| match word.load(Ordering::SeqCst) {
            0 => 0,
            _ => word.swap(0, Ordering::SeqCst),
        });
        words.enumerate().flat_map(|(index, word)| {
            let rest = |bits: &u64| Some(bits & (bits - 1)).filter(|rest| *rest != 0);
            let bits = std::iter::successors(Some(word).filter(|word| *word != 0), rest);
            bits.map(move |bits| index * 64 + bits.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While one thread emptied memory that another one's write was just filling, objects went before
    /// they were counted: for a moment the sums were 2^64 less a few, `stats` said so, and whoever wrote
    /// just then evicted what there was.
    #[test]
    fn what_goes_before_it_was_counted_leaves_nothing() {
        let sums = Sums::default();
        sums.went(2, 10);
        assert_eq!((sums.entries(), sums.bytes()), (0, 0));
        assert!(sums.hold(Limits { entries: 0, bytes: 0 }));
        sums.came(3, 11);
        assert_eq!((sums.entries(), sums.bytes()), (1, 1));
    }

    #[test]
    fn shards_that_were_lowered_are_taken_once() {
        let lowered = Lowered::default();
        assert!(lowered.is_empty());
        [0, 63, 64, 127, 63].iter().for_each(|shard| lowered.add(*shard));
        assert!(!lowered.is_empty());
        assert_eq!(lowered.take().collect::<Vec<_>>(), [0, 63, 64, 127]);
        assert!(lowered.is_empty());
        assert_eq!(lowered.take().count(), 0);
    }
}
