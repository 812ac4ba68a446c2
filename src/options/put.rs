//! Options of what is put.

use crate::entry::{OwnTtl, Tags};
use crate::error::Error;
use crate::key::{Key, MAX_KEY_CHARS};
use crate::time::nanos_of;
use std::time::Duration;

/// What an entry is told when it is put, beside its value: by `put_with`, or by any operation that stores
/// something, through [`with`](crate::DiskBackedCache::with).
///
/// ```
/// use disk_backed_cache::{DiskBackedCache, PutOptions};
/// use std::time::Duration;
///
/// let cache = DiskBackedCache::<String>::builder().open_in_memory()?;
/// let token = PutOptions::new().fixed_ttl(Duration::from_secs(900));
/// cache.put_with("token", "secret".to_owned(), token)?;
/// assert!(cache.ttl("token")?.is_some_and(|left| left <= Duration::from_secs(900)));
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing until they are given to `put_with` or `with`"]
pub struct PutOptions {
    ttl: Option<Duration>,
    fixed_ttl: Option<Duration>,
    tags: Vec<Key>,
}

impl PutOptions {
    /// Those of a plain `put`.
    pub const fn new() -> Self {
        Self { ttl: None, fixed_ttl: None, tags: Vec::new() }
    }

    /// The entry expires this long after it was last touched, whatever `disk_ttl` says; [`Duration::MAX`] is
    /// for ever. `max_age` holds all the same, and so does `memory_ttl` for its copy in memory.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The entry expires this long after this put, however often it is touched, and `disk_ttl` does not hold
    /// for it.
    pub const fn fixed_ttl(mut self, ttl: Duration) -> Self {
        self.fixed_ttl = Some(ttl);
        self
    }

    /// The entry has this tag, by which [`delete_tag`](crate::DiskBackedCache::delete_tag) finds it, until it
    /// is put again. Call it several times for several tags, 10,000 at most. A tag is text of 1 to 256 characters,
    /// each of which stands for itself.
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(Key::from(tag));
        self
    }

    /// Checks everything at once.
    pub(crate) fn check(&self) -> Result<Given, Error> {
        self.given(self.problems())
    }

    /// The same for a cache without a disk tier, which knows no tags.
    pub(crate) fn check_alone(&self) -> Result<Given, Error> {
        let mut problems = self.problems();
        if !self.tags.is_empty() {
            let problem =
                "tag is set, and a cache in memory alone has no tags; use keys, or a cache on disk";
            problems.push(problem.to_owned());
        }
        self.given(problems)
    }

    fn given(&self, problems: Vec<String>) -> Result<Given, Error> {
        if !problems.is_empty() {
            return Err(Error::invalid_options(
                "the entry cannot be put with these options",
                problems,
            ));
        }
        let sliding = self.ttl.map(|ttl| OwnTtl::Sliding(nanos_of(ttl)));
        let ttl = sliding.or(self.fixed_ttl.map(|ttl| OwnTtl::Fixed(nanos_of(ttl))));
        Ok(Given { ttl, tags: Tags::new(&self.tags) })
    }

    fn problems(&self) -> Vec<String> {
        let zero = |name, ttl: Option<Duration>| {
            (ttl == Some(Duration::ZERO))
                .then(|| format!("{name} is zero; give it a duration, or leave it unset"))
        };
        let both = (self.ttl.is_some() && self.fixed_ttl.is_some())
            .then(|| "ttl and fixed_ttl contradict each other; choose one".to_owned());
        let ttls = [zero("ttl", self.ttl), zero("fixed_ttl", self.fixed_ttl), both];
        let count = self.tags.len();
        let many = (count > MAX_TAGS).then(|| {
            format!("there are {count} tags, and an entry has at most {MAX_TAGS}; name fewer")
        });
        let tags = self.tags.iter().map(|tag| problem_of_tag(tag));
        ttls.into_iter().chain([many]).chain(tags).flatten().collect()
    }
}

/// More than anybody names, and so few that a put of them is a matter of milliseconds.
const MAX_TAGS: usize = 10_000;

/// Refuses what no entry can have as its tag.
pub(crate) fn check_tag(tag: &str) -> Result<(), Error> {
    problem_of_tag(tag).map_or(Ok(()), |problem| {
        Err(Error::invalid_options("no entry has such a tag", vec![problem]))
    })
}

fn problem_of_tag(tag: &str) -> Option<String> {
    if tag.is_empty() {
        return Some("tag is empty; give it 1 to 256 characters".to_owned());
    }
    let characters = tag.chars().count();
    (characters > MAX_KEY_CHARS).then(|| {
        format!("tag has {characters} characters, and at most {MAX_KEY_CHARS} are allowed; shorten or hash it")
    })
}

/// Valid options, in the form the tiers use them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub ttl: Option<OwnTtl>,
    pub tags: Tags,
}
