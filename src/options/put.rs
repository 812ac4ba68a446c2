//! Options of what is put.

use crate::entry::OwnTtl;
use crate::error::Error;
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
}

impl PutOptions {
    /// Those of a plain `put`.
    pub const fn new() -> Self {
        Self { ttl: None, fixed_ttl: None }
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

    /// Checks everything at once.
    pub(crate) fn check(&self) -> Result<Given, Error> {
        let zero = |name, ttl: Option<Duration>| {
            (ttl == Some(Duration::ZERO))
                .then(|| format!("{name} is zero; give it a duration, or leave it unset"))
        };
        let both = (self.ttl.is_some() && self.fixed_ttl.is_some())
            .then(|| "ttl and fixed_ttl contradict each other; choose one".to_owned());
        let problems = [zero("ttl", self.ttl), zero("fixed_ttl", self.fixed_ttl), both];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        if !problems.is_empty() {
            return Err(Error::invalid_options(
                "the entry cannot be put with these options",
                problems,
            ));
        }
        let sliding = self.ttl.map(|ttl| OwnTtl::Sliding(nanos_of(ttl)));
        let ttl = sliding.or(self.fixed_ttl.map(|ttl| OwnTtl::Fixed(nanos_of(ttl))));
        Ok(Given { ttl })
    }
}

/// Valid options, in the form the tiers use them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub ttl: Option<OwnTtl>,
}
