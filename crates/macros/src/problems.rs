//! What is wrong with an input: all of it at once, so that nobody has to compile once per mistake.

use syn::{Error, Result};

/// The mistakes found so far.
#[derive(Default)]
pub struct Problems(Option<Error>);

impl Problems {
    pub fn add(&mut self, problem: Error) {
        match &mut self.0 {
            None => self.0 = Some(problem),
            Some(first) => first.combine(problem),
        }
    }

    /// The value of `result`, or `None` after its problem was noted.
    pub fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Everything noted, as one error; else `value`, which is missing only if something was noted.
    pub fn or<T>(self, value: Option<T>) -> Result<T> {
        match self.0 {
            Some(problems) => Err(problems),
            None => Ok(value.expect("a value is only missing for a reason that was noted")),
        }
    }
}
