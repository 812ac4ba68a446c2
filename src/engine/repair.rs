//! `repair`: totals and indexes made again from the rows.

use super::Engine;
use super::events::whole;
use super::measure::traced;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::store::{Mended, Store};

/// What `repair` found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// How many entries are whole. They stay.
    pub kept: u64,
    /// How many rows are gone: unreadable ones, ones with a wrong checksum, and older ones of a key
    /// that had several.
    pub removed: u64,
    /// Whether the number of entries, of bytes or of the last change was not that of the rows.
    pub totals_changed: bool,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Lets the store mend itself, and memory begin anew. Puts that wait to be written wait on: they
    /// lie in no row yet, and a damaged file might not take them.
    pub async fn repair(&self) -> Result<Repaired, Error> {
        traced!(self.span("repair", None), self.mend())
    }

    async fn mend(&self) -> Result<Repaired, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        let write = self.memory.begin_clear();
        let mended = self.store.repair(&self.terms).await?;
        let removed = write.end_repair(mended.revision);
        drop(removed);
        let Mended { kept, removed, totals_wrong, usage, .. } = mended;
        self.note_usage(usage);
        // Touches of rows that are gone go with the others.
        self.write_back_last().await?;
        // The totals may have said too little.
        self.trim().await?;
        whole!(Disk, "repaired");
        Ok(Repaired { kept, removed, totals_changed: totals_wrong })
    }
}
