//! What to compute from one file's bytes.

mod annotated;
mod combine;
mod contents;
mod text;
mod text_stats;

pub use annotated::Annotated;
pub use combine::{Combine, Parts};
pub use contents::Contents;
pub use text::{InvalidUtf8, Text};
pub use text_stats::{Level, TextCounts, TextStats, text_counts};

/// A computation over the bytes of one file, fed in chunks as a hasher is.
///
/// The instance given to a run is a prototype: it is cloned for each file, and the clone runs on the worker that reads
/// the file, in parallel with its siblings. `begin`, any number of `update`s and, unless something failed, `finish` are
/// called on it, in this order. Where the chunks are cut means nothing: they are as long as a read happened to be.
///
/// Why chunks and not whole files? The bytes arrive in a buffer that is used again, so counting a file of 1 TiB takes
/// no more memory than counting a small one, and the bytes are still in the cache when they are looked at.
///
/// A panic in any method costs its file alone: the record is an error of kind
/// [`Panicked`](crate::ErrorKind::Panicked).
///
/// ```
/// use polyread_core::Analysis;
///
/// /// Whether a file contains a NUL byte, as text rarely does.
/// #[derive(Clone, Default)]
/// struct HasNul(bool);
///
/// impl Analysis for HasNul {
///     type Output = bool;
///     fn update(&mut self, chunk: &[u8]) {
///         self.0 |= chunk.contains(&0);
///     }
///     fn is_complete(&self) -> bool {
///         self.0 // one is enough: the rest of the file need not be read
///     }
///     fn finish(self) -> bool {
///         self.0
///     }
/// }
/// ```
pub trait Analysis: Clone + Send + 'static {
    /// What one file comes to.
    type Output: Send + 'static;

    /// Takes the next bytes of the file. Never called with an empty chunk.
    fn update(&mut self, chunk: &[u8]);

    /// The result, after the last chunk.
    fn finish(self) -> Self::Output;

    /// Called once before the first chunk with the size that the file system tells, in bytes. It is a hint: files in
    /// `/proc` say 0, and files grow.
    fn begin(&mut self, size_hint: u64) {
        let _ = size_hint;
    }

    /// Whether more bytes would change nothing, so that reading may stop here. Asked after each chunk.
    fn is_complete(&self) -> bool {
        false
    }

    /// Bytes of memory that the analysis and its output come to hold after `size` bytes of a file: 0 for one that
    /// counts, `size` for one that keeps the content. [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight) are
    /// taken by this figure.
    fn retains(&self, size: u64) -> u64 {
        let _ = size;
        0
    }

    /// Whether what was seen leads to a result. Asked when reading has ended, before `finish`: `Err` makes the file's
    /// record an error.
    ///
    /// # Errors
    ///
    /// The reason for which this content has no result.
    fn verdict(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// How it is run on parts of one file at once, if it can be: `Some(Parts::of())` for those that implement
    /// [`Combine`]. Readers split a large file only then.
    fn parts() -> Option<Parts<Self>> {
        None
    }
}

/// Why an analysis has no result for a content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The content is not UTF-8; the first ill-formed sequence starts at this offset in bytes.
    InvalidUtf8 {
        /// Bytes before the first ill-formed sequence.
        offset: u64,
    },
    /// There was no memory for this many bytes more.
    OutOfMemory {
        /// Bytes that could not be allocated.
        bytes: usize,
    },
    /// Any other reason, in words.
    Other(String),
}

/// Reads every byte and looks at none: what reading alone costs. The output is the number of bytes.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct ByteCount(u64);

impl Analysis for ByteCount {
    type Output = u64;

    fn update(&mut self, chunk: &[u8]) {
        self.0 += chunk.len() as u64;
    }

    fn finish(self) -> u64 {
        self.0
    }

    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

/// Two analyses over one reading.
impl<A: Analysis, B: Analysis> Analysis for (A, B) {
    type Output = (A::Output, B::Output);

    fn update(&mut self, chunk: &[u8]) {
        // The one that is complete is spared the rest that the other still wants.
        if !self.0.is_complete() {
            self.0.update(chunk);
        }
        if !self.1.is_complete() {
            self.1.update(chunk);
        }
    }

    fn finish(self) -> Self::Output {
        (self.0.finish(), self.1.finish())
    }

    fn begin(&mut self, size_hint: u64) {
        self.0.begin(size_hint);
        self.1.begin(size_hint);
    }

    fn is_complete(&self) -> bool {
        (self.0.is_complete() && self.1.is_complete()) || has_failed(&self.0) || has_failed(&self.1)
    }

    fn retains(&self, size: u64) -> u64 {
        self.0.retains(size).saturating_add(self.1.retains(size))
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.0.verdict().and_then(|()| self.1.verdict())
    }

    fn parts() -> Option<Parts<Self>> {
        Parts::of_pair()
    }
}

/// Whether one half has stopped without a result: then the pair has none either, whatever the other would find.
fn has_failed<A: Analysis>(analysis: &A) -> bool {
    analysis.is_complete() && analysis.verdict().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wants the first `n` bytes only.
    #[derive(Clone)]
    struct First(usize, Vec<u8>);

    impl Analysis for First {
        type Output = Vec<u8>;
        fn update(&mut self, chunk: &[u8]) {
            assert!(!self.is_complete(), "fed although complete");
            self.1.extend(chunk.iter().take(self.0 - self.1.len()));
        }
        fn finish(self) -> Vec<u8> {
            self.1
        }
        fn is_complete(&self) -> bool {
            self.1.len() == self.0
        }
    }

    #[test]
    fn a_pair_goes_on_until_both_are_complete() {
        let mut pair = (First(2, vec![]), First(4, vec![]));
        pair.update(b"abc");
        assert!(!pair.is_complete());
        pair.update(b"def");
        assert!(pair.is_complete());
        assert_eq!(pair.finish(), (b"ab".to_vec(), b"abcd".to_vec()));
    }

    #[test]
    fn a_pair_stops_and_fails_with_either_half() {
        let mut pair = (Text::new(InvalidUtf8::Strict), ByteCount::default());
        pair.update(b"ab\xff");
        assert!(pair.is_complete());
        assert_eq!(pair.verdict(), Err(Rejection::InvalidUtf8 { offset: 2 }));
        assert_eq!(pair.retains(10), 10);
    }
}
