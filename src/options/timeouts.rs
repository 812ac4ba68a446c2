//! How long a caller waits for a loader.

use super::GraceSettings;
use std::time::Duration;

/// How long a caller of the asynchronous face waits for a loader; `None` is to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Where something stale may be the answer.
    pub soft: Option<Duration>,
    /// Whatever there is.
    pub hard: Option<Duration>,
}

impl Timeouts {
    /// Whether there are any.
    #[cfg(feature = "future")]
    pub const fn are_set(&self) -> bool {
        self.soft.is_some() || self.hard.is_some()
    }

    pub(super) fn without_anything_stale(&self, grace: &GraceSettings) -> Option<String> {
        let soft = self.soft.filter(|_| grace.fail_safe.is_none())?;
        Some(format!(
            "soft_load_timeout is {soft:?} without fail_safe, whose entries it answers with; set that, too, \
             or leave it unset"
        ))
    }

    pub(super) fn too_late(&self) -> Option<String> {
        let (soft, hard) = self.soft.zip(self.hard)?;
        (hard < soft).then(|| {
            format!(
                "hard_load_timeout ({hard:?}) is below soft_load_timeout ({soft:?}), which would never end \
                 a wait; give it the longer time"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn timeouts_that_could_not_end_a_wait_are_named() {
        let millis = |millis| Some(Duration::from_millis(millis));
        let grace = GraceSettings { fail_safe: millis(1), ..GraceSettings::default() };
        let problems = |soft, hard, grace: &GraceSettings| {
            let timeouts = Timeouts { soft, hard };
            let settings = Settings { timeouts, grace: grace.clone(), ..Settings::default() };
            let error = settings.validate().err();
            error.map_or(0, |error| error.problems().len())
        };
        assert_eq!(problems(millis(1), millis(1), &grace), 0);
        assert_eq!(problems(None, millis(1), &GraceSettings::default()), 0);
        assert_eq!(problems(millis(2), millis(1), &grace), 1);
        assert_eq!(problems(millis(2), millis(1), &GraceSettings::default()), 2);
        let all = problems(millis(0), millis(0), &GraceSettings::default());
        assert_eq!(all, 3, "both are zero, and nothing is stale");
    }
}
