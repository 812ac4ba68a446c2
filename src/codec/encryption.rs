//! Encryption by XChaCha20-Poly1305, without the feature by nothing.
//!
//! Each value has a nonce of its own of 24 random bytes, which is long enough for chance never to repeat
//! one. What the checksum of a row covers is authenticated with the value, so that a value opens in no row
//! but the one it was written for.

use super::packed::{Unreadable, number};
use crate::entry::CodecId;
use crate::error::Error;
use crate::options::Wrappers;
use crate::time::Timestamp;
#[cfg(feature = "encryption")]
use {
    crate::error::ErrorKind,
    chacha20poly1305::aead::AeadInOut,
    chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce},
};

/// What a row's value is bound to.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "encryption"),
    expect(dead_code, reason = "nothing is bound where nothing is encrypted")
)]
pub(crate) struct Binding<'b> {
    pub collection: &'b str,
    pub key: &'b str,
    pub schema_version: &'b str,
    pub created: Timestamp,
}

#[cfg(feature = "encryption")]
const NONCE: usize = 24;

#[cfg(feature = "encryption")]
const TAG: usize = 16;

/// The bytes to store of a body that is to be encrypted, with the version of the key; `None` where that is
/// not asked for. `codec` says whether the body is compressed, `size` is that of the encoding.
#[cfg(feature = "encryption")]
pub(super) fn seal(
    wrappers: &Wrappers,
    codec: CodecId,
    size: u32,
    body: &[u8],
    binding: Binding<'_>,
) -> Result<Option<(Vec<u8>, u32)>, Error> {
    let Some(keys) = &wrappers.encryption else { return Ok(None) };
    let (version, key) = keys.newest();
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(no_randomness)?;
    let mut bytes = Vec::with_capacity(2 * size_of::<u32>() + NONCE + body.len() + TAG);
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&nonce);
    let start = bytes.len();
    bytes.extend_from_slice(body);
    let bound = bound(codec.encrypted(), size, version, binding);
    let tag = XChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&nonce.into(), &bound, (&mut bytes[start..]).into())
        .expect("a value is shorter than the 256 GiB that one nonce may encrypt");
    bytes.extend_from_slice(&tag);
    Ok(Some((bytes, version)))
}

/// The body of a stored value. `stored` is what follows the size of the encoding.
#[cfg(feature = "encryption")]
pub(super) fn open(
    wrappers: &Wrappers,
    codec: CodecId,
    size: u32,
    stored: &[u8],
    binding: Binding<'_>,
) -> Result<Vec<u8>, Unreadable> {
    let (version, rest) = number(stored).ok_or(Unreadable::Damaged)?;
    let keys = wrappers.encryption.as_ref();
    let key = keys.and_then(|keys| keys.of(version)).ok_or(Unreadable::MissingKey(version))?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Unreadable::Damaged)?;
    let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(Unreadable::Damaged)?;
    let (nonce, tag): (&XNonce, &Tag) = (nonce.into(), tag.into());
    let mut body = body.to_vec();
    let bound = bound(codec, size, version, binding);
    // The tag is looked at first: what does not prove right is not decrypted.
    XChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce, &bound, body.as_mut_slice().into(), tag)
        // Bits that the disk has lost are found by the checksum before.
        .map_err(|_| Unreadable::WrongKey(version))?;
    Ok(body)
}

/// Whether there is a key of that version.
#[cfg(feature = "encryption")]
pub(crate) fn has_key(wrappers: &Wrappers, version: u32) -> bool {
    wrappers.encryption.as_ref().is_some_and(|keys| keys.of(version).is_some())
}

/// The associated data, as docs/format.md has it. Each text follows its length, so that no two rows have
/// the same.
#[cfg(feature = "encryption")]
fn bound(codec: CodecId, size: u32, version: u32, binding: Binding<'_>) -> Vec<u8> {
    let Binding { collection, key, schema_version, created } = binding;
    let mut bound = Vec::with_capacity(64 + collection.len() + key.len() + schema_version.len());
    for text in ["disk-backed-cache", collection, key, schema_version] {
        bound.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bound.extend_from_slice(text.as_bytes());
    }
    bound.extend_from_slice(&created.as_nanos().to_le_bytes());
    bound.push(codec.number());
    bound.extend_from_slice(&size.to_le_bytes());
    bound.extend_from_slice(&version.to_le_bytes());
    bound
}

#[cfg(feature = "encryption")]
fn no_randomness(error: getrandom::Error) -> Error {
    let message = "the value cannot be encrypted: the system has no random numbers";
    Error::new(ErrorKind::Io, message).with_source(error)
}

#[cfg(not(feature = "encryption"))]
pub(super) fn seal(
    _: &Wrappers,
    _: CodecId,
    _: u32,
    _: &[u8],
    _: Binding<'_>,
) -> Result<Option<(Vec<u8>, u32)>, Error> {
    Ok(None)
}

/// No key is there.
#[cfg(not(feature = "encryption"))]
pub(super) fn open(
    _: &Wrappers,
    _: CodecId,
    _: u32,
    stored: &[u8],
    _: Binding<'_>,
) -> Result<Vec<u8>, Unreadable> {
    let version = number(stored).map(|(version, _)| version);
    Err(version.map_or(Unreadable::Damaged, Unreadable::MissingKey))
}

#[cfg(not(feature = "encryption"))]
pub(crate) fn has_key(_: &Wrappers, _: u32) -> bool {
    false
}
