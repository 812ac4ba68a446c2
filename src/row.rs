//! A row of the disk tier: keys and bytes, never a user's type.

use crate::entry::{CodecId, OwnTtl};
use crate::time::Timestamp;
use smol_str::SmolStr;
use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, RangeInclusive};
use std::sync::Arc;

/// Larger values are decoded and let go; smaller ones may be kept as they are.
pub(crate) const LARGEST_KEPT: usize = 16 << 10;

/// Values of these sizes lie in a buffer that is used again. To free one such piece of memory after the
/// other makes some allocators, glibc's among them, tidy up each time, and give memory back to the
/// system. Still larger ones are rare, and decoding them takes longer than that.
const BUFFERED: RangeInclusive<usize> = LARGEST_KEPT + 1..=1 << 20;

/// Everything about a row but its key and value.
#[derive(Clone, Debug)]
pub struct Meta {
    pub revision: i64,
    pub size: u64,
    pub created: Timestamp,
    /// As stored: at or below the true recency.
    pub accessed: Timestamp,
    /// Of the type that wrote the row, as text: nothing in a file is believed before it is parsed.
    pub version: SmolStr,
    pub codec: CodecId,
    pub ttl: Option<OwnTtl>,
    /// What a value says of itself that is compressed or encrypted, if it was looked at and is not known to
    /// be damaged.
    pub head: Option<Head>,
}

/// What stands before a value that is compressed or encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the encoding.
    pub encoded_size: u64,
    /// Of the key that it is encrypted with.
    pub key_version: Option<u32>,
}

impl Meta {
    /// Bytes of the encoding, of a row that can be read.
    pub(crate) fn encoded_size(&self) -> u64 {
        self.head.map_or(self.size, |head| head.encoded_size)
    }

    /// Of the key that the value is encrypted with.
    pub(crate) fn key_version(&self) -> Option<u32> {
        self.head?.key_version
    }
}

/// A row as read.
#[derive(Clone, Debug)]
pub struct Row {
    pub meta: Meta,
    pub value: Bytes,
    /// Whether the checksum is right.
    pub intact: bool,
}

/// The bytes of a value.
#[derive(Clone)]
pub struct Bytes(Place);

#[derive(Clone)]
enum Place {
    Shared(Arc<[u8]>),
    Lent(Buffer),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Shared(bytes) => bytes,
            Place::Lent(Buffer(bytes)) => bytes,
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(if BUFFERED.contains(&bytes.len()) {
            Place::Lent(Buffer::filled(bytes))
        } else {
            Place::Shared(bytes.into())
        })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Place::Shared(bytes.into()))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A buffer that goes to the thread's spare one when it is dropped.
struct Buffer(Vec<u8>);

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Buffer {
    /// Holds `bytes` and nothing of what it held before.
    fn filled(bytes: &[u8]) -> Self {
        let mut buffer = SPARE.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        // No more than that, so that no buffer is larger than the values it is for.
        buffer.reserve_exact(bytes.len());
        buffer.extend_from_slice(bytes);
        Self(buffer)
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::filled(&self.0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that ends keeps none.
        let _ended = SPARE.try_with(|spare| {
            let other = spare.take();
            spare.set(if other.capacity() < buffer.capacity() { buffer } else { other });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST_BUFFERED: usize = *BUFFERED.end();

    fn bytes(byte: u8, size: usize) -> Bytes {
        Bytes::from(&*vec![byte; size])
    }

    fn spare() -> usize {
        let spare = SPARE.take();
        let capacity = spare.capacity();
        SPARE.set(spare);
        capacity
    }

    #[test]
    fn a_buffer_is_used_again_and_shows_nothing_of_what_it_held() {
        let first = bytes(1, 50_000);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(spare(), 50_000);
        let second = bytes(2, 40_000);
        assert_eq!((spare(), second.as_ptr()), (0, place));
        assert_eq!(*second, [2; 40_000]);
        drop(second);
        let third = bytes(3, 60_000);
        assert_eq!(*third, [3; 60_000]);
        drop(third);
        assert_eq!(spare(), 60_000);
    }

    #[test]
    fn values_at_a_time_have_buffers_of_their_own_and_the_largest_is_kept() {
        let values = [(1, 20_000), (2, 40_000), (3, 30_000)].map(|(byte, size)| bytes(byte, size));
        let copies = values.clone();
        drop(values);
        assert_eq!(spare(), 40_000);
        let last = bytes(4, 20_000);
        assert_eq!(*copies[0], [1; 20_000]);
        assert_eq!(*copies[1], [2; 40_000]);
        assert_eq!(*copies[2], [3; 30_000]);
        assert_eq!(*last, [4; 20_000]);
    }

    #[test]
    fn small_values_are_shared_and_huge_ones_leave_no_buffer() {
        for size in [0, LARGEST_KEPT, LARGEST_BUFFERED + 1] {
            let value = bytes(1, size);
            assert_eq!((value.clone().as_ptr(), value.len()), (value.as_ptr(), size));
            drop(value);
            assert_eq!(spare(), 0);
        }
        drop(bytes(1, LARGEST_KEPT + 1));
        assert_eq!(spare(), LARGEST_KEPT + 1);
        drop(bytes(1, LARGEST_BUFFERED));
        assert_eq!(spare(), LARGEST_BUFFERED);
    }

    #[test]
    fn a_value_may_outlive_the_spare_buffer_of_its_thread() {
        thread_local! {
            static LATE: Cell<Option<Bytes>> = const { Cell::new(None) };
        }
        let ended = std::thread::spawn(|| {
            // Destroyed in this order or the other.
            LATE.set(Some(bytes(1, 20_000)));
            drop(bytes(2, 30_000));
        });
        ended.join().unwrap();
    }
}
