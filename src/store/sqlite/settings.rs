//! What handles want of the connection that writes, each for its own writes.

use crate::options::Durability;
use crate::store::Terms;
use rusqlite::Connection;
use std::time::Duration;

/// What the connection that writes is set to.
#[derive(Debug, Default)]
pub(super) struct Settings {
    durability: Durability,
    busy_timeout: Option<Duration>,
}

impl Settings {
    /// Sets the connection to what a handle asked for.
    pub fn follow(&mut self, terms: &Terms, connection: &Connection) -> rusqlite::Result<()> {
        if self.durability != terms.durability {
            let level = match terms.durability {
                Durability::Synced => "full",
                Durability::Committed | Durability::Buffered { .. } => "normal",
            };
            connection.pragma_update(None, "synchronous", level)?;
            self.durability = terms.durability;
        }
        if self.busy_timeout != Some(terms.busy_timeout) {
            connection.busy_timeout(busy_timeout(terms))?;
            self.busy_timeout = Some(terms.busy_timeout);
        }
        Ok(())
    }
}

/// SQLite counts milliseconds in an i32 and treats more as none.
pub(super) fn busy_timeout(terms: &Terms) -> Duration {
    terms.busy_timeout.min(Duration::from_millis(i32::MAX as u64))
}
