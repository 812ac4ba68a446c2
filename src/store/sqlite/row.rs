//! Reading and sealing rows. A file may contain anything; nothing here trusts it.

use super::ledger::believed;
use crate::codec::{self, Packed};
use crate::entry::{CodecId, OwnTtl};
use crate::key::{Key, MAX_KEY_CHARS};
use crate::row::{Meta, Row};
use crate::store::{NewRow, Scanned};
use crate::time::Timestamp;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// No key has more bytes (K1). Many rows of a file may share one text of any length; none of them is copied.
pub(super) const LONGEST_KEY: usize = MAX_KEY_CHARS * 4;

/// No version has more bytes (V1).
pub(super) const LONGEST_VERSION: usize = 1_024;

/// What the seals of a collection's rows begin with. A put or read of a row has no other use for the
/// collection's name, so that is hashed once, when the collection is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    /// Format 1 did not say in which collection a row was written.
    pub const FORMAT_1: Self = Self(0);

    pub fn of(collection: &str) -> Self {
        Self(xxh3_64(collection.as_bytes()))
    }

    /// What the lease of a key is called. Two keys may share one, and then wait for each other.
    pub fn lease(self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.0)
    }
}

/// What ties a value to its collection, key, version, codec and age, so that neither a flipped bit nor
/// a swapped row goes unnoticed. XXH3, 64 bits, chained through its seed. (A seed makes XXH3 slow to
/// start on long input, so the value is hashed without one.)
pub(super) fn seal(row: &NewRow, seed: Seed) -> i64 {
    let Packed { bytes, form } = &row.value;
    computed(seed, &row.key, &row.version, form.codec, row.created, bytes)
}

fn computed(
    seed: Seed,
    key: &str,
    version: &str,
    codec: CodecId,
    created: Timestamp,
    value: &[u8],
) -> i64 {
    let seed = seed.0.wrapping_add(u64::from(codec.number()));
    let seed = xxh3_64_with_seed(version.as_bytes(), seed);
    let seed = xxh3_64_with_seed(&created.as_nanos().to_le_bytes(), seed);
    let seed = xxh3_64_with_seed(key.as_bytes(), seed);
    xxh3_64_with_seed(&xxh3_64(value).to_le_bytes(), seed).cast_signed()
}

/// How many columns `meta_columns!` are. What else a statement reads stands behind them.
pub(super) const META: usize = 8;
const SEAL: usize = META;
const VALUE: usize = META + 1;

/// The columns of `meta_columns!`, which stand first in every statement that reads rows. Columns of
/// a wrong type become values that no sound row has; the seal finds the rest.
pub(super) fn meta(row: &rusqlite::Row<'_>) -> rusqlite::Result<Meta> {
    let codec = integer(row, 5)?.and_then(|codec| u8::try_from(codec).ok());
    Ok(Meta {
        revision: integer(row, 0)?.unwrap_or(0),
        size: integer(row, 1)?.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        created: Timestamp::from_nanos(integer(row, 2)?.unwrap_or(0)),
        accessed: Timestamp::from_nanos(integer(row, 3)?.unwrap_or(0)),
        version: text(row, 4, LONGEST_VERSION)?.unwrap_or_default().into(),
        codec: CodecId::from_number(codec.unwrap_or(0)),
        ttl: own_ttl(row)?,
        head: None,
    })
}

/// The same with what the value says of itself, which the statement reads at `column`.
pub(super) fn meta_and_head(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Meta> {
    let meta = meta(row)?;
    let head = match row.get_ref(column)? {
        ValueRef::Blob(value) => codec::head(meta.codec, value),
        _ => None,
    };
    Ok(Meta { head, ..meta })
}

/// What is no time to live has ended.
fn own_ttl(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<OwnTtl>> {
    if row.get_ref(6)? == ValueRef::Null {
        return Ok(None);
    }
    let nanos = integer(row, 6)?.unwrap_or(0);
    if nanos < 0 {
        // Also if it was put or touched in a time to come.
        return Ok(Some(OwnTtl::Fixed(i64::MIN)));
    }
    let slides = integer(row, 7)? == Some(0);
    Ok(Some(if slides { OwnTtl::Sliding(nanos) } else { OwnTtl::Fixed(nanos) }))
}

/// A whole row: meta columns, then seal and value.
pub(super) fn row(row: &rusqlite::Row<'_>, key: &str, seed: Seed) -> rusqlite::Result<Row> {
    let mut meta = meta(row)?;
    let value = match row.get_ref(VALUE)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes,
        _ => &[],
    };
    let intact = is_sealed(row, key, &meta, value, seed)?
        && meta.size == value.len() as u64
        // Nobody could touch it, or tell it from another one.
        && believed(meta.revision).is_some()
        && (meta.revision != 0 || integer(row, 0)?.is_some())
        && (meta.accessed.as_nanos() != 0 || integer(row, 3)?.is_some());
    if intact {
        meta.head = codec::head(meta.codec, value);
    }
    // What is of no use to anybody is not copied, for it may be larger than the row says.
    Ok(Row { meta, value: if intact { value } else { &[] }.into(), intact })
}

/// The size of a value that was written under `key` as it is, whatever size the row states.
pub(super) fn sealed_size(
    row: &rusqlite::Row<'_>,
    key: &str,
    seed: Seed,
) -> rusqlite::Result<Option<i64>> {
    let ValueRef::Blob(value) = row.get_ref(VALUE)? else { return Ok(None) };
    let sealed = is_sealed(row, key, &meta(row)?, value, seed)?;
    Ok(if sealed { i64::try_from(value.len()).ok() } else { None })
}

/// The seal under `new` of a row whose seal under `old` is right; nothing makes another row right.
pub(super) fn resealed(
    row: &rusqlite::Row<'_>,
    key: &str,
    [old, new]: [Seed; 2],
) -> rusqlite::Result<Option<i64>> {
    let (meta, ValueRef::Blob(value)) = (meta(row)?, row.get_ref(VALUE)?) else { return Ok(None) };
    let sealed = is_sealed(row, key, &meta, value, old)?;
    let reseal = || computed(new, key, &meta.version, meta.codec, meta.created, value);
    Ok(sealed.then(reseal))
}

fn is_sealed(
    row: &rusqlite::Row<'_>,
    key: &str,
    meta: &Meta,
    value: &[u8],
    seed: Seed,
) -> rusqlite::Result<bool> {
    let sealed = computed(seed, key, &meta.version, meta.codec, meta.created, value);
    Ok(integer(row, SEAL)? == Some(sealed))
}

/// A row without its value: meta columns, then id and key.
pub(super) fn scanned(row: &rusqlite::Row<'_>) -> rusqlite::Result<Scanned> {
    let id = integer(row, META)?.unwrap_or(0);
    Ok(Scanned { id, key: key(row, META + 1)?, meta: meta(row)? })
}

/// What is no key is an empty one, which nobody can give a row.
pub(super) fn key(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Key> {
    Ok(text_key(row, column)?.unwrap_or_default())
}

/// A key, if it is text and not longer than any.
pub(super) fn text_key(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Key>> {
    Ok(text(row, column, LONGEST_KEY)?.map(Key::from))
}

/// The same, of rows whose keys are text, with what their values say of themselves.
pub(super) fn scanned_text(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Scanned>> {
    let Some(key) = text_key(row, META + 1)? else { return Ok(None) };
    let id = integer(row, META)?.unwrap_or(0);
    Ok(Some(Scanned { id, key, meta: meta_and_head(row, META + 2)? }))
}

pub(super) fn integer(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(row.get_ref(column)?.as_i64().ok())
}

fn text<'r>(
    row: &'r rusqlite::Row<'_>,
    column: usize,
    longest: usize,
) -> rusqlite::Result<Option<&'r str>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(text) if text.len() <= longest => text,
        _ => return Ok(None),
    };
    Ok(str::from_utf8(text).ok())
}
