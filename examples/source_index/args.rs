//! The command line.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

pub const USAGE: &str = "\
Usage: source_index [DIR] [--cache FILE] [--repeat N]

Summarises the Rust sources below DIR and keeps the summaries in a cache.

  DIR           the folder to index (default: this project)
  --cache FILE  where the cache lies (default: target/source_index.db in this project)
  --repeat N    index N times in one process, at least once (default: 1)
  --help        print this";

/// What the command line asks for.
pub enum Request {
    Index(Args),
    Help,
}

/// What to index, and how.
pub struct Args {
    pub dir: PathBuf,
    pub cache: PathBuf,
    pub repeat: usize,
}

/// Reads the arguments after the program's name; an error says which one is wrong.
pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Request, String> {
    let mut dir = None;
    let mut cache = None;
    let mut repeat = 1;
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--cache") => {
                cache = Some(args.next().map(PathBuf::from).ok_or("--cache needs a file")?);
            }
            Some("--repeat") => {
                repeat = args
                    .next()
                    .and_then(|number| number.to_str()?.parse().ok())
                    .filter(|&number| number > 0)
                    .ok_or("--repeat needs a number of at least 1")?;
            }
            Some(flag) if flag.starts_with('-') => return Err(format!("unknown flag {flag}")),
            _ if dir.is_none() => dir = Some(PathBuf::from(arg)),
            _ => return Err(format!("a second folder, {}; give one", arg.display())),
        }
    }
    Ok(Request::Index(Args {
        dir: dir.unwrap_or_else(project),
        cache: cache.unwrap_or_else(|| project().join("target/source_index.db")),
        repeat,
    }))
}

/// This project's folder, if cargo runs the program; otherwise the present one.
fn project() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}
