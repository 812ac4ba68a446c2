//! Compression by zstd, without the feature by nothing.

use crate::options::Wrappers;

/// The frame of an encoding that is to be compressed; `None` where that is not asked for or does not make
/// it smaller.
#[cfg(feature = "zstd")]
pub(super) fn compress(wrappers: &Wrappers, encoded: &[u8]) -> Option<Vec<u8>> {
    let compression = wrappers.compression?;
    if (encoded.len() as u64) < compression.least_size() {
        return None;
    }
    let frame = match zstd::bulk::compress(encoded, compression.level()) {
        Ok(frame) => frame,
        Err(error) => {
            tracing::warn!(%error, "a value could not be compressed; it is stored as it is");
            return None;
        }
    };
    let is_smaller = size_of::<u32>() + frame.len() < encoded.len();
    (is_smaller && is_plausible(encoded.len(), frame.len())).then_some(frame)
}

/// The encoding of `size` bytes that a frame holds; `None` if it does not.
#[cfg(feature = "zstd")]
pub(super) fn decompress(frame: &[u8], size: u32) -> Option<Vec<u8>> {
    use std::cell::Cell;
    use zstd::bulk::Decompressor;

    thread_local! {
        // A decompressor is larger than most values. To make and free one for each is slow.
        static SPARE: Cell<Option<Decompressor<'static>>> = const { Cell::new(None) };
    }
    let size = size as usize;
    if !is_plausible(size, frame.len()) {
        return None;
    }
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    let mut decompressor = spare.map_or_else(Decompressor::new, Ok).ok()?;
    // At most so many bytes are reserved and written, whatever the frame says.
    let encoded = decompressor.decompress(frame, size).ok();
    // A thread that ends keeps none.
    let _ended = SPARE.try_with(|spare| spare.set(Some(decompressor)));
    encoded
}

/// Whether a frame may stand for so much. A small row of a file that anybody may have written must not
/// take any amount of memory; what compresses better than that is rare, and stored as it is.
#[cfg(feature = "zstd")]
fn is_plausible(size: usize, frame: usize) -> bool {
    const ALWAYS: usize = 16 << 20;
    const TIMES: usize = 256;
    size <= ALWAYS.max(frame.saturating_mul(TIMES))
}

#[cfg(not(feature = "zstd"))]
pub(super) fn compress(_: &Wrappers, _: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Nobody asks: such a row is of no use here.
#[cfg(not(feature = "zstd"))]
pub(super) fn decompress(_: &[u8], _: u32) -> Option<Vec<u8>> {
    None
}
