//! Points in time and where they come from.

mod system;

pub use system::SystemClock;

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whole nanoseconds since the Unix epoch; negative before it.
///
/// ```
/// use std::time::Duration;
/// use disk_backed_cache::Timestamp;
///
/// let start = Timestamp::from_nanos(1_000);
/// assert_eq!((start + Duration::from_micros(2)).as_nanos(), 3_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest timestamp.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest timestamp.
    pub const MAX: Self = Self(i64::MAX);

    /// The timestamp that lies `nanos` nanoseconds after the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// How far `earlier` lies back, in nanoseconds; negative if it lies ahead. Saturates.
    #[must_use]
    pub(crate) const fn age_of(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` plus `nanos`, saturating.
    pub(crate) const fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, duration: Duration) -> Self {
        self.plus_nanos(nanos_of(duration))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MIN`].
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(duration)))
    }
}

impl From<SystemTime> for Timestamp {
    /// Saturates outside the years 1677 to 2262.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(nanos_of(since)),
            Err(before) => Self(nanos_of(before.duration()).saturating_neg()),
        }
    }
}

/// The duration in nanoseconds, saturating at `i64::MAX` (292 years).
pub(crate) fn nanos_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The time of a `get`: known, or asked of the system once, when it is needed.
#[derive(Debug)]
pub(crate) struct When(Cell<Option<Timestamp>>);

/// Nanoseconds of the machine's monotonic clock, up to [`TICK`] behind, from an arbitrary start. Cheap,
/// and the same whatever clock a handle has.
#[inline]
pub(crate) fn coarse() -> i64 {
    system::coarse()
}

/// How long the processor has worked for this thread. Where nobody tells, how long it has been there.
pub(crate) fn worked() -> Duration {
    system::worked()
}

/// How far the operating system's coarse clock may lag, in nanoseconds.
pub(crate) const TICK: i64 = 10_000_000;

impl When {
    pub const fn known(timestamp: Timestamp) -> Self {
        Self(Cell::new(Some(timestamp)))
    }

    pub const fn system() -> Self {
        Self(Cell::new(None))
    }

    #[inline]
    pub fn timestamp(&self) -> Timestamp {
        self.with_coarse().0
    }

    /// The time, and what [`coarse`] says: one question where the time is the system's.
    #[inline]
    pub fn with_coarse(&self) -> (Timestamp, i64) {
        let coarse = coarse();
        let timestamp = self.0.get().unwrap_or_else(|| {
            let now = system::now_for_get(coarse);
            self.0.set(Some(now));
            now
        });
        (timestamp, coarse)
    }
}

/// Where a cache reads the time.
///
/// An operation reads its clock once. The default is [`SystemClock`]; tests take a [`ManualClock`],
/// and anything else that never runs backwards will do.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;

    /// The time of a `get`, for clocks that can say cheaply what is near enough to the present.
    ///
    /// Not before any [`now`](Self::now) that was read earlier, nor before an earlier reading of the
    /// same thread.
    #[inline]
    fn now_for_get(&self) -> Timestamp {
        self.now()
    }
}

/// A clock that stands still until it is moved.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use disk_backed_cache::{DiskBackedCache, ManualClock, Timestamp};
///
/// let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(0)));
/// let cache = DiskBackedCache::<String>::builder()
///     .disk_ttl(Duration::from_secs(60))
///     .clock(clock.clone())
///     .open_in_memory()?;
/// cache.put("greeting", "hello".to_owned())?;
/// clock.advance(Duration::from_secs(61));
/// assert!(cache.get("greeting")?.is_none());
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { now: AtomicI64::new(start.as_nanos()) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = nanos_of(by);
        let _previous = self
            .now
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by)))
            .expect("the closure always returns a value");
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.as_nanos(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_saturate() {
        assert_eq!(Timestamp::MAX.age_of(Timestamp::MIN), i64::MAX);
        assert_eq!(Timestamp::MIN.age_of(Timestamp::MAX), i64::MIN);
        assert_eq!(Timestamp(5).age_of(Timestamp(3)), 2);
        assert_eq!(Timestamp::MAX + Duration::from_nanos(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_nanos(7)).as_nanos(), -7);
        assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_nanos(7)).as_nanos(), 7);
    }
}
