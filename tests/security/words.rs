//! Text that would do harm if it were ever taken for anything but text.

use crate::builder;
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, ErrorKind, MAX_KEY_CHARS};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "'; DROP TABLE entries_1; --",
        "\" OR 1=1 --",
        "x' UNION SELECT value FROM entries_1 WHERE 'a'='a",
        "?1",
        ":key",
        "$key",
        "@key",
        "entries_1",
        "%",
        "_",
        "*",
        "[a-z]",
        "\\",
        "a\0b",
        "a\0",
        "\0",
        "../../../etc/passwd",
        "file:///etc/passwd?mode=ro",
        "{}%s%n{0}",
        "\u{202e}drawkcab\u{202c}",
        "مفتاح",
        "\u{feff}bom",
        "e\u{301}",
        "\u{10ffff}\u{fffd}\u{fffe}\u{d7ff}\u{e000}",
        "\r\n\t\u{1b}[2J",
        "null",
        "1e400",
        "NaN",
    ]
    .map(str::to_owned)
    .into();
    texts.push("'".repeat(MAX_KEY_CHARS));
    texts.push("\u{10ffff}".repeat(MAX_KEY_CHARS));
    texts
}

// rule: K1
#[test]
fn hostile_keys_and_values_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let texts = hostile();
    let cache = builder::<String>().open(&path).unwrap();
    for (at, key) in texts.iter().enumerate() {
        cache.put(key, texts[texts.len() - 1 - at].clone()).unwrap();
    }
    cache.close().unwrap();

    let cache = builder::<String>().open(&path).unwrap();
    assert_eq!(cache.len().unwrap(), texts.len() as u64);
    let all = cache.get_many(&texts).unwrap();
    for (at, key) in texts.iter().enumerate() {
        let value = &texts[texts.len() - 1 - at];
        assert_eq!(all.get(key.as_str()).map(|text| &**text), Some(value), "{key:?}");
        assert_eq!(cache.get(key).unwrap().as_deref(), Some(value), "{key:?}");
        assert_eq!(cache.info(key).unwrap().unwrap().key, *key);
    }
    assert!(cache.verify().unwrap().is_ok());
    for (gone, key) in texts.iter().enumerate() {
        assert_eq!(cache.delete_many([key]).unwrap(), 1, "{key:?} removes itself");
        assert_eq!(cache.len().unwrap(), (texts.len() - 1 - gone) as u64, "and nothing else");
    }
}

// rule: B3
#[test]
fn a_hostile_name_of_a_collection_is_refused() {
    for name in hostile().into_iter().filter(|name| name != "entries_1" && name != "null") {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.bytes().all(plain) && name.len() <= 64 {
            continue;
        }
        let error = builder::<String>().collection(name).open_in_memory().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Misnamed(u8);

impl Cacheable for Misnamed {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("x'); DELETE FROM collections; --\0")
    }

    fn schema_version() -> Version {
        Version::parse("1.0.0-drop.table+entries.1").unwrap()
    }
}

// rule: V1, V2
#[test]
fn a_hostile_name_of_a_type_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let others = builder::<String>().collection("others").open(&path).unwrap();
    others.put("a", "text".to_owned()).unwrap();
    let cache = builder::<Misnamed>().open(&path).unwrap();
    cache.put("a", Misnamed(7)).unwrap();
    cache.close().unwrap();
    let cache = builder::<Misnamed>().open(&path).unwrap();
    assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Misnamed(7)));
    assert_eq!(others.len().unwrap(), 1);
    cache.close().unwrap();
    let error = builder::<String>().open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
}
