//! What became of the files.

use disk_backed_cache::{Error, ErrorKind};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub struct Tally {
    /// Whether a row may be found in another collection than it was written in.
    pub may_stray: bool,
    pub opened: u64,
    pub refused: u64,
    pub set_aside: u64,
    pub right: u64,
    /// Written under that key, in the other collection.
    pub strayed: u64,
    pub missed: u64,
    pub discarded: u64,
    /// Collections in files that were sound then.
    pub repaired: u64,
    /// Collections that were sound then, in files that were not.
    pub rest_damaged: u64,
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Notes a value that was written under its key, in its own collection or not.
    pub fn value(&mut self, own: bool, counts: bool) {
        assert!(own || self.may_stray, "a value of another collection's row");
        *(if own { &mut self.right } else { &mut self.strayed }) += u64::from(counts);
    }

    /// Counts an error of an operation; fails if it is none that a damaged file may cause.
    pub fn error(&mut self, operation: &str, error: &Error) {
        let kind = error.kind();
        let allowed = match operation {
            "open" => matches!(
                kind,
                ErrorKind::Corrupt
                    | ErrorKind::NotACache
                    | ErrorKind::NewerFormat
                    | ErrorKind::WrongType
            ),
            // SQLite's word for it when a damaged table seems to have used up all numbers of rows, or a
            // damaged header (of a file that seems to vacuum itself) all numbers of pages. A damaged length may be more
            // than there is memory for.
            "put" | "put_many" | "put_with" | "put_if_absent" | "put_if_revision"
            | "update_with" | "repair" | "shrink" => {
                matches!(kind, ErrorKind::Corrupt | ErrorKind::DiskFull | ErrorKind::OutOfMemory)
            }
            _ => matches!(kind, ErrorKind::Corrupt | ErrorKind::OutOfMemory),
        };
        assert!(allowed, "{operation}: {error:?}");
        *self.errors.entry(format!("{operation} {kind:?}")).or_default() += 1;
    }

    /// A check that never sees something says nothing about it.
    pub fn expect_all_kinds(&self) {
        let counts = [
            self.opened,
            self.refused,
            self.set_aside,
            self.right,
            self.missed,
            self.discarded,
            self.repaired,
        ];
        assert!(counts.iter().all(|count| *count > 100), "{self}");
        let seen = |kind: &str| self.errors.get(kind).is_some_and(|count| *count > 10);
        for kind in ["open Corrupt", "open NotACache", "get Corrupt", "put Corrupt"] {
            assert!(seen(kind), "{kind} was not seen\n{self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, refused, set_aside, right, missed, discarded, .. } = self;
        let Self { strayed, repaired, rest_damaged, errors, .. } = self;
        writeln!(f, "files opened {opened}, refused {refused}, set aside {set_aside}")?;
        writeln!(f, "values right {right}, strayed {strayed}, missed {missed}")?;
        writeln!(f, "rows discarded {discarded}")?;
        writeln!(f, "collections repaired {repaired}, beside other damage {rest_damaged}")?;
        writeln!(f, "errors {errors:#?}")
    }
}
