//! Starts a process for every measurement and keeps what it prints.

use crate::bench::{Sample, prepared_folder, target_folder, write_back};
use crate::contender::Peer;
use crate::contenders::peers;
use crate::results::Results;
use crate::scenarios::{Scenario, scenarios};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What is to be measured.
pub struct Selection {
    peers: Vec<Peer>,
    scenarios: Vec<Scenario>,
}

impl Selection {
    /// Those that were named, or all of a kind of which none was.
    pub fn of(names: &[String]) -> Result<Self, String> {
        let (mut peers, mut scenarios) = (peers(), scenarios());
        let exact = |name: &str| scenarios.iter().any(|scenario| scenario.name == name);
        let means = |name: &str, scenario: &Scenario| {
            scenario.name == name || !exact(name) && scenario.name.starts_with(name)
        };
        let (mut some_peers, mut some_scenarios) = (Vec::new(), Vec::new());
        for name in names {
            let meant = scenarios.iter().filter(|scenario| means(name, scenario));
            let meant: Vec<&str> = meant.map(|scenario| scenario.name).collect();
            if peers.iter().any(|peer| peer.name == name) {
                some_peers.push(name.as_str());
            } else if meant.is_empty() {
                return Err(format!("there is nothing called {name}\n\n{}", self::names()));
            }
            some_scenarios.extend(meant);
        }
        if !some_peers.is_empty() {
            peers.retain(|peer| some_peers.contains(&peer.name));
        }
        if !some_scenarios.is_empty() {
            scenarios.retain(|scenario| some_scenarios.contains(&scenario.name));
        }
        Ok(Self { peers, scenarios })
    }

    /// Measures all of it, the repetitions of the contenders in turn, and stores every scenario's
    /// results as soon as they are there.
    pub fn run(&self, repetitions: usize, traces: &Path) -> ExitCode {
        let mut results = Results::load();
        let mut failures = 0;
        clear_prepared();
        for scenario in &self.scenarios {
            let peers: Vec<&Peer> =
                self.peers.iter().filter(|peer| (scenario.applies)(peer)).collect();
            let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); peers.len()];
            for repetition in 0..repetitions.min(scenario.most_repetitions) {
                for turn in 0..peers.len() {
                    // Nobody is always behind the same neighbour's dirty pages.
                    let index = (turn + repetition) % peers.len();
                    eprintln!("{} {} {}", scenario.name, repetition + 1, peers[index].name);
                    match once(peers[index], scenario, repetition, traces) {
                        Some(sample) => samples[index].push(sample),
                        None => failures += 1,
                    }
                }
            }
            for (peer, samples) in peers.iter().zip(samples) {
                results.replace(peer.name, scenario.name, samples);
            }
            results.store();
        }
        clear_prepared();
        if failures > 0 {
            eprintln!("{failures} measurements failed");
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    }
}

/// One measurement in a process of its own.
fn once(peer: &Peer, scenario: &Scenario, repetition: usize, traces: &Path) -> Option<Sample> {
    write_back();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["once", peer.name, scenario.name, &repetition.to_string()])
        .arg(traces)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    // A process that was aborted leaves its folder.
    remove_scratch();
    output.status.success().then(|| {
        serde_json::from_slice(&output.stdout).expect("a measurement prints one line of JSON")
    })
}

fn remove_scratch() {
    let Ok(folder) = fs::read_dir(target_folder()) else { return };
    for entry in folder.map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with(".tmp") {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

fn clear_prepared() {
    if prepared_folder().exists() {
        fs::remove_dir_all(prepared_folder()).unwrap();
    }
}

/// The names of everything, a line each.
pub fn names() -> String {
    let mut text = "contenders:\n".to_owned();
    for peer in peers() {
        text += &format!("  {:16} {}\n", peer.name, peer.facts.what);
    }
    text += "scenarios:\n";
    for scenario in scenarios() {
        text += &format!("  {}\n", scenario.name);
    }
    text
}
