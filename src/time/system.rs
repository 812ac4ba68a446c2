//! The machine's time: never backwards, and cheap enough for a hit in memory.
//!
//! On x86 the processor's time stamp waits for all loads before it, and all loads behind it wait for
//! it. A hit is little but waiting for loads, and hits in a row overlap theirs unless each reads the
//! time: then a hit takes twice as long. So most gets ask the operating system only whether it has
//! ticked (on Linux that is a load), and as long as it has not, a thread counts on from its last
//! reading in single nanoseconds.

use super::{Clock, Timestamp, nanos_of};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The machine's wall time, made monotonic.
///
/// It is the wall time read when the process first asked, plus what a monotonic clock says has passed
/// since. Once a second it looks at the wall time again and moves forward where that is found ahead
/// (a machine that slept, or whose clock was set). It never runs backwards.
///
/// For a `get` it may lag by one tick of the operating system (1 to 10 ms on Linux; elsewhere it does
/// not lag). In that time the gets of one thread stay in their order, and no get seems older than a
/// `put` that had returned; those of two threads may change places.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock {}

impl SystemClock {
    /// The clock. All are the same.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return Timestamp(precise().max(counted::last()));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Timestamp(precise())
    }

    #[inline]
    fn now_for_get(&self) -> Timestamp {
        now_for_get(coarse())
    }
}

/// The time of a `get` for whom [`coarse`] was just asked.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(super) fn now_for_get(coarse: i64) -> Timestamp {
    Timestamp(counted::now(coarse))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
pub(super) fn now_for_get(_: i64) -> Timestamp {
    SystemClock::new().now()
}

/// See [`super::coarse`].
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(super) fn coarse() -> i64 {
    // Through the C library: a call of the kernel by itself is not survived under valgrind.
    let coarse = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    coarse.tv_sec * 1_000_000_000 + coarse.tv_nsec
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn coarse() -> i64 {
    nanos_of(WALL.started.elapsed())
}

/// See [`super::worked`].
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn worked() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(worked).unwrap_or_default()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn worked() -> Duration {
    WALL.started.elapsed()
}

/// The newest precise reading of any thread.
static NEWEST: AtomicI64 = AtomicI64::new(i64::MIN);

static WALL: LazyLock<Wall> = LazyLock::new(Wall::new);

fn precise() -> i64 {
    let reading = WALL.read();
    reading.max(NEWEST.fetch_max(reading, Ordering::Relaxed))
}

/// Wall time carried on by a monotonic clock.
struct Wall {
    started: Instant,
    /// Wall time at `started`, in nanoseconds; only ever raised.
    anchor: AtomicI64,
    /// Nanoseconds after `started` at which the wall time is looked at again.
    next_look: AtomicI64,
}

const LOOK_EVERY_NANOS: i64 = 1_000_000_000;

/// Two days before the last time that there is, in the year 2262: readings are counted on from one that was read.
const LATEST: i64 = i64::MAX - (1 << 47);

impl Wall {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            anchor: AtomicI64::new(Timestamp::from(SystemTime::now()).as_nanos()),
            next_look: AtomicI64::new(LOOK_EVERY_NANOS),
        }
    }

    fn read(&self) -> i64 {
        let passed = nanos_of(self.started.elapsed());
        if passed >= self.next_look.load(Ordering::Relaxed) {
            self.catch_up(passed, Timestamp::from(SystemTime::now()));
        }
        self.anchor.load(Ordering::Relaxed).saturating_add(passed).min(LATEST)
    }

    /// Moves the anchor forward if `wall` is ahead of what this clock says.
    fn catch_up(&self, passed: i64, wall: Timestamp) {
        let anchor = wall.as_nanos().saturating_sub(passed);
        self.anchor.fetch_max(anchor, Ordering::Relaxed);
        self.next_look.fetch_max(passed.saturating_add(LOOK_EVERY_NANOS), Ordering::Relaxed);
    }
}

/// Readings that are counted on while the operating system has not ticked.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod counted {
    use super::{NEWEST, precise};
    use std::cell::Cell;
    use std::sync::atomic::Ordering;

    /// A thread's last reading. In cells of their own, because a struct that is read as a whole just
    /// after its parts were written makes the processor wait.
    struct Last {
        tick: Cell<i64>,
        reading: Cell<i64>,
        /// How many readings may still be counted on.
        left: Cell<u32>,
    }

    /// Readings between two precise ones within a tick. Each takes longer than the nanosecond that
    /// is counted for it, so no reading is ahead of the time.
    const COUNTED: u32 = 255;

    thread_local! {
        static LAST: Last = const {
            Last { tick: Cell::new(i64::MIN), reading: Cell::new(i64::MIN), left: Cell::new(0) }
        };
    }

    #[inline]
    pub fn now(tick: i64) -> i64 {
        LAST.with(|last| {
            let left = last.left.get();
            if last.tick.get() != tick || left == 0 {
                return last.renew(tick);
            }
            let reading = last.reading.get().max(NEWEST.load(Ordering::Relaxed)) + 1;
            last.left.set(left - 1);
            last.reading.set(reading);
            reading
        })
    }

    /// The last reading of this thread.
    pub fn last() -> i64 {
        LAST.with(|last| last.reading.get())
    }

    impl Last {
        #[cold]
        fn renew(&self, tick: i64) -> i64 {
            let reading = precise().max(self.reading.get());
            self.tick.set(tick);
            self.left.set(COUNTED);
            self.reading.set(reading);
            reading
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_follows_wall_time_forward_and_never_back() {
        let wall = Wall::new();
        let before = Timestamp(wall.read());
        let hour = Duration::from_secs(3600);
        let passed = nanos_of(wall.started.elapsed());
        wall.catch_up(passed, before + hour);
        let after_sleep = Timestamp(wall.read());
        assert!(after_sleep >= before + hour);
        wall.catch_up(passed, before - hour);
        assert!(Timestamp(wall.read()) >= after_sleep);
    }

    /// A wall clock that was set to the last time of all left no number to count on to.
    #[test]
    fn behind_the_last_time_there_is_room_to_count() {
        let wall = Wall::new();
        wall.catch_up(0, Timestamp::MAX);
        assert_eq!(wall.read(), LATEST);
    }

    #[test]
    fn what_one_thread_reads_never_stands_still_for_gets_nor_runs_back() {
        let clock = SystemClock::new();
        let mut last = clock.now();
        for round in 0..10_000 {
            let reading = if round % 7 == 0 { clock.now() } else { clock.now_for_get() };
            assert!(reading >= last, "{reading:?} after {last:?}");
            last = reading;
        }
        assert!(clock.now() >= last);
    }

    #[test]
    fn a_reading_for_a_get_follows_what_other_threads_read_before() {
        let clock = SystemClock::new();
        let mine = clock.now_for_get();
        for _ in 0..1_000 {
            let theirs = std::thread::spawn(move || clock.now()).join().unwrap();
            assert!(clock.now_for_get() >= theirs.max(mine));
        }
    }

    #[test]
    fn a_reading_for_a_get_lags_by_a_tick_at_most() {
        let clock = SystemClock::new();
        for _ in 0..1_000 {
            let reading = clock.now_for_get();
            let next = clock.now_for_get();
            let precise = clock.now();
            assert!(precise >= next && next >= reading);
        }
        let start = Instant::now();
        let first = clock.now_for_get();
        while start.elapsed() < Duration::from_millis(50) {
            let reading = clock.now_for_get();
            assert!(reading >= first);
        }
        assert!(clock.now_for_get() >= first + Duration::from_millis(30));
    }
}
