//! Keeps a typed summary of every Rust source file of a folder and parses only what has changed.
//!
//! ```text
//! cargo run --release --example source_index -- [DIR] [--cache FILE] [--repeat N]
//! ```
//!
//! Run it twice: the second run finds on disk what the first one computed. With `--repeat 2` the
//! second pass finds it in memory. On the way it shows
//!
//! - a type of your own as the cached object: [`Summary`] derives `Cacheable`, and comes back from
//!   the cache as the struct it was, its vectors and options included;
//! - an object that records what it was computed from, so that its reader can tell whether it still
//!   holds: [`Source`], a file's path, size and time of modification;
//! - `get` one by one, so that each file's recency counts, and `put_many` in chunks, so that a
//!   first run does not pay for a transaction per file;
//! - limits and expiry: summaries of files that are gone leave on their own;
//! - the statistics that tell where the objects came from.
//!
//! The cache is used in this file; what is cached stands in `summary.rs`.

mod args;
mod report;
mod summary;

use args::{Args, Request};
use disk_backed_cache::DiskBackedCache;
use ignore::{DirEntry, WalkBuilder};
use indicatif::ProgressBar;
use report::{Index, Pass, Report};
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use summary::{Source, Summary};

/// Objects that one transaction writes: enough to make commits cheap, and few enough that an
/// interrupted first run loses little.
const CHUNK: usize = 256;

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn main() -> ExitCode {
    let args = match args::parse(env::args_os().skip(1)) {
        Ok(Request::Index(args)) => args,
        Ok(Request::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("source_index: {problem}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("source_index: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let root = folder(&args.dir)?;
    let cache = DiskBackedCache::<Summary>::builder()
        // Every pass reads all files in the same order. A memory tier that holds fewer would always
        // have evicted just what is asked for next.
        .memory_entries(100_000)
        .disk_ttl(MONTH)
        .open(&args.cache)?;

    let mut passes = Vec::new();
    let mut latest = Index::default();
    for _ in 0..args.repeat {
        let (index, pass) = index(&cache, &root)?;
        latest = index;
        passes.push(pass);
    }

    let stats = cache.stats();
    // Dropping the cache closes it too; only `close` can say what went wrong.
    cache.close()?;
    let report = Report { root, index: latest, passes, stats, took: started.elapsed() };
    io::stdout().write_all(report.to_string().as_bytes())?;
    Ok(())
}

/// One pass over all files: takes each summary from the cache, or computes and stores it.
fn index(cache: &DiskBackedCache<Summary>, root: &Path) -> Result<(Index, Pass), Box<dyn Error>> {
    let started = Instant::now();
    let before = cache.stats();
    let (sources, mut skipped) = walk(root);
    let walked = started.elapsed();

    let bar = ProgressBar::new(sources.len() as u64);
    let mut summaries = Vec::with_capacity(sources.len());
    let mut fresh = Vec::with_capacity(CHUNK);
    let mut computed = 0;
    for source in bar.wrap_iter(sources.into_iter()) {
        let key = source.key();
        let summary = match cache.get(&key)? {
            Some(known) if known.source == source => known,
            _ => match Summary::compute(&source) {
                Ok(summary) => {
                    let summary = Arc::new(summary);
                    fresh.push((key.into_owned(), Arc::clone(&summary)));
                    computed += 1;
                    summary
                }
                Err(error) => {
                    skipped.push(format!("{}: {error}", source.path));
                    continue;
                }
            },
        };
        summaries.push(summary);
        if fresh.len() == CHUNK {
            cache.put_many(fresh.drain(..))?;
        }
    }
    cache.put_many(fresh)?;
    bar.finish_and_clear();

    let after = cache.stats();
    let pass = Pass {
        took: started.elapsed(),
        walked,
        computed,
        memory_hits: after.memory_hits - before.memory_hits,
        disk_hits: after.disk_hits - before.disk_hits,
    };
    Ok((Index { summaries, skipped }, pass))
}

/// The `.rs` files below `root`, and what of it could not be looked at.
fn walk(root: &Path) -> (Vec<Source>, Vec<String>) {
    let mut sources = Vec::new();
    let mut skipped = Vec::new();
    for entry in WalkBuilder::new(root).filter_entry(|entry| !is_build_folder(entry)).build() {
        match entry {
            Ok(entry) if is_rust_source(&entry) => match Source::of(&entry) {
                Ok(source) => sources.push(source),
                Err(error) => skipped.push(format!("{}: {error}", entry.path().display())),
            },
            Ok(_) => {}
            Err(error) => skipped.push(error.to_string()),
        }
    }
    (sources, skipped)
}

fn is_rust_source(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
        && entry.path().extension().is_some_and(|extension| extension == "rs")
}

/// Whether this is what cargo builds into. A module may be called `target` too; no manifest lies
/// beside that one.
fn is_build_folder(entry: &DirEntry) -> bool {
    entry.file_name() == "target"
        && entry.file_type().is_some_and(|kind| kind.is_dir())
        && entry.path().with_file_name("Cargo.toml").exists()
}

/// The folder's canonical path, so that a file has one key however its folder was named, and files
/// of different folders never share one.
fn folder(dir: &Path) -> Result<PathBuf, String> {
    match dir.canonicalize() {
        Ok(root) if root.is_dir() => Ok(root),
        Ok(_) => Err(format!("{} is not a directory", dir.display())),
        Err(error) => Err(format!("cannot index {}: {error}", dir.display())),
    }
}
