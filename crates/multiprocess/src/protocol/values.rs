//! Analyses and their outputs as bytes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a value by bincode. An output that [is bytes](as_bytes) is sent without.
pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<Vec<u8>, String> {
    bincode::DefaultOptions::new().serialize(value).map_err(|error| error.to_string())
}

/// The bytes of a value that is nothing but bytes: contents cross at the speed of a copy.
pub(crate) fn as_bytes<T: 'static>(value: &T) -> Option<&[u8]> {
    let value: &dyn Any = value;
    let text = || value.downcast_ref::<String>().map(String::as_bytes);
    value.downcast_ref::<Vec<u8>>().map(Vec::as_slice).or_else(text)
}

/// The inverse of [`as_bytes`]: `None` if the type is neither `Vec<u8>` nor `String`.
fn from_bytes<T: 'static>(bytes: &[u8]) -> Option<Result<T, Undecodable>> {
    let copy = || {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| Undecodable::OutOfMemory(bytes.len()))?;
        copy.extend_from_slice(bytes);
        Ok(copy)
    };
    let mut slot: Option<T> = None;
    let any: &mut dyn Any = &mut slot;
    if let Some(slot) = any.downcast_mut::<Option<Vec<u8>>>() {
        match copy() {
            Ok(copy) => *slot = Some(copy),
            Err(error) => return Some(Err(error)),
        }
    } else if let Some(slot) = any.downcast_mut::<Option<String>>() {
        let text = copy().and_then(|copy| {
            String::from_utf8(copy).map_err(|_| Undecodable::Invalid("its text is not UTF-8".to_owned()))
        });
        match text {
            Ok(text) => *slot = Some(text),
            Err(error) => return Some(Err(error)),
        }
    }
    slot.map(Ok)
}

/// Why bytes could not be made a value.
#[derive(Debug)]
pub(crate) enum Undecodable {
    OutOfMemory(usize),
    Invalid(String),
}

/// A value from bytes, which must all belong to it.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, Undecodable> {
    if let Some(value) = from_bytes(bytes) {
        return value;
    }
    // The limit is the length of the message: a length that is only claimed cannot be allocated for.
    let coding = bincode::DefaultOptions::new().with_limit(bytes.len() as u64);
    let decoded = catch_unwind(AssertUnwindSafe(|| coding.deserialize(bytes)));
    let invalid = |reason: String| Undecodable::Invalid(format!("what it sent is no output: {reason}"));
    match decoded {
        Ok(decoded) => decoded.map_err(|error| invalid(error.to_string())),
        Err(_) => Err(invalid("reading it panicked".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_text_are_copied_and_anything_else_is_encoded() {
        assert_eq!(as_bytes(&vec![1u8, 2]), Some(&[1, 2][..]));
        assert_eq!(as_bytes(&"ab".to_owned()), Some(&b"ab"[..]));
        assert_eq!(as_bytes(&7u64), None);
        assert_eq!(decode::<Vec<u8>>(&[1, 2]).unwrap(), [1, 2]);
        assert_eq!(decode::<String>(b"ab").unwrap(), "ab");
        assert!(matches!(decode::<String>(b"\xff"), Err(Undecodable::Invalid(_))));
        assert_eq!(decode::<(u64, bool)>(&encode(&(300u64, true)).unwrap()).unwrap(), (300, true));
    }

    #[test]
    fn a_length_that_is_only_claimed_is_refused_and_not_allocated() {
        // A vector that says it has 2^60 elements.
        let claim = encode(&(1u64 << 60)).unwrap();
        assert!(matches!(decode::<Vec<u64>>(&claim), Err(Undecodable::Invalid(_))));
    }
}
