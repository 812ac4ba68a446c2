//! Whether a second handle can share the state of a first one.

use super::{Access, Options};
use std::sync::Arc;

impl Options {
    /// The settings, by the names of the builder's methods, in which `other` has another value in effect. A
    /// second handle can share the state of the first one if there are none.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let compared = self.compared(other).into_iter();
        compared.filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// All settings that can differ, and whether they do.
    fn compared(&self, other: &Self) -> [(&'static str, bool); 28] {
        // All are named here, so that a new one is not forgotten.
        let Self {
            memory,
            disk,
            lifetimes,
            grace,
            load_lease,
            timeouts,
            ttl_jitter,
            max_item_size,
            row_cache_bytes,
            busy_timeout,
            verify_round_trip,
            durability,
            recency_lag,
            staleness,
            background_maintenance,
            codec,
            wrappers,
            clock: _,
            // Who asks has found the one by the name of the other.
            collection: _,
            access,
            // Of interest while the file is opened only.
            on_corruption: _,
        } = self;
        let clock = |options: &Self| options.clock.as_ref().map(|clock| Arc::as_ptr(clock).addr());
        let is_exclusive = |access: Access| access == Access::Exclusive;
        let is_read_only = |access: Access| access == Access::ReadOnly;
        [
            ("memory_entries", memory.entries != other.memory.entries),
            ("memory_bytes", memory.bytes != other.memory.bytes),
            // What it is without one follows from `disk_ttl`.
            ("memory_ttl", lifetimes.memory_alone != other.lifetimes.memory_alone),
            ("disk_entries", disk.entries != other.disk.entries),
            ("disk_bytes", disk.bytes != other.disk.bytes),
            ("disk_ttl", lifetimes.disk != other.lifetimes.disk),
            ("max_item_size", *max_item_size != other.max_item_size),
            ("row_cache_bytes", *row_cache_bytes != other.row_cache_bytes),
            ("max_age", lifetimes.max_age != other.lifetimes.max_age),
            ("ttl_jitter", *ttl_jitter != other.ttl_jitter),
            ("fail_safe", grace.fail_safe != other.grace.fail_safe),
            ("refresh_ahead", grace.refresh_ahead != other.grace.refresh_ahead),
            ("stale_while_revalidate", grace.revalidate != other.grace.revalidate),
            ("load_lease", *load_lease != other.load_lease),
            ("soft_load_timeout", timeouts.soft != other.timeouts.soft),
            ("hard_load_timeout", timeouts.hard != other.timeouts.hard),
            ("busy_timeout", *busy_timeout != other.busy_timeout),
            ("verify_round_trip", *verify_round_trip != other.verify_round_trip),
            ("durability", *durability != other.durability),
            ("recency_lag", *recency_lag != other.recency_lag),
            ("staleness", *staleness != other.staleness),
            ("background_maintenance", *background_maintenance != other.background_maintenance),
            ("codec", *codec != other.codec),
            ("compression", !wrappers.compresses_as(&other.wrappers)),
            ("encryption", !wrappers.encrypts_as(&other.wrappers)),
            ("clock", clock(self) != clock(other)),
            ("exclusive", is_exclusive(*access) != is_exclusive(other.access)),
            ("read_only", is_read_only(*access) != is_read_only(other.access)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Settings};
    use super::*;
    use crate::entry::CodecId;
    use crate::time::ManualClock;
    use std::time::Duration;

    type Set = fn(&mut Settings);

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_setting_that_differs_is_named() {
        let unset = Settings::default().validate().unwrap();
        assert_eq!(unset.differences(&unset), [""; 0]);
        let cases: [(Set, &[&str]); 27] = [
            (|it| it.memory_entries = 1, &["memory_entries"]),
            (|it| it.memory_bytes = 1, &["memory_bytes", "max_item_size"]),
            (|it| it.memory_ttl = Some(SECOND), &["memory_ttl", "recency_lag"]),
            (|it| it.disk_entries = Some(1), &["disk_entries"]),
            (|it| it.disk_bytes = Some(1), &["disk_bytes"]),
            (|it| it.disk_ttl = Some(SECOND), &["disk_ttl", "recency_lag"]),
            (|it| it.disk_ttl = Some(SECOND * 600), &["disk_ttl"]),
            (|it| it.max_item_size = Some(1), &["max_item_size"]),
            (|it| it.row_cache_bytes = 1, &["row_cache_bytes"]),
            (|it| it.max_age = Some(SECOND), &["max_age"]),
            (|it| it.ttl_jitter = 0.5, &["ttl_jitter"]),
            (|it| it.grace.fail_safe = Some(SECOND), &["fail_safe"]),
            (|it| it.grace.refresh_ahead = Some(0.5), &["refresh_ahead"]),
            (|it| it.grace.revalidate = Some(SECOND), &["stale_while_revalidate"]),
            (|it| it.load_lease = Some(SECOND), &["load_lease"]),
            (|it| it.timeouts.hard = Some(SECOND), &["hard_load_timeout"]),
            (|it| it.busy_timeout = SECOND, &["busy_timeout"]),
            (|it| it.verify_round_trip ^= true, &["verify_round_trip"]),
            (|it| it.durability = Durability::Synced, &["durability"]),
            (|it| it.recency_lag = Some(SECOND), &["recency_lag"]),
            (|it| it.staleness = SECOND, &["staleness"]),
            (|it| it.background_maintenance = false, &["background_maintenance"]),
            (|it| it.codec = CodecId::MESSAGE_PACK, &["codec"]),
            (|it| it.clock = Some(Arc::new(ManualClock::default())), &["clock"]),
            (|it| it.exclusive = true, &["exclusive"]),
            (|it| it.read_only = true, &["read_only"]),
            (
                |it| {
                    it.grace.fail_safe = Some(SECOND);
                    it.timeouts.soft = Some(SECOND);
                },
                &["fail_safe", "soft_load_timeout"],
            ),
        ];
        for (set, expected) in cases {
            let mut settings = Settings::default();
            set(&mut settings);
            let other = settings.validate().unwrap();
            assert_eq!(unset.differences(&other), expected);
            assert_eq!(other.differences(&unset), expected);
        }
    }
}
