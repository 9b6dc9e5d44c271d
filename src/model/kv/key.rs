//! Keys: any bytes, the short ones in place.
//!
//! A store compares keys at every level of its tree. Where they lie in place that looks at memory
//! that is at hand already; behind a pointer each would be somewhere else.

use std::cmp::Ordering;
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key: any bytes. It dereferences to them, and is compared and hashed as they are.
#[derive(Clone)]
pub struct Key(Bytes);

/// Longest key that lies in place: what fits beside its length into three words.
const SHORT: usize = 22;

#[derive(Clone)]
enum Bytes {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Arc<[u8]>),
}

const _: () = assert!(size_of::<Key>() == 3 * size_of::<usize>());

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl<T: AsRef<[u8]>> From<T> for Key {
    fn from(from: T) -> Self {
        let from = from.as_ref();
        if from.len() > SHORT {
            return Self(Bytes::Long(from.into()));
        }
        let mut bytes = [0; SHORT];
        bytes[..from.len()].copy_from_slice(from);
        Self(Bytes::Short { length: from.len() as u8, bytes })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Debug for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_bytes(InPlace)
    }
}

struct InPlace;

impl Visitor<'_> for InPlace {
    type Value = Key;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Key, E> {
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use quickcheck::quickcheck;

    use super::*;

    fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }

    quickcheck! {
        fn a_key_is_its_bytes(one: Vec<u8>, two: Vec<u8>) -> bool {
            let keys = [Key::from(&one), Key::from(&two)];
            *keys[0] == one[..]
                && keys[0].cmp(&keys[1]) == one.cmp(&two)
                && (keys[0] == keys[1]) == (one == two)
                && hash(&keys[0]) == hash(&one[..])
        }
    }

    #[test]
    fn long_and_short_keys_are_one_kind() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 4_096] {
            let bytes = vec![b'k'; length];
            let key = Key::from(&bytes);
            assert_eq!(*key, bytes[..]);
            assert!(key < Key::from([&bytes[..], b"k"].concat()));
            assert!(key < Key::from("l"));
        }
    }
}
