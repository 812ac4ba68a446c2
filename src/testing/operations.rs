//! What can be done to a cache, as plain data, so that a failing sequence can be shrunk and read.
//!
//! [`strategies`](super::strategies) chooses among them. Keys, prefixes and tags are few, so that operations meet, and
//! of the kind that careless code confuses.

use super::model::OwnTtl;
use disk_backed_cache::Timestamp;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// One step of a sequence. `V` is what a test makes values from, or the values themselves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation<V> {
    /// What is asked at a time.
    Call(Call<V>, When),
    /// `clear`.
    Clear,
    /// `evict_memory`.
    EvictMemory,
    /// `run_maintenance`.
    RunMaintenance,
    /// `purge_outdated`.
    PurgeOutdated,
    /// `repair`.
    Repair,
    /// `flush`.
    Flush,
    /// The clock goes on.
    Advance(Duration),
}

/// What can be asked of a cache `at` a time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call<V> {
    /// `get`.
    Get(Key),
    /// `put`.
    Put(Key, V),
    /// `put_with` a TTL and tags.
    PutWith(Key, V, Option<OwnTtl>, Tags),
    /// `touch`.
    Touch(Key),
    /// `peek`.
    Peek(Key),
    /// What calls a loader.
    Load(Load<V>),
    /// A write on a condition.
    Swap(Swap<V>),
    /// `delete`.
    Delete(Key),
    /// `get_many`.
    GetMany(Vec<Key>),
    /// `put_many`.
    PutMany(Vec<(Key, V)>),
    /// `delete_many`.
    DeleteMany(Vec<Key>),
    /// `contains_key`, `tier_of` and `info`.
    Look(Key),
    /// What concerns many entries.
    Group(Group),
}

/// What calls a loader.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Load<V> {
    /// `get_or_insert_with`.
    Made(Key, V),
    /// `try_get_or_insert_with`, with a loader that fails.
    InVain(Key),
    /// `try_get_or_refresh_with`, with a loader that makes that or fails.
    Refresh(Key, Option<V>),
}

/// What concerns many entries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Group {
    /// `scan`.
    Scan(Prefix),
    /// `scan` of values.
    Values(Prefix),
    /// `delete_prefix`.
    Delete(Prefix),
    /// `delete_tag`.
    DeleteTag(Tag),
    /// `retain` of what has so many bytes.
    Retain(u64),
}

/// A write on a condition.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Swap<V> {
    /// `put_if_absent`.
    PutIfAbsent(Key, V),
    /// `put_if_revision`, with the revision that `info` has.
    PutIfRevision(Key, V),
    /// `update_with` of a live entry.
    Replace(Key, V),
    /// `take`.
    Take(Key),
}

/// One of a few keys, so that operations meet. They differ in case, in characters that sort
/// differently in UTF-16, and in what a C string would cut off. The last two are refused.
#[derive(Clone, Copy)]
pub struct Key(usize);

static KEYS: LazyLock<[String; Key::ALL]> = LazyLock::new(|| {
    let texts = ["b", "a", "B", "ä", "🦀", "\u{fffd}", "a\0", "日本", " ", "b'; --", "0"];
    std::array::from_fn(|index| match texts.get(index) {
        Some(text) => (*text).to_owned(),
        None if index < Key::VALID => "é".repeat(256),
        None if index == Key::VALID => String::new(),
        None => "é".repeat(257),
    })
});

impl Key {
    /// How many of them are accepted.
    pub const VALID: usize = 12;
    /// How many there are.
    pub const ALL: usize = Self::VALID + 2;

    /// The key itself.
    #[must_use]
    pub fn text(self) -> &'static str {
        &KEYS[self.0]
    }

    /// Those that are accepted.
    pub fn all_valid() -> impl Iterator<Item = Self> {
        (0..Self::VALID).map(Self)
    }

    /// One of them, counted round and round.
    #[must_use]
    pub fn nth(index: usize) -> Self {
        Self(index % Self::ALL)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            long if long.len() > 9 => write!(f, "<{} characters>", long.chars().count()),
            short => write!(f, "{short:?}"),
        }
    }
}

/// One of a few texts, of which most are prefixes of a key.
#[derive(Clone, Copy)]
pub struct Prefix(usize);

static PREFIXES: [&str; Prefix::ALL] =
    ["", "a", "b", "B", "a\0", "b'", "é", "\u{fffd}", "🦀", "日", "%", "_", "\u{10ffff}"];

impl Prefix {
    /// How many there are.
    pub const ALL: usize = 13;

    /// The prefix itself.
    #[must_use]
    pub fn text(self) -> &'static str {
        PREFIXES[self.0]
    }

    /// One of them, counted round and round.
    #[must_use]
    pub fn nth(index: usize) -> Self {
        Self(index % Self::ALL)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// One of a few tags, which differ in case, and in what patterns and C strings make of them.
#[derive(Clone, Copy)]
pub struct Tag(usize);

static TAGS: [&str; Tag::ALL] = ["a", "A", "%", "a\0"];

impl Tag {
    /// How many there are.
    pub const ALL: usize = 4;

    /// The tag itself.
    #[must_use]
    pub fn text(self) -> &'static str {
        TAGS[self.0]
    }

    /// One of them, counted round and round.
    #[must_use]
    pub fn nth(index: usize) -> Self {
        Self(index % Self::ALL)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// Some of them: those whose bits are set.
#[derive(Clone, Copy)]
pub struct Tags(u8);

impl Tags {
    /// How many sets there are.
    pub const ALL: u8 = 1 << Tag::ALL;

    /// The set of these bits, counted round and round.
    #[must_use]
    pub fn nth(bits: u8) -> Self {
        Self(bits % Self::ALL)
    }

    /// The tags themselves.
    #[must_use]
    pub fn texts(self) -> Vec<&'static str> {
        (0..Tag::ALL).filter(|tag| self.0 >> tag & 1 == 1).map(|tag| TAGS[tag]).collect()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.texts())
    }
}

/// The time a call is given.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum When {
    /// None: it reads the clock.
    Now,
    /// Seconds from what the clock says.
    Off(i64),
    /// The earliest there is.
    Earliest,
    /// The latest there is.
    Latest,
}

impl When {
    /// The time for a method of [`At`](disk_backed_cache::At); `None` for the method of the cache itself.
    #[must_use]
    pub fn explicit(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Now => None,
            Self::Off(seconds) => {
                let off = seconds.saturating_mul(1_000_000_000);
                Some(Timestamp::from_nanos(now.as_nanos().saturating_add(off)))
            }
            Self::Earliest => Some(Timestamp::MIN),
            Self::Latest => Some(Timestamp::MAX),
        }
    }
}
