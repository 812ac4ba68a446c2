//! What a key may be.

use crate::error::{Error, ErrorKind};
use smol_str::SmolStr;

/// A key to be kept: in place up to 23 bytes, shared on the heap beyond, cheap to clone.
pub type Key = SmolStr;

/// The most characters (Unicode scalar values) a key may have.
pub const MAX_KEY_CHARS: usize = 256;

/// Accepts UTF-8 text of 1 to [`MAX_KEY_CHARS`] characters, any character allowed.
pub(crate) fn check(key: &str) -> Result<(), Error> {
    // A character takes at least one byte, so a short text needs no counting.
    if !key.is_empty() && (key.len() <= MAX_KEY_CHARS || key.chars().count() <= MAX_KEY_CHARS) {
        return Ok(());
    }
    Err(refused(key))
}

#[cold]
fn refused(key: &str) -> Error {
    let message = if key.is_empty() {
        "a key must not be empty; give it 1 to 256 characters".to_owned()
    } else {
        format!(
            "a key has at most {MAX_KEY_CHARS} characters and this one has {}; shorten or hash it",
            key.chars().count()
        )
    };
    Error::new(ErrorKind::InvalidKey, message).with_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_and_not_bytes() {
        assert!(check("").is_err());
        assert!(check("a").is_ok());
        assert!(check("\0").is_ok());
        assert!(check(&"é".repeat(256)).is_ok());
        assert!(check(&"é".repeat(257)).is_err());
        assert!(check(&"a".repeat(256)).is_ok());
        let error = check(&"a".repeat(257)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert!(error.to_string().contains("257"), "{error}");
    }
}
