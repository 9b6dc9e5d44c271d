//! Sizes: how many bytes a value takes when it is encoded.
//!
//! The runtime encodes messages and log entries with `postcard`: numbers as varints, a choice as
//! the number of the alternative, a sequence behind its length. [`of`] counts what comes of that
//! without writing it: it is a serializer, so it sees each field that the encoding has, and a type
//! that gets another field needs no change here. A byte string costs no more than its length does.
//!
//! There is no other notion of size. Every limit is compared with what [`of`] gives, and the
//! runtime's tests compare that with the encoding itself, for every kind of message. The constant
//! functions are for limits that are related to each other when the program is compiled
//! ([`crate::limits`]).

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde::ser;

/// The size of a value's encoding, in bytes. A value without an encoding, such as a sequence that
/// does not know its length, is larger than any limit.
#[must_use]
pub fn of<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut counter = Counter(0);
    match value.serialize(&mut counter) {
        Ok(()) => counter.0,
        Err(NoEncoding) => usize::MAX,
    }
}

/// The size of a number: one byte for each seven bits, and at least one.
#[must_use]
pub const fn number(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// The size of the length of a sequence with so many elements, or of a string with so many bytes.
#[must_use]
pub const fn length(elements: usize) -> usize {
    number(elements as u64)
}

/// The size of a string of so many bytes, with its length.
#[must_use]
pub const fn bytes(content: usize) -> usize {
    length(content) + content
}

/// The size of the number of an alternative, or of whether there is something.
pub const CHOICE: usize = 1;

/// The largest size of a number of 16 bits,
pub const U16: usize = number(u16::MAX as u64);
/// of one of 32 bits,
pub const U32: usize = number(u32::MAX as u64);
/// and of one of 64 bits.
pub const U64: usize = number(u64::MAX);

/// Counts bytes instead of writing them.
struct Counter(usize);

/// The value has no encoding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct NoEncoding;

type Counted = Result<(), NoEncoding>;

impl Display for NoEncoding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the value has no encoding")
    }
}

impl std::error::Error for NoEncoding {}

impl ser::Error for NoEncoding {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl Counter {
    fn add(&mut self, bytes: usize) -> Counted {
        self.0 += bytes;
        Ok(())
    }

    fn number(&mut self, value: impl Into<u64>) -> Counted {
        self.add(number(value.into()))
    }

    /// A number with a sign is encoded such that small ones of either sign are short.
    fn signed(&mut self, value: impl Into<i64>) -> Counted {
        let value = value.into();
        self.number((value << 1 ^ value >> 63) as u64)
    }

    fn begin(&mut self, elements: Option<usize>) -> Result<&mut Self, NoEncoding> {
        self.add(length(elements.ok_or(NoEncoding)?))?;
        Ok(self)
    }
}

impl ser::Serializer for &mut Counter {
    type Ok = ();
    type Error = NoEncoding;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, _: bool) -> Counted {
        self.add(1)
    }

    fn serialize_i8(self, _: i8) -> Counted {
        self.add(1)
    }

    fn serialize_i16(self, value: i16) -> Counted {
        self.signed(value)
    }

    fn serialize_i32(self, value: i32) -> Counted {
        self.signed(value)
    }

    fn serialize_i64(self, value: i64) -> Counted {
        self.signed(value)
    }

    fn serialize_u8(self, _: u8) -> Counted {
        self.add(1)
    }

    fn serialize_u16(self, value: u16) -> Counted {
        self.number(value)
    }

    fn serialize_u32(self, value: u32) -> Counted {
        self.number(value)
    }

    fn serialize_u64(self, value: u64) -> Counted {
        self.number(value)
    }

    fn serialize_f32(self, _: f32) -> Counted {
        self.add(size_of::<f32>())
    }

    fn serialize_f64(self, _: f64) -> Counted {
        self.add(size_of::<f64>())
    }

    fn serialize_char(self, value: char) -> Counted {
        self.add(bytes(value.len_utf8()))
    }

    fn serialize_str(self, value: &str) -> Counted {
        self.add(bytes(value.len()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Counted {
        self.add(bytes(value.len()))
    }

    fn serialize_none(self) -> Counted {
        self.add(CHOICE)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Counted {
        self.add(CHOICE)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Counted {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Counted {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Counted {
        self.number(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Counted {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Counted {
        self.number(index)?;
        value.serialize(self)
    }

    fn serialize_seq(self, elements: Option<usize>) -> Result<Self, NoEncoding> {
        self.begin(elements)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, NoEncoding> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, NoEncoding> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoEncoding> {
        self.number(index)?;
        Ok(self)
    }

    fn serialize_map(self, elements: Option<usize>) -> Result<Self, NoEncoding> {
        self.begin(elements)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoEncoding> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, NoEncoding> {
        self.number(index)?;
        Ok(self)
    }
}

/// What has elements or fields is as large as all of them.
macro_rules! sum {
    ($($part:ident :: $add:ident ( $($name:ty)? );)*) => {$(
        impl ser::$part for &mut Counter {
            type Ok = ();
            type Error = NoEncoding;

            fn $add<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Counted {
                value.serialize(&mut **self)
            }

            fn end(self) -> Counted {
                Ok(())
            }
        }
    )*};
}

sum! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}

impl ser::SerializeMap for &mut Counter {
    type Ok = ();
    type Error = NoEncoding;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Counted {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Counted {
        value.serialize(&mut **self)
    }

    fn end(self) -> Counted {
        Ok(())
    }
}
