//! A row of the disk tier: keys and bytes, never a user's type.

use crate::entry::CodecId;
use crate::time::Timestamp;
use smol_str::SmolStr;
use std::sync::Arc;

/// Everything about a row but its key and value.
#[derive(Clone, Debug)]
pub struct Meta {
    pub revision: i64,
    pub size: u64,
    pub created: Timestamp,
    /// As stored: at or below the true recency.
    pub accessed: Timestamp,
    /// Of the type that wrote the row, as text: nothing in a file is believed before it is parsed.
    pub version: SmolStr,
    pub codec: CodecId,
}

/// A row as read.
#[derive(Clone, Debug)]
pub struct Row {
    pub meta: Meta,
    pub value: Arc<[u8]>,
    /// Whether the checksum is right.
    pub intact: bool,
}
