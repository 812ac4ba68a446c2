//! Rows changed behind the cache's back.

use super::sequence::Injury;
use crate::model::Damage;
use rusqlite::Connection;
use std::path::Path;

impl Injury {
    pub fn damage(self) -> Damage {
        match self {
            Self::ValueBytes | Self::ValueLength | Self::Checksum => Damage::Value,
            Self::Version => Damage::Version,
        }
    }

    /// An injury repeated is the same injury, never a healing. (`substr` makes NULL of an empty blob.)
    fn assignment(self) -> &'static str {
        match self {
            Self::ValueBytes => "value = zeroblob(length(value))",
            Self::ValueLength => "value = coalesce(substr(value, 1, length(value) / 2), x'')",
            Self::Checksum => "seal = 0",
            Self::Version => "schema_version = 'first'",
        }
    }
}

/// Changes the row of `key`, if there is one, in the only collection of the file.
pub fn injure(path: &Path, key: &str, injury: Injury) {
    let file = Connection::open(path).unwrap();
    let id: i64 = file.query_row("SELECT id FROM collections", [], |row| row.get(0)).unwrap();
    let statement = format!("UPDATE entries_{id} SET {} WHERE key = ?1", injury.assignment());
    file.execute(&statement, [key]).unwrap();
}
