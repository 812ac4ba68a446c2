//! Which objects a program asked for, one after the other.

use crate::object::Popularity;
use lzma_rust2::XzReader;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The accesses of a trace.
pub struct Trace {
    pub accesses: Vec<u64>,
    /// How many different objects they are of.
    pub objects: usize,
    /// Whether the file was missing and a Zipf distribution stands in for it.
    pub generated: bool,
}

/// Where the traces lie if nothing else is said: beside the project.
pub fn default_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/traces")
}

impl Trace {
    /// The trace called `name`, or a generated one.
    pub fn load(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.trace.xz"));
        let generated = !path.exists();
        let accesses =
            if generated { Popularity::Zipf.numbers(100_000, 1_000_000, 0) } else { read(&path) };
        let objects = accesses.iter().collect::<HashSet<_>>().len();
        Self { accesses, objects, generated }
    }
}

/// Each access is one big-endian `u32`: an object's type, id and index.
fn read(path: &Path) -> Vec<u64> {
    let mut bytes = Vec::new();
    let file = BufReader::new(File::open(path).unwrap());
    XzReader::new(file, true).read_to_end(&mut bytes).expect("the trace is sound");
    let (accesses, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty(), "{} ends within an access", path.display());
    accesses.iter().map(|&access| u64::from(u32::from_be_bytes(access))).collect()
}
