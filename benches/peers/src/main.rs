//! The cache beside other caches and stores, each measured in a process of its own.
//!
//! `run [NAME...]` measures, `report` writes `docs/performance.md` and its charts from what was
//! measured, and `list` tells the names.

mod bench;
mod contender;
mod contenders;
mod machine;
mod object;
mod report;
mod results;
mod run;
mod scenarios;
mod trace;

use bench::{Bench, Filling};
use clap::{Parser, Subcommand};
use contender::Peer;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "The cache beside other caches and stores")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures; later runs replace only what they measure again.
    Run {
        /// Contenders and scenarios, or the beginnings of scenarios' names; all if there are none.
        names: Vec<String>,
        /// How often each measurement is taken.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// The folder of the real traces.
        #[arg(long, default_value_os_t = trace::default_folder())]
        traces: PathBuf,
    },
    /// Writes the page and the charts.
    Report,
    /// Tells which contenders and scenarios there are.
    List,
    /// One measurement in this process.
    #[command(hide = true)]
    Once { contender: String, scenario: String, repetition: usize, traces: PathBuf },
    /// Fills a folder that later processes open.
    #[command(hide = true)]
    Prepare { contender: String, purpose: String, entries: usize, object_bytes: usize },
    /// Puts and crashes.
    #[command(hide = true)]
    Abort { contender: String, folder: PathBuf },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { names, repetitions, traces } => {
            return match run::Selection::of(&names) {
                Ok(selection) => selection.run(repetitions, &traces),
                Err(message) => {
                    eprintln!("{message}");
                    ExitCode::FAILURE
                }
            };
        }
        Command::Report => report::write(),
        Command::List => print!("{}", run::names()),
        Command::Once { contender, scenario, repetition, traces } => {
            once(&contender, &scenario, repetition, &traces);
        }
        Command::Prepare { contender, purpose, entries, object_bytes } => {
            Filling { purpose: &purpose, entries, object_bytes }.prepare(&peer(&contender));
        }
        Command::Abort { contender, folder } => {
            scenarios::put_and_abort(&peer(&contender), &folder)
        }
    }
    ExitCode::SUCCESS
}

/// Prints one line of JSON.
fn once(contender: &str, scenario: &str, repetition: usize, traces: &std::path::Path) {
    let peer = peer(contender);
    let mut scenarios = scenarios::scenarios().into_iter();
    let scenario = scenarios.find(|other| other.name == scenario).expect("there is this scenario");
    std::fs::create_dir_all(bench::target_folder()).unwrap();
    let scratch = tempfile::tempdir_in(bench::target_folder()).unwrap();
    let bench = Bench { peer: &peer, scratch: scratch.path(), repetition, traces };
    let sample = (scenario.measure)(&bench);
    println!("{}", serde_json::to_string(&sample).unwrap());
}

fn peer(name: &str) -> Peer {
    let mut peers = contenders::peers().into_iter();
    peers.find(|peer| peer.name == name).expect("there is this contender")
}
