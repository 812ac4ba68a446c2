//! Rows as they were read from the disk tier, still encoded.
//!
//! A small read of an SQLite file descends two trees, whose pages lie all over memory. A row that was
//! read once is kept here, so that the next read of it costs little more than decoding it. What is
//! kept must be what the store would answer. So a row leaves when a write on its key ends, like a
//! slot, and is not asked for while one is under way; touches that are written back raise its
//! recency; and it names how often other processes had committed before it was read.
//!
//! The row that was read from the store the longest time ago goes first, however often it was found
//! here since: a list that every read reorders would cost as much again.

use super::{Hashed, RandomState, State, Touch};
use crate::key::Key;
use crate::row::Row;
use lru::LruCache;

/// What a row takes beside its key and value, at most.
const OVERHEAD: usize = 240;

/// Larger values are never kept: decoding them costs many times what finding them does.
const LARGEST_VALUE: usize = crate::row::LARGEST_KEPT;

/// The rows of one shard.
#[derive(Debug)]
pub(super) struct Rows {
    /// In the order in which they were read from the store.
    kept: LruCache<Key, Kept, RandomState>,
    bytes: usize,
    limit: usize,
    /// Larger values are not kept.
    largest: usize,
}

#[derive(Debug)]
struct Kept {
    row: Row,
    /// How often other processes had committed before it was read.
    others_commits: i64,
}

impl Kept {
    fn bytes(&self, key: &str) -> usize {
        OVERHEAD + key.len() + self.row.value.len()
    }
}

impl Rows {
    /// At most `limit` bytes of rows, with values of at most `largest`.
    pub fn new(limit: u64, largest: u64, hasher: RandomState) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let largest =
            usize::try_from(largest).map_or(LARGEST_VALUE, |most| most.min(LARGEST_VALUE));
        Self { kept: LruCache::unbounded_with_hasher(hasher), bytes: 0, limit, largest }
    }

    /// Keeps a row that was read after other processes had committed so often.
    pub fn keep(&mut self, key: &str, row: Row, others_commits: i64) {
        let kept = Kept { row, others_commits };
        let bytes = kept.bytes(key);
        let size = kept.row.meta.encoded_size().max(kept.row.value.len() as u64);
        if bytes > self.limit || size > self.largest as u64 {
            return self.forget(key);
        }
        if let Some(older) = self.kept.put(Key::from(key), kept) {
            self.bytes -= older.bytes(key);
        }
        self.bytes += bytes;
        while self.bytes > self.limit
            && let Some((key, kept)) = self.kept.pop_lru()
        {
            self.bytes -= kept.bytes(&key);
        }
    }

    pub fn forget(&mut self, key: &str) {
        if let Some(kept) = self.kept.pop(key) {
            self.bytes -= kept.bytes(key);
        }
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// Takes note that the store knows of a touch.
    pub fn note_stored(&mut self, touch: &Touch) {
        if let Some(Kept { row, .. }) = self.kept.peek_mut(touch.key.as_str())
            && row.meta.revision == touch.revision
        {
            row.meta.accessed = row.meta.accessed.max(touch.accessed);
        }
    }

    /// All keys and rows.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.kept.iter().map(|(key, kept)| (key, &kept.row))
    }

    /// Whether the sum of their bytes is right and within the limit.
    pub fn is_exact(&self) -> bool {
        let sum: usize = self.kept.iter().map(|(key, kept)| kept.bytes(key)).sum();
        sum == self.bytes && sum <= self.limit
    }
}

impl<V> State<V> {
    /// The row of `key`, if no write under way makes the store the place to ask and others have not
    /// committed since it was read.
    pub(super) fn kept_row(&self, key: Hashed<'_>, others_commits: i64) -> Option<Row> {
        if self.is_written(key) {
            return None;
        }
        let kept = self.rows.kept.peek(key.text)?;
        (kept.others_commits == others_commits).then(|| kept.row.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::CodecId;
    use crate::row::{Head, Meta};
    use crate::time::Timestamp;

    fn row(revision: i64, bytes: usize) -> Row {
        let time = Timestamp::from_nanos(revision);
        let meta = Meta {
            revision,
            size: bytes as u64,
            created: time,
            accessed: time,
            version: "1.0.0".into(),
            codec: CodecId::JSON,
            ttl: None,
            head: None,
        };
        Row { meta, value: vec![0; bytes].into(), intact: true }
    }

    fn keys(rows: &Rows) -> Vec<&str> {
        rows.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn the_row_that_was_read_first_goes_first() {
        let mut rows = Rows::new(3 * (OVERHEAD as u64 + 1), u64::MAX, RandomState::default());
        for (revision, key) in (1..).zip(["a", "b", "c", "a", "d"]) {
            rows.keep(key, row(revision, 0), 0);
            assert!(rows.is_exact());
        }
        assert_eq!(keys(&rows), ["d", "a", "c"]);
        rows.keep("e", row(6, OVERHEAD + 1), 0);
        assert_eq!((keys(&rows), rows.is_exact()), (vec!["e", "d"], true));
        rows.keep("d", row(7, 3 * OVERHEAD), 0);
        assert_eq!(
            (keys(&rows), rows.is_exact()),
            (vec!["e"], true),
            "too large, and not the old one"
        );
        rows.clear();
        assert_eq!((keys(&rows).len(), rows.is_exact()), (0, true));
    }

    #[test]
    fn large_values_are_not_kept() {
        for (largest, most) in [(u64::MAX, LARGEST_VALUE), (5, 5)] {
            let mut rows = Rows::new(u64::MAX, largest, RandomState::default());
            rows.keep("a", row(1, most), 0);
            rows.keep("b", row(2, most + 1), 0);
            assert_eq!(keys(&rows), ["a"]);
        }
    }

    #[test]
    fn values_that_are_small_only_while_they_are_compressed_are_not_kept() {
        let mut rows = Rows::new(u64::MAX, 5, RandomState::default());
        for (key, encoded_size) in [("a", 5), ("b", 6)] {
            let mut row = row(1, 3);
            row.meta.head = Some(Head { encoded_size, key_version: None });
            rows.keep(key, row, 0);
        }
        assert_eq!(keys(&rows), ["a"]);
    }

    #[test]
    fn a_touch_that_was_stored_raises_the_recency_of_its_own_row() {
        let mut rows = Rows::new(u64::MAX, u64::MAX, RandomState::default());
        rows.keep("a", row(5, 0), 0);
        let mut accessed_after = |revision, accessed| {
            let accessed = Timestamp::from_nanos(accessed);
            rows.note_stored(&Touch { key: "a".into(), revision, accessed });
            rows.iter().next().unwrap().1.meta.accessed.as_nanos()
        };
        assert_eq!([accessed_after(4, 9), accessed_after(5, 8), accessed_after(5, 7)], [5, 8, 8]);
    }
}
