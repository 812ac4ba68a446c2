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

/// The least text that is greater than all that begin with `prefix`, in the order of bytes, which is that
/// of characters. `None` if there is none.
pub(crate) fn end_of(prefix: &str) -> Option<String> {
    let raised = prefix.trim_end_matches(char::MAX);
    let last = raised.chars().next_back()?;
    let next = (last..=char::MAX).nth(1)?;
    Some(format!("{}{next}", &raised[..raised.len() - last.len_utf8()]))
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

    /// Where one more byte, or the gap of the surrogates, lies between a character and the next, too.
    const EDGES: [char; 14] = [
        '\0',
        '%',
        'A',
        '_',
        'a',
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        char::MAX,
    ];

    /// All texts of so many edges.
    fn texts(length: usize) -> Vec<String> {
        let longer = |texts: Vec<String>, _| {
            let longer = texts.iter().flat_map(|text| EDGES.map(|edge| format!("{text}{edge}")));
            longer.collect()
        };
        (0..length).fold(vec![String::new()], longer)
    }

    #[test]
    fn between_a_prefix_and_its_end_lies_what_begins_with_it_and_nothing_else() {
        // An interpreter takes an hour for all of that.
        let longest = if cfg!(miri) { 2 } else { 3 };
        let keys: Vec<String> = (0..=longest).flat_map(texts).collect();
        for prefix in (0..longest).flat_map(texts) {
            let end = end_of(&prefix);
            for key in &keys {
                let between = *key >= prefix && end.as_ref().is_none_or(|end| key < end);
                assert_eq!(between, key.starts_with(&prefix), "{prefix:?} {end:?} {key:?}");
            }
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_the_prefix_with_its_last_character_raised() {
        let ends = ["a", "az\u{10ffff}", "\u{d7ff}", "\u{10ffff}", ""].map(end_of);
        let raised = [Some("b"), Some("a{"), Some("\u{e000}"), None, None];
        assert_eq!(ends, raised.map(|end| end.map(str::to_owned)));
    }
}
