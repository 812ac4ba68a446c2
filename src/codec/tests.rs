//! Whatever is stored comes back as it was, and nothing else does.

use super::*;
use crate::options::{Compression, EncryptionKeys, Wrappers};
use crate::row::Head;
use crate::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

const BINDING: Binding<'_> = Binding {
    collection: "default",
    key: "a",
    schema_version: "1.0.0",
    created: Timestamp::from_nanos(7),
};

fn keys(version: u32) -> EncryptionKeys {
    EncryptionKeys::new(version, &[version as u8; 32])
}

fn wrappers(level: Option<i32>, min_size: u64, version: Option<u32>) -> Wrappers {
    let compression = level.map(|level| Compression::zstd(level).min_size(min_size));
    Wrappers { compression, encryption: version.map(keys) }
}

fn encrypting() -> Wrappers {
    wrappers(None, 0, Some(1))
}

fn packed(wrappers: &Wrappers, encoded: &[u8]) -> Packed {
    pack(wrappers, CodecId::JSON, encoded.to_vec(), BINDING).unwrap()
}

fn unpacked(wrappers: &Wrappers, codec: CodecId, bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    unpack(wrappers, codec, bytes, BINDING).map(|encoded| encoded.into_owned())
}

/// Some that compress well, some that do not.
fn encodings() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..2_000),
        (vec(any::<u8>(), 1..20), 1..200_usize).prop_map(|(bytes, times)| bytes.repeat(times)),
    ]
}

fn settings() -> impl Strategy<Value = Wrappers> {
    let level = proptest::option::of(-5..=12_i32);
    (level, 0..600_u64, proptest::option::of(1..9_u32))
        .prop_map(|(level, min_size, version)| wrappers(level, min_size, version))
}

proptest! {
    /// Compression needs no setting to be undone, keys are needed to decrypt.
    // rule: Z1, Z2, Z3, Z4
    #[test]
    fn what_was_stored_in_any_way_comes_back(encoded in encodings(), by in settings()) {
        let Packed { bytes, form } = packed(&by, &encoded);
        prop_assert_eq!((form.size, form.encoded_size), (bytes.len() as u64, encoded.len() as u64));
        prop_assert_eq!(form.codec.is_encrypted(), by.encryption.is_some());
        let version = by.encryption.as_ref().map(|keys| keys.newest().0);
        prop_assert_eq!(form.key_version, version);
        if form.codec.is_compressed() {
            let compression = by.compression.unwrap();
            prop_assert!(form.encoded_size >= compression.least_size());
            let overhead = if by.encryption.is_some() { 48 } else { 0 };
            prop_assert!(form.size < form.encoded_size + overhead);
        }
        let said = Head { encoded_size: form.encoded_size, key_version: version };
        let said = (form.codec != CodecId::JSON).then_some(said);
        prop_assert_eq!(head(form.codec, &bytes), said);
        let reader = wrappers(None, 0, version);
        prop_assert_eq!(unpacked(&reader, form.codec, &bytes), Ok(encoded));
    }

    // rule: Z8
    #[test]
    fn no_bit_of_an_encrypted_value_can_change(
        encoded in encodings(),
        by in (any::<bool>(), any::<bool>()),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let by = wrappers(by.0.then_some(3), 0, Some(if by.1 { 1 } else { 200 }));
        let Packed { bytes, form } = packed(&by, &encoded);
        let mut bytes = bytes.to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        // A version that is another one is that of a key that is not there.
        let expected = match u32::from_le_bytes(bytes[4..8].try_into().unwrap()) {
            version if Some(version) == form.key_version => Unreadable::WrongKey(version),
            version => Unreadable::MissingKey(version),
        };
        prop_assert_eq!(unpacked(&by, form.codec, &bytes), Err(expected));
    }

    /// What anybody may have written gives no more than it may, whatever it says.
    // rule: Z5
    #[test]
    fn any_bytes_are_damaged_or_of_the_size_that_they_say(
        bytes in vec(any::<u8>(), 0..200),
        frame in encodings(),
        lie in proptest::option::of(prop_oneof![any::<u32>(), 0..3_000_u32]),
        cut in 0..40_usize,
    ) {
        let compressed = CodecId::JSON.compressed();
        let size = lie.unwrap_or(frame.len() as u32);
        let frame = zstd::bulk::compress(&frame, 1).unwrap();
        let frame = &frame[..frame.len().saturating_sub(cut.saturating_sub(20))];
        for bytes in [bytes, [&size.to_le_bytes(), frame].concat()] {
            for codec in [compressed, compressed.encrypted(), CodecId::JSON.encrypted()] {
                if let Ok(encoded) = unpacked(&encrypting(), codec, &bytes) {
                    let said = head(codec, &bytes).unwrap();
                    prop_assert_eq!(encoded.len() as u64, said.encoded_size);
                }
            }
        }
    }
}

// rule: Z8
#[test]
fn an_encrypted_value_opens_in_its_own_row_alone() {
    let Packed { bytes, form } = packed(&encrypting(), b"{}");
    let open = |codec, binding| unpack(&encrypting(), codec, &bytes, binding).map(drop);
    assert_eq!(open(form.codec, BINDING), Ok(()));
    let others = [
        Binding { collection: "other", ..BINDING },
        Binding { key: "b", ..BINDING },
        Binding { key: "", ..BINDING },
        Binding { collection: "defaul", key: "ta", ..BINDING },
        Binding { schema_version: "1.0.1", ..BINDING },
        Binding { created: Timestamp::from_nanos(8), ..BINDING },
    ];
    for binding in others {
        assert_eq!(open(form.codec, binding), Err(Unreadable::WrongKey(1)), "{binding:?}");
    }
    for codec in [CodecId::MESSAGE_PACK.encrypted(), form.codec.compressed()] {
        assert_eq!(open(codec, BINDING), Err(Unreadable::WrongKey(1)), "{codec}");
    }
}

// rule: Z2, Z6
#[test]
fn the_newest_key_writes_and_all_of_them_read() {
    let rotated = Wrappers {
        compression: None,
        encryption: Some(keys(2).and_older(1, &[1; 32]).and_older(9, &[9; 32])),
    };
    for version in [1, 2, 9] {
        let Packed { bytes, form } = packed(&wrappers(None, 0, Some(version)), b"1");
        assert_eq!(unpacked(&rotated, form.codec, &bytes), Ok(b"1".to_vec()));
        assert!(has_key(&rotated, version));
    }
    assert_eq!(packed(&rotated, b"1").form.key_version, Some(2));
    let Packed { bytes, form } = packed(&wrappers(None, 0, Some(3)), b"1");
    assert_eq!(unpacked(&rotated, form.codec, &bytes), Err(Unreadable::MissingKey(3)));
    assert!(!has_key(&rotated, 3));
    let impostor =
        Wrappers { compression: None, encryption: Some(EncryptionKeys::new(3, &[4; 32])) };
    assert_eq!(unpacked(&impostor, form.codec, &bytes), Err(Unreadable::WrongKey(3)));
}

/// Or else who sees two states of the file knows what did not change.
// rule: Z2
#[test]
fn a_value_is_never_encrypted_the_same_way_twice() {
    let [one, two] = [(); 2].map(|()| packed(&encrypting(), b"1").bytes);
    assert_eq!(one.len(), 4 + 4 + 24 + 1 + 16);
    assert!(one[8..32] != two[8..32], "nonces");
    assert!(one[32..33] != two[32..33] || one[33..] != two[33..], "what follows them");
}

/// The layout of docs/format.md, by other means than this crate's.
// rule: Z2
#[test]
fn an_encrypted_value_is_what_the_format_says() {
    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

    let Packed { bytes, .. } = packed(&encrypting(), b"[12]");
    let mut bound = Vec::new();
    for text in ["disk-backed-cache", "default", "a", "1.0.0"] {
        bound.extend((text.len() as u64).to_le_bytes());
        bound.extend(text.bytes());
    }
    bound.extend([7, 0, 0, 0, 0, 0, 0, 0, 33, 4, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(bytes[..8], [4, 0, 0, 0, 1, 0, 0, 0]);
    let nonce: [u8; 24] = bytes[8..32].try_into().unwrap();
    let tag: [u8; 16] = bytes[36..].try_into().unwrap();
    let mut body = bytes[32..36].to_vec();
    XChaCha20Poly1305::new(&[1; 32].into())
        .decrypt_inout_detached(&nonce.into(), &bound, (&mut *body).into(), &tag.into())
        .unwrap();
    assert_eq!(body, b"[12]");
}

/// A frame of zeros is as small as frames get.
// rule: Z5
#[test]
fn what_compresses_better_than_is_plausible_is_stored_as_it_is() {
    let by = wrappers(Some(1), 0, None);
    for (size, compressed) in [(16 << 20, true), ((16 << 20) + 1, false)] {
        let encoded = vec![0; size];
        let Packed { bytes, form } = packed(&by, &encoded);
        assert_eq!(form.codec.is_compressed(), compressed, "{size}");
        assert_eq!(unpacked(&by, form.codec, &bytes).map(|found| found == encoded), Ok(true));
    }
    let frame = zstd::bulk::compress(&vec![0; 17 << 20], 1).unwrap();
    let bomb = [&(17_u32 << 20).to_le_bytes(), &*frame].concat();
    let codec = CodecId::JSON.compressed();
    assert_eq!(unpacked(&by, codec, &bomb), Err(Unreadable::Damaged));
}

// rule: Z9
#[test]
fn nothing_tells_the_keys() {
    let keys = EncryptionKeys::new(3, &[0xab; 32]).and_older(2, &[0xcd; 32]);
    assert_eq!(format!("{keys:?}"), "EncryptionKeys { versions: [3, 2], .. }");
    let wrappers = Wrappers { compression: None, encryption: Some(keys) };
    for secret in ["ab", "171", "cd", "205"] {
        assert!(!format!("{wrappers:?}").contains(secret), "{wrappers:?}");
    }
}
