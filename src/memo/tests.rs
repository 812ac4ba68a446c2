//! That different values never have the same encoding, and none is the beginning of another.

use super::encoding::encode;
use super::key::Key;
use crate::key;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// A value of each shape that serde knows; small, so that two of them are often alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Bool(bool),
    I8(i8),
    I64(i64),
    U8(u8),
    U16(u16),
    U128(u128),
    /// By its bits.
    F32(u32),
    F64(u64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Value>),
    Unit,
    UnitStruct(&'static str),
    UnitVariant(u32, &'static str),
    NewtypeStruct(&'static str, Box<Value>),
    NewtypeVariant(u32, &'static str, Box<Value>),
    Seq(Vec<Value>),
    Tuple(Vec<Value>),
    TupleStruct(&'static str, Vec<Value>),
    TupleVariant(u32, &'static str, Vec<Value>),
    Map(BTreeMap<Value, Value>),
    Struct(&'static str, Vec<(&'static str, Value)>),
    StructVariant(u32, &'static str, Vec<(&'static str, Value)>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeTuple, SerializeTupleStruct, SerializeTupleVariant};
        macro_rules! parts {
            ($made:expr, $parts:expr, $add:ident) => {{
                let mut made = $made?;
                for part in $parts {
                    made.$add(part)?;
                }
                made.end()
            }};
        }
        macro_rules! fields {
            ($made:expr, $fields:expr) => {{
                let mut made = $made?;
                for (name, part) in $fields {
                    made.serialize_field(name, part)?;
                }
                made.end()
            }};
        }
        match self {
            Self::Bool(value) => to.serialize_bool(*value),
            Self::I8(value) => to.serialize_i8(*value),
            Self::I64(value) => to.serialize_i64(*value),
            Self::U8(value) => to.serialize_u8(*value),
            Self::U16(value) => to.serialize_u16(*value),
            Self::U128(value) => to.serialize_u128(*value),
            Self::F32(bits) => to.serialize_f32(f32::from_bits(*bits)),
            Self::F64(bits) => to.serialize_f64(f64::from_bits(*bits)),
            Self::Char(value) => to.serialize_char(*value),
            Self::Str(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::None => to.serialize_none(),
            Self::Some(value) => to.serialize_some(value),
            Self::Unit => to.serialize_unit(),
            Self::UnitStruct(name) => to.serialize_unit_struct(name),
            Self::UnitVariant(index, name) => to.serialize_unit_variant("E", *index, name),
            Self::NewtypeStruct(name, value) => to.serialize_newtype_struct(name, value),
            Self::NewtypeVariant(index, name, value) => {
                to.serialize_newtype_variant("E", *index, name, value)
            }
            Self::Seq(parts) => parts!(to.serialize_seq(None), parts, serialize_element),
            Self::Tuple(parts) => {
                parts!(to.serialize_tuple(parts.len()), parts, serialize_element)
            }
            Self::TupleStruct(name, parts) => {
                parts!(to.serialize_tuple_struct(name, parts.len()), parts, serialize_field)
            }
            Self::TupleVariant(index, name, parts) => {
                let length = parts.len();
                parts!(
                    to.serialize_tuple_variant("E", *index, name, length),
                    parts,
                    serialize_field
                )
            }
            Self::Map(entries) => to.collect_map(entries),
            Self::Struct(name, fields) => {
                fields!(to.serialize_struct(name, fields.len()), fields)
            }
            Self::StructVariant(index, name, fields) => {
                fields!(to.serialize_struct_variant("E", *index, name, fields.len()), fields)
            }
        }
    }
}

fn name() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(vec!["", "a", "ab", "b", "\0"])
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-1..2_i8).prop_map(Value::I8),
        (-1..2_i64).prop_map(Value::I64),
        (0..3_u8).prop_map(Value::U8),
        (0..3_u16).prop_map(Value::U16),
        (0..3_u128).prop_map(Value::U128),
        prop::sample::select(vec![0.0, -0.0, f32::NAN]).prop_map(|it| Value::F32(it.to_bits())),
        prop::sample::select(vec![0.0, 1.0, f64::NAN]).prop_map(|it| Value::F64(it.to_bits())),
        prop::sample::select(vec!['a', '\0']).prop_map(Value::Char),
        "[ab\0]{0,3}".prop_map(Value::Str),
        vec(0..20_u8, 0..4).prop_map(Value::Bytes),
        Just(Value::None),
        Just(Value::Unit),
        name().prop_map(Value::UnitStruct),
        (0..2_u32, name()).prop_map(|(index, name)| Value::UnitVariant(index, name)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let parts = vec(inner.clone(), 0..3);
        let fields = vec((name(), inner.clone()), 0..3);
        prop_oneof![
            boxed.clone().prop_map(Value::Some),
            (name(), boxed.clone()).prop_map(|(name, it)| Value::NewtypeStruct(name, it)),
            (0..2_u32, name(), boxed)
                .prop_map(|(index, name, it)| { Value::NewtypeVariant(index, name, it) }),
            parts.clone().prop_map(Value::Seq),
            parts.clone().prop_map(Value::Tuple),
            (name(), parts.clone()).prop_map(|(name, parts)| Value::TupleStruct(name, parts)),
            (0..2_u32, name(), parts)
                .prop_map(|(index, name, parts)| { Value::TupleVariant(index, name, parts) }),
            btree_map(inner.clone(), inner, 0..3).prop_map(Value::Map),
            (name(), fields.clone()).prop_map(|(name, fields)| Value::Struct(name, fields)),
            (0..2_u32, name(), fields)
                .prop_map(|(index, name, fields)| { Value::StructVariant(index, name, fields) }),
        ]
    })
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).unwrap();
    bytes
}

fn key_of(types: &[&str], values: &[Value]) -> String {
    let key = types
        .iter()
        .zip(values)
        .fold(Key::new(&|| ()), |key, (written, value)| key.argument(written, value));
    key.end().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    // rule: M5
    #[test]
    fn no_encoding_is_that_of_another_value_or_its_beginning(one in value(), other in value()) {
        let (bytes, others) = (encoded(&one), encoded(&other));
        prop_assert_eq!(one == other, bytes.starts_with(&others));
        prop_assert_eq!(one == other, others.starts_with(&bytes));
    }

    // rule: M5
    #[test]
    fn no_two_lists_of_arguments_have_the_same_key(
        one in vec((name(), value()), 0..3),
        other in vec((name(), value()), 0..3),
    ) {
        let key = |list: &[(&'static str, Value)]| {
            let (types, values): (Vec<_>, Vec<_>) = list.iter().cloned().unzip();
            key_of(&types, &values)
        };
        prop_assert_eq!(one == other, key(&one) == key(&other));
        prop_assert!(key::check(&key(&one)).is_ok());
    }
}

/// A map that gives its entries in the order it has them.
struct InOrder<'a>(Vec<(&'a str, u8)>);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

// rule: M5
#[test]
fn a_map_is_the_same_in_any_order_and_a_list_is_not() {
    let entries = [("a", 1), ("b", 2), ("", 3)];
    let mut turned = entries;
    turned.reverse();
    let one = encoded(&InOrder(entries.to_vec()));
    assert_eq!(one, encoded(&InOrder(turned.to_vec())));
    assert_ne!(one, encoded(&InOrder(vec![("a", 2), ("b", 1), ("", 3)])));
    assert_ne!(encoded(&entries), encoded(&turned));
}
