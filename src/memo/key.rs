//! The keys of calls.

use super::encoding;
use crate::error::{Error, ErrorKind};
use crate::key::MAX_KEY_CHARS;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::any::type_name_of_val;

/// Hexadecimal digits of a SHA-256, and the `#` before them.
const HASH_CHARS: usize = 65;

/// The key of a call while it is made: which function, and what it is called with.
///
/// It is the path of the function, cut where it would be too long, `#`, and the hash of all of it.
#[derive(Debug)]
pub struct Key {
    path: &'static str,
    /// The path and the arguments, each so that it is seen where it ends.
    bytes: Vec<u8>,
    refused: Option<Error>,
}

impl Key {
    /// The key of a call of the function in which the closure `within` stands.
    ///
    /// The compiler names a closure by all that it stands in: modules, the type that a method is of, and the
    /// type arguments that a generic function was called with.
    #[must_use]
    pub fn new(within: &impl Fn()) -> Self {
        let mut path = type_name_of_val(within);
        while let Some(around) = path.strip_suffix("::{{closure}}") {
            path = around;
        }
        let mut bytes = Vec::with_capacity(128);
        encoding::text(path, &mut bytes);
        Self { path, bytes, refused: None }
    }

    /// With the next argument: its type as it is written, and its value.
    #[must_use]
    pub fn argument<T: Serialize + ?Sized>(mut self, written: &str, value: &T) -> Self {
        encoding::text(written, &mut self.bytes);
        if let Err(cause) = encoding::encode(value, &mut self.bytes)
            && self.refused.is_none()
        {
            let path = self.path;
            let message = format!(
                "an argument ({written}) of {path} cannot be encoded for its key; say what its key is"
            );
            self.refused = Some(Error::new(ErrorKind::Encode, message).with_source(cause));
        }
        self
    }

    /// The key as a text.
    ///
    /// # Errors
    /// If the `Serialize` of an argument failed.
    pub fn end(self) -> Result<String, Error> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        Ok(named(self.path, &self.bytes))
    }
}

/// A key that the function itself says.
///
/// # Errors
/// Never. (It takes the place of a key that is made, which may fail.)
pub fn key_of(text: &(impl AsRef<str> + ?Sized)) -> Result<String, Error> {
    Ok(text.as_ref().to_owned())
}

/// The beginning of `name`, and the hash of `bytes`.
fn named(name: &str, bytes: &[u8]) -> String {
    let beginning: String = name.chars().take(MAX_KEY_CHARS - HASH_CHARS).collect();
    format!("{beginning}#{}", hexadecimal(bytes))
}

/// The SHA-256 of `bytes`.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    Sha256::digest(bytes).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
