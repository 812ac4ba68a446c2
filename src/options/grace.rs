//! What entries are still good for near or past their end.

use super::Lifetimes;
use crate::time::{Timestamp, nanos_of};
use std::time::Duration;

/// What entries are still good for near or past their end. Times are in nanoseconds; 0 is nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grace {
    /// For so long after its end an object is the answer where its loader fails.
    pub fail_safe: i64,
    /// For so long after its end an object is the answer while it is reloaded.
    pub revalidate: i64,
    /// After this part of its life an entry that is hit is reloaded.
    pub refresh_ahead: Option<f64>,
}

impl Grace {
    /// How long rows stay after their end.
    pub fn longest(&self) -> i64 {
        self.fail_safe.max(self.revalidate)
    }

    /// Whether anything is ever reloaded.
    pub const fn reloads(&self) -> bool {
        self.revalidate > 0 || self.refresh_ahead.is_some()
    }

    /// Whether an entry with such lifetimes is to be reloaded when it is hit.
    pub fn is_late(&self, lifetimes: &Lifetimes, now: Timestamp, created: Timestamp) -> bool {
        let life = lifetimes.shortest();
        self.refresh_ahead.is_some_and(|part| {
            life < i64::MAX && now.age_of(created) > (life as f64 * part) as i64
        })
    }
}

/// The same as a builder collects it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GraceSettings {
    pub fail_safe: Option<Duration>,
    pub revalidate: Option<Duration>,
    pub refresh_ahead: Option<f64>,
}

impl GraceSettings {
    pub fn grace(&self) -> Grace {
        let nanos = |time: Option<Duration>| time.map_or(0, nanos_of);
        Grace {
            fail_safe: nanos(self.fail_safe),
            revalidate: nanos(self.revalidate),
            refresh_ahead: self.refresh_ahead,
        }
    }

    /// What is wrong with `refresh_ahead`.
    pub fn no_part_of_a_life(&self) -> Option<String> {
        let part = self.refresh_ahead.filter(|part| !(*part > 0.0 && *part < 1.0))?;
        Some(format!(
            "refresh_ahead is {part}; give it the part of a TTL after which to reload, above 0 and below 1"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn an_entry_is_late_after_a_part_of_the_life_it_has_if_nobody_touches_it() {
        let part = |part| GraceSettings { refresh_ahead: Some(part), ..GraceSettings::default() };
        let at = Timestamp::from_nanos;
        let lifetimes = Lifetimes { memory: 5, memory_alone: 5, disk: 20, max_age: 100 };
        let grace = part(0.5).grace();
        assert!(!grace.is_late(&lifetimes, at(15), at(5)));
        assert!(grace.is_late(&lifetimes, at(16), at(5)));
        let forever = Settings::default().validate().unwrap().lifetimes;
        assert!(!grace.is_late(&forever, Timestamp::MAX, at(0)));
        let unset = GraceSettings::default().grace();
        assert!(!unset.is_late(&lifetimes, at(1_000), at(0)) && !unset.reloads());
        assert!(
            [0.0, 1.0, -0.5, f64::NAN].map(part).iter().all(|it| it.no_part_of_a_life().is_some())
        );
        assert_eq!(part(0.999).no_part_of_a_life(), None);
    }
}
