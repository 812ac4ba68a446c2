//! What is stored of an encoded value: itself, or compressed, or encrypted, or both in that order.
//!
//! One that is not stored as it is has a head, which docs/format.md describes. Nothing that it says is
//! believed before it proves right.

use super::compression::{compress, decompress};
use super::encryption::{self, Binding};
use crate::entry::{CodecId, Form};
use crate::error::Error;
use crate::options::Wrappers;
use crate::row::Head;
use std::borrow::Cow;
use std::sync::Arc;

const NUMBER: usize = size_of::<u32>();

/// A value as a row has it.
#[derive(Clone, Debug)]
pub struct Packed {
    pub bytes: Arc<[u8]>,
    pub form: Form,
}

/// Why the encoding of a value cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not what was written.
    Damaged,
    /// It is encrypted with a key of this version, which is not there.
    MissingKey(u32),
    /// It is not what was encrypted with the key of this version that is there.
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "no key is there"))]
    WrongKey(u32),
}

/// Makes of an encoding what is to be stored.
///
/// # Errors
/// If it is to be encrypted, and the system has no random numbers.
pub(crate) fn pack(
    wrappers: &Wrappers,
    codec: CodecId,
    encoded: Vec<u8>,
    binding: Binding<'_>,
) -> Result<Packed, Error> {
    let encoded_size = encoded.len() as u64;
    let packed = |bytes: Vec<u8>, codec, key_version| {
        let form = Form { codec, size: bytes.len() as u64, encoded_size, key_version };
        Packed { bytes: bytes.into(), form }
    };
    // What is larger than any row may be is refused as it is.
    let Ok(size) = u32::try_from(encoded.len()) else { return Ok(packed(encoded, codec, None)) };
    let compressed = compress(wrappers, &encoded);
    let (body, codec) = match &compressed {
        Some(frame) => (frame, codec.compressed()),
        None => (&encoded, codec),
    };
    if let Some((bytes, version)) = encryption::seal(wrappers, codec, size, body, binding)? {
        return Ok(packed(bytes, codec.encrypted(), Some(version)));
    }
    Ok(match compressed {
        Some(frame) => packed([&size.to_le_bytes(), &*frame].concat(), codec, None),
        None => packed(encoded, codec, None),
    })
}

/// The encoding of a stored value.
pub(crate) fn unpack<'v>(
    wrappers: &Wrappers,
    codec: CodecId,
    value: &'v [u8],
    binding: Binding<'_>,
) -> Result<Cow<'v, [u8]>, Unreadable> {
    if !codec.is_encrypted() && wrappers.require_encryption() {
        return Err(Unreadable::Damaged);
    }
    if codec == codec.base() {
        return Ok(Cow::Borrowed(value));
    }
    let (size, body) = number(value).ok_or(Unreadable::Damaged)?;
    let body = if codec.is_encrypted() {
        Cow::Owned(encryption::open(wrappers, codec, size, body, binding)?)
    } else {
        Cow::Borrowed(body)
    };
    let encoded = if codec.is_compressed() {
        Cow::Owned(decompress(&body, size).ok_or(Unreadable::Damaged)?)
    } else {
        body
    };
    // Memory counts what the head says.
    if encoded.len() == size as usize { Ok(encoded) } else { Err(Unreadable::Damaged) }
}

/// What the first bytes of a stored value say; `None` if it was stored as it is, or is too short to be
/// anything.
pub(crate) fn head(codec: CodecId, value: &[u8]) -> Option<Head> {
    if codec == codec.base() {
        return None;
    }
    let (size, rest) = number(value)?;
    let key_version =
        if codec.is_encrypted() { number(rest).map(|(version, _)| version) } else { None };
    Some(Head { encoded_size: size.into(), key_version })
}

pub(super) fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>()?;
    Some((u32::from_le_bytes(*number), rest))
}
