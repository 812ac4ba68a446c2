//! Whether and how values are compressed.

/// How values are compressed.
///
/// Rows that were written otherwise stay readable, and those that were compressed are so without any
/// setting. Small values gain little: those below [`min_size`](Self::min_size) stay as they are, and so
/// does what does not get smaller.
///
/// ```
/// use disk_backed_cache::{Compression, DiskBackedCache};
///
/// let cache = DiskBackedCache::<String>::builder()
///     .compression(Compression::zstd(3).min_size(1_000))
///     .open_in_memory()?;
/// cache.put("verse", "row, row, row your boat ".repeat(100))?;
/// let info = cache.info("verse")?.expect("it was just put");
/// assert!(info.codec.is_compressed() && info.size < info.encoded_size / 10);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `Builder::compression`"]
pub struct Compression {
    level: i32,
    min_size: u64,
}

/// Below this, a frame's own bytes eat most of what is gained.
const DEFAULT_MIN_SIZE: u64 = 256;

impl Compression {
    /// By zstd: level 1 is the fastest, 3 is zstd's own choice, 22 makes the smallest. Negative levels
    /// are still faster, and 0 is zstd's own choice too.
    pub const fn zstd(level: i32) -> Self {
        Self { level, min_size: DEFAULT_MIN_SIZE }
    }

    /// Values of fewer encoded bytes stay as they are. Default: 256.
    pub const fn min_size(mut self, bytes: u64) -> Self {
        self.min_size = bytes;
        self
    }

    pub(crate) const fn level(self) -> i32 {
        self.level
    }

    pub(crate) const fn least_size(self) -> u64 {
        self.min_size
    }

    pub(crate) fn problem(&self) -> Option<String> {
        let (level, levels) = (self.level, zstd::compression_level_range());
        (!levels.contains(&level)).then(|| {
            let (least, most) = (levels.start(), levels.end());
            format!("compression has level {level}; give it one from {least} to {most}")
        })
    }
}
