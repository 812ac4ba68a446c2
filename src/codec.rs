//! How objects become bytes and back.

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

/// Decodes with the codec that a row names.
pub(crate) fn decode<T: DeserializeOwned>(codec: CodecId, bytes: &[u8]) -> Result<T, CodecError> {
    match codec {
        Json::ID => Json::decode(bytes),
        unknown => Err(format!("this version has no {unknown}").into()),
    }
}
