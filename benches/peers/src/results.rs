//! What was measured, in a file.

use crate::bench::{Sample, target_folder};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Everything that was measured so far.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// Where the latest run took place.
    pub machine: Machine,
    /// By scenario and contender.
    samples: BTreeMap<String, BTreeMap<String, Vec<Sample>>>,
}

impl Results {
    /// Those of earlier runs, or none.
    pub fn load() -> Self {
        let machine = Machine::of_this_process();
        match fs::read(path()) {
            Ok(bytes) => {
                let stored: Self = serde_json::from_slice(&bytes).expect("it was written by a run");
                Self { machine, ..stored }
            }
            Err(_) => Self { machine, samples: BTreeMap::new() },
        }
    }

    pub fn replace(&mut self, contender: &str, scenario: &str, samples: Vec<Sample>) {
        let of_scenario = self.samples.entry(scenario.to_owned()).or_default();
        if samples.is_empty() {
            of_scenario.remove(contender);
        } else {
            of_scenario.insert(contender.to_owned(), samples);
        }
    }

    /// How often things were measured: the least and the most.
    pub fn repetitions(&self) -> (usize, usize) {
        let counts = || self.samples.values().flat_map(BTreeMap::values).map(Vec::len);
        (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
    }

    pub fn store(&self) {
        fs::create_dir_all(target_folder()).unwrap();
        fs::write(path(), serde_json::to_vec_pretty(self).unwrap()).unwrap();
    }

    /// What a contender gave in a scenario, if that was measured.
    pub fn of(&self, contender: &str, scenario: &str) -> Option<Spread> {
        let samples = self.samples.get(scenario)?.get(contender)?;
        Spread::of(samples.iter().map(|sample| sample.value))
    }

    /// The median of something that was seen besides.
    pub fn extra(&self, contender: &str, scenario: &str, name: &str) -> Option<f64> {
        let samples = self.samples.get(scenario)?.get(contender)?;
        let seen = samples.iter().filter_map(|sample| sample.extra.get(name).copied());
        Spread::of(seen).map(|spread| spread.median)
    }
}

fn path() -> PathBuf {
    target_folder().join("results.json")
}

/// The middle of several measurements, and the quartiles around it.
#[derive(Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        // Between two measurements, where a quartile falls between them.
        let at = |share: f64| {
            let place = last as f64 * share;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Some(Self { low: at(0.25), median: at(0.5), high: at(0.75) })
    }
}
