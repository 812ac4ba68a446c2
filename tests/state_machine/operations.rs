//! What a sequence consists of, as plain data, so that a failing one can be shrunk and read.

use super::documents;
use crate::model::{OwnTtl, Settings};
use disk_backed_cache::Timestamp;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// One sequence: where it happens, how the cache is opened first, and what is done to it.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub on_file: bool,
    pub setup: Setup,
    pub steps: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub enum Operation {
    Call(Call, When),
    Clear,
    EvictMemory,
    RunMaintenance,
    PurgeOutdated,
    Repair,
    Flush,
    Advance(Duration),
    /// Changes a row behind the cache's back; does nothing to a database in memory.
    Injure(Key, Injury),
    Reopen(Ending, Setup),
    /// Reopens as before, but for another edition: a new release of the program.
    Release(Edition),
}

/// What can be asked of a cache `at` a time.
#[derive(Clone, Debug)]
pub enum Call {
    Get(Key),
    Put(Key, Draft),
    PutWith(Key, Draft, OwnTtl),
    /// `put_with` tags.
    PutTagged(Key, Draft, Tags),
    Touch(Key),
    Peek(Key),
    Load(Load),
    Swap(Swap),
    Delete(Key),
    GetMany(Vec<Key>),
    PutMany(Vec<(Key, Draft)>),
    DeleteMany(Vec<Key>),
    /// `contains_key`, `tier_of` and `info`.
    Look(Key),
    Group(Group),
}

/// What calls a loader.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// `get_or_insert_with`.
    Made(Key, Draft),
    /// `try_get_or_insert_with`, with a loader that fails.
    InVain(Key),
    /// `try_get_or_refresh_with`, with a loader that makes that or fails.
    Refresh(Key, Option<Draft>),
}

/// What can be asked of a group.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    Scan(Prefix),
    /// `scan` of values.
    Values(Prefix),
    Delete(Prefix),
    /// `delete_tag`.
    DeleteTag(Tag),
    /// `retain` of what has so many bytes.
    Retain(u64),
}

/// A write on a condition.
#[derive(Clone, Copy, Debug)]
pub enum Swap {
    PutIfAbsent(Key, Draft),
    /// `put_if_revision`, with the revision that `info` has.
    PutIfRevision(Key, Draft),
    /// `update_with` of a live entry.
    Replace(Key, Draft),
    Take(Key),
}

/// How a handle ends before the next one is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Dropped,
    Closed,
    /// Closed, and dropped only when the next one is open.
    ClosedAndKept,
}

/// What is done to a row through another connection.
#[derive(Clone, Copy, Debug)]
pub enum Injury {
    ValueBytes,
    ValueLength,
    Checksum,
    Version,
}

/// Which edition of the document a cache is opened for.
#[derive(Clone, Copy, Debug)]
pub enum Edition {
    First,
    Second,
    Third,
    ThirdRevised,
}

/// How a cache is opened.
#[derive(Clone, Debug)]
pub struct Setup {
    pub edition: Edition,
    pub settings: Settings,
    pub recency_lag: Option<Duration>,
    pub verify_round_trip: bool,
    /// Where this build can do it.
    pub compressed: bool,
}

impl Setup {
    /// With values stored as that says.
    pub fn stored(mut self) -> Self {
        self.settings.stored =
            if self.compressed { documents::compressed } else { documents::as_it_is };
        self
    }
}

/// A document to be written, in whichever edition the cache is open for.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    pub id: u8,
    pub padding: u8,
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
    pub const ALL: usize = Self::VALID + 2;

    pub fn text(self) -> &'static str {
        &KEYS[self.0]
    }

    pub fn all_valid() -> impl Iterator<Item = Self> {
        (0..Self::VALID).map(Self)
    }

    pub fn nth(index: usize) -> Self {
        Self(index)
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
    pub const ALL: usize = 13;

    pub fn text(self) -> &'static str {
        PREFIXES[self.0]
    }

    pub fn nth(index: usize) -> Self {
        Self(index)
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
    pub const ALL: usize = 4;

    pub fn text(self) -> &'static str {
        TAGS[self.0]
    }

    pub fn nth(index: usize) -> Self {
        Self(index)
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

    pub fn nth(bits: u8) -> Self {
        Self(bits)
    }

    pub fn texts(self) -> Vec<&'static str> {
        (0..Tag::ALL).filter(|tag| self.0 >> tag & 1 == 1).map(|tag| TAGS[tag]).collect()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.texts())
    }
}

/// The time an operation is given.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// None: it reads the clock.
    Now,
    /// Seconds from what the clock says.
    Off(i64),
    Earliest,
    Latest,
}

impl When {
    /// The clock stays so far from both ends that this cannot overflow.
    pub fn explicit(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Now => None,
            Self::Off(seconds) => {
                Some(Timestamp::from_nanos(now.as_nanos() + seconds * 1_000_000_000))
            }
            Self::Earliest => Some(Timestamp::MIN),
            Self::Latest => Some(Timestamp::MAX),
        }
    }
}
