//! How objects become bytes and back, and how those bytes are stored.

mod compression;
mod encryption;
mod packed;

pub(crate) use encryption::{Binding, has_key};
pub(crate) use packed::{Packed, Unreadable, head, pack, unpack};

use crate::entry::CodecId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error as StdError;

/// What a failing codec reports.
pub(crate) type CodecError = Box<dyn StdError + Send + Sync>;

/// Turns objects into bytes and bytes into objects.
///
/// A codec must be self-describing, because an upgrade reads rows in the shape an older type gave
/// them. Every row names its codec, so rows of several codecs can lie side by side. The trait is
/// sealed: which codecs exist is part of the file format.
pub trait Codec: sealed::Sealed {
    /// The number that rows written by this codec carry.
    const ID: CodecId;

    /// Encodes `value`.
    ///
    /// # Errors
    /// Whatever the value's `Serialize` implementation, or the codec, refuses.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError>;

    /// Decodes what [`encode`](Codec::encode) wrote.
    ///
    /// # Errors
    /// If the bytes are not what this codec writes, or not a `T`.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Json {}
    #[cfg(feature = "msgpack")]
    impl Sealed for super::MessagePack {}
}

/// What an encoding begins with, so that those of small objects need not grow.
const TYPICAL_SIZE: usize = 512;

/// JSON, by `serde_json`: readable, self-describing, the default.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl Codec for Json {
    const ID: CodecId = CodecId::JSON;

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(TYPICAL_SIZE);
        serde_json::to_writer(&mut bytes, value)?;
        Ok(bytes)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(Into::into)
    }
}

/// MessagePack with field names, by `rmp-serde`: about two thirds of the size of JSON, and decoded in
/// about half the time. Needs the feature `msgpack`.
///
/// Unlike JSON it knows bytes, and numbers that are no numbers. Types that serde treats differently
/// for people and for machines (IP addresses, for one) have their compact form.
#[cfg(feature = "msgpack")]
#[derive(Clone, Copy, Debug)]
pub struct MessagePack;

#[cfg(feature = "msgpack")]
impl Codec for MessagePack {
    const ID: CodecId = CodecId::MESSAGE_PACK;

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(TYPICAL_SIZE);
        rmp_serde::encode::write_named(&mut bytes, value)?;
        Ok(bytes)
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        rmp_serde::from_slice(bytes).map_err(Into::into)
    }
}

/// Whether this build has the codec that a row names. (One that it cannot decrypt for want of a feature is
/// known: that is an error, like any other row whose key is missing.)
pub(crate) fn is_known(codec: CodecId) -> bool {
    let base = codec.base();
    let is_base_known =
        base == Json::ID || (cfg!(feature = "msgpack") && base == CodecId::MESSAGE_PACK);
    is_base_known && (cfg!(feature = "zstd") || !codec.is_compressed())
}

/// Encodes with a codec that this build has.
pub(crate) fn encode<T: Serialize>(codec: CodecId, value: &T) -> Result<Vec<u8>, CodecError> {
    match codec {
        Json::ID => Json::encode(value),
        #[cfg(feature = "msgpack")]
        MessagePack::ID => MessagePack::encode(value),
        unknown => Err(missing(unknown)),
    }
}

/// Decodes with the codec that a row names, which says nothing of compression or encryption any more.
pub(crate) fn decode<T: DeserializeOwned>(codec: CodecId, bytes: &[u8]) -> Result<T, CodecError> {
    match codec {
        Json::ID => Json::decode(bytes),
        #[cfg(feature = "msgpack")]
        MessagePack::ID => MessagePack::decode(bytes),
        unknown => Err(missing(unknown)),
    }
}

fn missing(codec: CodecId) -> CodecError {
    format!("this build has no codec {codec}").into()
}

#[cfg(all(test, feature = "zstd", feature = "encryption"))]
mod tests;
