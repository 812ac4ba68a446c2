//! How long entries live.

use crate::entry::OwnTtl;
use crate::time::Timestamp;

/// How long entries live, in nanoseconds; `i64::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    /// Sliding, of memory copies. Never above `disk`.
    pub memory: i64,
    /// The same, where `disk` does not hold.
    pub memory_alone: i64,
    /// Sliding, of rows.
    pub disk: i64,
    /// Counted from the last `put`.
    pub max_age: i64,
}

impl Lifetimes {
    pub const fn alive_in_memory(
        &self,
        now: Timestamp,
        accessed: Timestamp,
        created: Timestamp,
    ) -> bool {
        now.age_of(accessed) <= self.memory && now.age_of(created) <= self.max_age
    }

    pub const fn alive_on_disk(
        &self,
        now: Timestamp,
        accessed: Timestamp,
        created: Timestamp,
    ) -> bool {
        now.age_of(accessed) <= self.disk && now.age_of(created) <= self.max_age
    }

    /// Those of an entry that has a time to live of its own. It takes the place of `disk`, and memory
    /// does not outlive it.
    pub fn of(self, own: Option<OwnTtl>) -> Self {
        match own {
            None => self,
            Some(OwnTtl::Sliding(ttl)) => {
                Self { memory: self.memory_alone.min(ttl), disk: ttl, ..self }
            }
            Some(OwnTtl::Fixed(ttl)) => Self {
                memory: self.memory_alone,
                disk: i64::MAX,
                max_age: self.max_age.min(ttl),
                ..self
            },
        }
    }

    /// How long ago a row ended; not above zero while it is alive.
    pub fn overdue(&self, now: Timestamp, accessed: Timestamp, created: Timestamp) -> i64 {
        let idle = now.age_of(accessed).saturating_sub(self.disk);
        idle.max(now.age_of(created).saturating_sub(self.max_age))
    }

    /// How long an entry lives that nobody touches.
    pub fn shortest(&self) -> i64 {
        self.disk.min(self.max_age)
    }

    /// The same with rows that end so much later.
    pub const fn longer_by(self, nanos: i64) -> Self {
        Self {
            disk: self.disk.saturating_add(nanos),
            max_age: self.max_age.saturating_add(nanos),
            ..self
        }
    }

    /// The last instant at which a row is alive if nobody touches it.
    pub fn end_of(&self, accessed: Timestamp, created: Timestamp) -> Option<Timestamp> {
        let sliding = (self.disk < i64::MAX).then(|| accessed.plus_nanos(self.disk));
        let fixed = (self.max_age < i64::MAX).then(|| created.plus_nanos(self.max_age));
        sliding.into_iter().chain(fixed).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn an_entry_ends_at_the_earlier_of_its_two_ends() {
        let at = Timestamp::from_nanos;
        let lifetimes = Lifetimes { memory: 5, memory_alone: 5, disk: 10, max_age: 12 };
        assert_eq!(lifetimes.end_of(at(0), at(0)), Some(at(10)));
        assert_eq!(lifetimes.end_of(at(5), at(0)), Some(at(12)));
        assert!(lifetimes.alive_on_disk(at(10), at(0), at(0)));
        assert!(!lifetimes.alive_on_disk(at(11), at(0), at(0)));
        assert_eq!(lifetimes.overdue(at(11), at(0), at(0)), 1);
        assert_eq!(lifetimes.overdue(at(15), at(5), at(0)), 3);
        assert!(lifetimes.overdue(at(10), at(0), at(0)) <= 0);
        assert!(lifetimes.longer_by(3).alive_on_disk(at(15), at(5), at(0)));
        assert!(!lifetimes.longer_by(3).alive_on_disk(at(16), at(5), at(0)));
        let forever = Settings::default().validate().unwrap().lifetimes;
        assert_eq!(forever.end_of(at(0), at(0)), None);
        assert_eq!(forever.longer_by(3), forever);
        assert!(forever.overdue(Timestamp::MAX, Timestamp::MIN, at(0)) <= 0);
    }
}
