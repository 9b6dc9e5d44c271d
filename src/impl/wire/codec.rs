//! Values to bytes and back: `postcard`, with a bound on the way out and no remainder on the way
//! in.
//!
//! Decoding is total: any bytes give a value or an error. Its memory and time are in proportion to
//! its input, as long as the message type is not recursive and holds no sequence whose elements
//! encode to nothing, such as `Vec<()>`. Byte strings are fastest as `str` or through
//! `serialize_bytes`; a plain `Vec<u8>` is encoded byte by byte.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Why a value could not be encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncodeError {
    /// It takes more bytes than allowed.
    TooLarge,
    /// Its type has no encoding, such as a sequence that does not know its length.
    Unsupported,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the value is too large to encode",
            Self::Unsupported => "the value has no encoding",
        })
    }
}

impl std::error::Error for EncodeError {}

/// The bytes are not exactly one value of the expected type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are not exactly one value of the expected type")
    }
}

impl std::error::Error for DecodeError {}

/// Appends the encoding of `value`, at most `limit` bytes, to `bytes`.
///
/// # Errors
///
/// When it does not fit or has no encoding; `bytes` then ends as it did before.
pub fn encode<M: Serialize + ?Sized>(
    value: &M,
    limit: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = bytes.len();
    let target = Bounded { end: start.saturating_add(limit), bytes };
    postcard::serialize_with_flavor(value, target).map_err(|error| {
        bytes.truncate(start);
        match error {
            postcard::Error::SerializeBufferFull => EncodeError::TooLarge,
            _ => EncodeError::Unsupported,
        }
    })
}

/// The value that `bytes` encode.
///
/// # Errors
///
/// When they encode none, or one that ends before they do.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(DecodeError),
    }
}

/// A vector that grows up to a limit.
struct Bounded<'a> {
    bytes: &'a mut Vec<u8>,
    end: usize,
}

impl Flavor for Bounded<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        if data.len() > self.end - self.bytes.len() {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        if self.bytes.len() >= self.end {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn encoded<M: Serialize>(value: &M) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, usize::MAX, &mut bytes).unwrap();
        bytes
    }

    quickcheck! {
        fn what_was_encoded_decodes(value: (Vec<String>, Option<i64>, Vec<u8>)) -> bool {
            decode(&encoded(&value)) == Ok(value)
        }

        fn a_longer_or_shorter_input_is_refused(value: (Vec<u16>, String), extra: Vec<u8>) -> bool {
            let mut bytes = encoded(&value);
            let cut = decode::<(Vec<u16>, String)>(&bytes[..bytes.len() - 1]).is_err();
            bytes.extend(&extra);
            cut && decode::<(Vec<u16>, String)>(&bytes).is_ok() == extra.is_empty()
        }

        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) -> bool {
            let _ = decode::<(Vec<String>, Option<i64>, Vec<u64>)>(&bytes);
            true
        }

        fn a_value_over_the_limit_leaves_nothing(value: Vec<u32>, limit: usize) -> bool {
            let size = encoded(&value).len();
            let limit = limit % (size + 8);
            let mut bytes = vec![7];
            match encode(&value, limit, &mut bytes) {
                Ok(()) => size <= limit && bytes.len() == 1 + size,
                Err(error) => error == EncodeError::TooLarge && size > limit && bytes == [7],
            }
        }
    }
}
