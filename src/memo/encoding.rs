//! Values as bytes that tell them apart, for keys.
//!
//! A value is a tag and what it is made of. What has no fixed length says how long it is, or ends with a tag
//! that begins no value. So no encoding is the beginning of another, and those of several values may follow
//! each other. Numbers have the tag of their type, names of types, variants and fields are part of it, and the
//! entries of a map are sorted: its order is that of a table of hashes, which another run does not repeat.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt;

/// Adds what tells `value` from all other values to `out`.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Refused> {
    value.serialize(Writer(out))
}

/// Adds a text and its length.
pub fn text(text: &str, out: &mut Vec<u8>) {
    bytes(text.as_bytes(), out);
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

/// Why a value has no encoding: what its `Serialize` says.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// What a value begins with. The numbers are part of keys that are stored: they stay as they are.
#[derive(Clone, Copy)]
enum Tag {
    /// Begins no value.
    End = 0,
    False = 1,
    True = 2,
    I8 = 3,
    I16 = 4,
    I32 = 5,
    I64 = 6,
    I128 = 7,
    U8 = 8,
    U16 = 9,
    U32 = 10,
    U64 = 11,
    U128 = 12,
    F32 = 13,
    F64 = 14,
    Char = 15,
    Str = 16,
    Bytes = 17,
    None = 18,
    Some = 19,
    Unit = 20,
    UnitStruct = 21,
    UnitVariant = 22,
    NewtypeStruct = 23,
    NewtypeVariant = 24,
    Seq = 25,
    Tuple = 26,
    TupleStruct = 27,
    TupleVariant = 28,
    Map = 29,
    Struct = 30,
    StructVariant = 31,
}

struct Writer<'b>(&'b mut Vec<u8>);

impl<'b> Writer<'b> {
    fn tag(self, tag: Tag) -> Self {
        self.0.push(tag as u8);
        self
    }

    fn text(self, text: &str) -> Self {
        self::text(text, self.0);
        self
    }

    /// A variant by its place and its name: the place alone would be another one's after a change.
    fn variant(self, tag: Tag, name: &str, index: u32, variant: &str) -> Self {
        let writer = self.tag(tag).text(name);
        writer.0.extend(index.to_le_bytes());
        writer.text(variant)
    }

    fn fixed<const N: usize>(self, tag: Tag, bytes: [u8; N]) -> Result<(), Refused> {
        self.tag(tag).0.extend(bytes);
        Ok(())
    }

    fn parts(self) -> Parts<'b> {
        Parts(self.0)
    }
}

impl<'b> Serializer for Writer<'b> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Parts<'b>;
    type SerializeTuple = Parts<'b>;
    type SerializeTupleStruct = Parts<'b>;
    type SerializeTupleVariant = Parts<'b>;
    type SerializeMap = Entries<'b>;
    type SerializeStruct = Parts<'b>;
    type SerializeStructVariant = Parts<'b>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Refused> {
        self.fixed(if value { Tag::True } else { Tag::False }, [])
    }

    fn serialize_i8(self, value: i8) -> Result<(), Refused> {
        self.fixed(Tag::I8, value.to_le_bytes())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Refused> {
        self.fixed(Tag::I16, value.to_le_bytes())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Refused> {
        self.fixed(Tag::I32, value.to_le_bytes())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Refused> {
        self.fixed(Tag::I64, value.to_le_bytes())
    }

    fn serialize_i128(self, value: i128) -> Result<(), Refused> {
        self.fixed(Tag::I128, value.to_le_bytes())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Refused> {
        self.fixed(Tag::U8, value.to_le_bytes())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Refused> {
        self.fixed(Tag::U16, value.to_le_bytes())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Refused> {
        self.fixed(Tag::U32, value.to_le_bytes())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Refused> {
        self.fixed(Tag::U64, value.to_le_bytes())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Refused> {
        self.fixed(Tag::U128, value.to_le_bytes())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        self.fixed(Tag::F32, value.to_bits().to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        self.fixed(Tag::F64, value.to_bits().to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Refused> {
        self.fixed(Tag::Char, u32::from(value).to_le_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        self.tag(Tag::Str).text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
        bytes(value, self.tag(Tag::Bytes).0);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.fixed(Tag::None, [])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self.tag(Tag::Some))
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.fixed(Tag::Unit, [])
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Refused> {
        self.tag(Tag::UnitStruct).text(name);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.variant(Tag::UnitVariant, name, index, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self.tag(Tag::NewtypeStruct).text(name))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self.variant(Tag::NewtypeVariant, name, index, variant))
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Parts<'b>, Refused> {
        Ok(self.tag(Tag::Seq).parts())
    }

    fn serialize_tuple(self, _length: usize) -> Result<Parts<'b>, Refused> {
        Ok(self.tag(Tag::Tuple).parts())
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        _length: usize,
    ) -> Result<Parts<'b>, Refused> {
        Ok(self.tag(Tag::TupleStruct).text(name).parts())
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Parts<'b>, Refused> {
        Ok(self.variant(Tag::TupleVariant, name, index, variant).parts())
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries<'b>, Refused> {
        Ok(Entries { out: self.tag(Tag::Map).0, entries: Vec::new() })
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Parts<'b>, Refused> {
        Ok(self.tag(Tag::Struct).text(name).parts())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Parts<'b>, Refused> {
        Ok(self.variant(Tag::StructVariant, name, index, variant).parts())
    }
}

/// Values one after the other.
struct Parts<'b>(&'b mut Vec<u8>);

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        encode(value, self.0)
    }

    /// The tag keeps a name that is short from being taken for the end.
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        Writer(self.0).tag(Tag::Str).text(name);
        self.part(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.0.push(Tag::End as u8);
        Ok(())
    }
}

macro_rules! parts {
    ($($kind:ident $method:ident),+ $(,)?) => {$(
        impl $kind for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.part(value)
            }

            fn end(self) -> Result<(), Refused> {
                Parts::end(self)
            }
        }
    )+};
}

parts! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! fields {
    ($($kind:ident),+) => {$(
        impl $kind for Parts<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Refused> {
                Parts::end(self)
            }
        }
    )+};
}

fields!(SerializeStruct, SerializeStructVariant);

/// The entries of a map, sorted before they are written.
struct Entries<'b> {
    out: &'b mut Vec<u8>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let mut encoded = Vec::new();
        encode(key, &mut encoded)?;
        self.entries.push((encoded, Vec::new()));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        match self.entries.last_mut() {
            Some((_, encoded)) => encode(value, encoded),
            None => Err(Refused::custom("a map gave a value before its key")),
        }
    }

    fn end(mut self) -> Result<(), Refused> {
        self.entries.sort_unstable();
        for (key, value) in self.entries {
            self.out.extend(key);
            self.out.extend(value);
        }
        self.out.push(Tag::End as u8);
        Ok(())
    }
}
