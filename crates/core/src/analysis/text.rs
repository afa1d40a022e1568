//! The content of a file as a string.

use super::contents::Contents;
use super::contract::{Analysis, Rejection};

/// What to do with bytes that are not UTF-8. The unit is the ill-formed sequence as Unicode recommends to cut it
/// (maximal subparts, section 3.9 of the standard), which is what CPython and the standard library do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[non_exhaustive]
pub enum InvalidUtf8 {
    /// The file fails, as [`InvalidUtf8`](crate::ErrorKind::InvalidUtf8) with the offset.
    #[default]
    Strict,
    /// Each ill-formed sequence becomes one U+FFFD.
    Replace,
    /// Ill-formed sequences are dropped; what they stood between joins.
    Ignore,
}

/// Keeps the content as a `String`. Line ends stay as they are in the file, and so does a byte order mark.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Text {
    policy: InvalidUtf8,
    contents: Contents,
    /// Under `Strict`: how far the content is known to be well-formed, in bytes.
    valid: usize,
    /// Under `Strict`: whether an ill-formed sequence starts at `valid`.
    ill_formed: bool,
}

impl Text {
    /// Text under the given policy; the default is [`InvalidUtf8::Strict`].
    pub fn new(policy: InvalidUtf8) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Moves `valid` over what has come since the last call; a sequence cut by the chunk's end waits for the next.
    fn check(&mut self) {
        let unchecked = &self.contents.as_slice()[self.valid..];
        match simdutf8::compat::from_utf8(unchecked) {
            Ok(_) => self.valid += unchecked.len(),
            Err(error) => {
                self.valid += error.valid_up_to();
                self.ill_formed = error.error_len().is_some();
            }
        }
    }
}

impl Analysis for Text {
    type Output = String;

    fn begin(&mut self, size_hint: u64) {
        self.contents.begin(size_hint);
    }

    fn update(&mut self, chunk: &[u8]) {
        self.contents.update(chunk);
        if self.policy == InvalidUtf8::Strict && !self.contents.is_complete() {
            self.check();
        }
    }

    fn finish(self) -> String {
        let bytes = self.contents.finish();
        match self.policy {
            InvalidUtf8::Ignore => without_ill_formed(bytes),
            // Strict content has passed the verdict, so that nothing is left to replace.
            InvalidUtf8::Strict | InvalidUtf8::Replace => {
                into_string(bytes).unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.ill_formed || self.contents.is_complete()
    }

    fn retains(&self, size: u64) -> u64 {
        let bytes = self.contents.retains(size);
        match self.policy {
            InvalidUtf8::Strict | InvalidUtf8::Ignore => bytes,
            // At the worst each byte becomes a replacement of three, and for a moment there are both.
            InvalidUtf8::Replace => bytes.saturating_mul(4),
        }
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.contents.verdict()?;
        // A sequence that the end of the file cuts short is ill-formed too, though no chunk could tell.
        let well_formed = self.policy != InvalidUtf8::Strict || self.valid == self.contents.as_slice().len();
        let offset = self.valid as u64;
        well_formed.then_some(()).ok_or(Rejection::InvalidUtf8 { offset })
    }
}

/// The bytes as a string, without copying them; or the bytes back.
fn into_string(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)
}

/// The bytes as a string, ill-formed sequences dropped: in place, without more memory.
pub(super) fn without_ill_formed(mut bytes: Vec<u8>) -> String {
    let mut kept = 0;
    let mut at = 0;
    while at < bytes.len() {
        let (valid, ill_formed) = match simdutf8::compat::from_utf8(&bytes[at..]) {
            Ok(rest) => (rest.len(), 0),
            Err(error) => {
                let valid = error.valid_up_to();
                (valid, error.error_len().unwrap_or(bytes.len() - at - valid))
            }
        };
        bytes.copy_within(at..at + valid, kept);
        kept += valid;
        at += valid + ill_formed;
    }
    bytes.truncate(kept);
    // Nothing ill-formed is left to be replaced.
    into_string(bytes).unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(chunks: &[&[u8]]) -> Result<String, Rejection> {
        let mut text = Text::new(InvalidUtf8::Strict);
        for chunk in chunks {
            text.update(chunk);
        }
        text.verdict().map(|()| text.finish())
    }

    #[test]
    fn strict_accepts_code_points_cut_by_chunks_and_names_the_first_error() {
        assert_eq!(strict(&[b"a\xe2", b"\x82", b"\xac"]).unwrap(), "a\u{20ac}");
        assert_eq!(strict(&[b"ab\xe2", b"\x82x"]), Err(Rejection::InvalidUtf8 { offset: 2 }));
        assert_eq!(strict(&[b"ab\xe2\x82"]), Err(Rejection::InvalidUtf8 { offset: 2 }));
        assert_eq!(strict(&[]).unwrap(), "");
    }

    #[test]
    fn replace_and_ignore_treat_the_same_sequences() {
        let ill_formed = b"a\xf0\x90\x80b\xffc\xed\xa0\x80";
        let run = |policy| {
            let mut text = Text::new(policy);
            text.update(ill_formed);
            text.verdict().unwrap();
            text.finish()
        };
        assert_eq!(run(InvalidUtf8::Replace), String::from_utf8_lossy(ill_formed));
        assert_eq!(run(InvalidUtf8::Ignore), "abc");
    }
}
