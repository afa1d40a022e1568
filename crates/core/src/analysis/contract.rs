//! What an analysis is, and how one is run on parts of a file.

use std::fmt;

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

    /// How it is run on parts of one file at once, if it can be: `Some(Parts::of())` for a type that implements
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

/// An analysis whose parts, each over some of the bytes of one file, can be put together.
///
/// With it a large file is read by several workers at once. Each has a clone that takes the bytes of one part; then the
/// clones are combined, earlier with later, in any grouping, and the one that is left is finished. What comes out must be
/// what one clone over the whole file would have given, wherever the cuts are: inside a code point, between CR and LF. A
/// part may also be empty.
///
/// A part that says that it [is complete](Analysis::is_complete) is given no more of its bytes; the parts after it are still
/// read.
///
/// A type that implements it says so in [`Analysis::parts`] too, which is where readers look.
///
/// ```
/// use polyread_core::{Analysis, Combine, Parts};
///
/// /// The longest run of zero bytes.
/// #[derive(Clone, Default)]
/// struct Zeros {
///     first: u64, // the run that the part begins with
///     last: u64,  // the run that it ends with
///     longest: u64,
///     only_zeros: bool,
/// }
///
/// impl Analysis for Zeros {
///     type Output = u64;
///     fn begin(&mut self, _size_hint: u64) {
///         self.begin_part();
///     }
///     fn update(&mut self, chunk: &[u8]) {
///         for byte in chunk {
///             self.last = if *byte == 0 { self.last + 1 } else { 0 };
///             self.only_zeros &= *byte == 0;
///             if self.only_zeros {
///                 self.first = self.last;
///             }
///             self.longest = self.longest.max(self.last);
///         }
///     }
///     fn finish(self) -> u64 {
///         self.longest
///     }
///     fn parts() -> Option<Parts<Self>> {
///         Some(Parts::of())
///     }
/// }
///
/// impl Combine for Zeros {
///     fn begin_part(&mut self) {
///         self.only_zeros = true;
///     }
///     fn combine(&mut self, later: Self) {
///         self.longest = self.longest.max(later.longest).max(self.last + later.first);
///         self.first += if self.only_zeros { later.first } else { 0 };
///         self.last = if later.only_zeros { self.last + later.last } else { later.last };
///         self.only_zeros &= later.only_zeros;
///     }
/// }
///
/// let (mut early, mut late) = (Zeros::default(), Zeros::default());
/// early.begin(5);
/// early.update(&[1, 0, 0]);
/// late.begin_part();
/// late.update(&[0, 1]);
/// early.combine(late);
/// assert_eq!(early.finish(), 3);
/// ```
pub trait Combine: Analysis {
    /// Prepares a fresh clone for a part that begins in the middle of the file. It is called in place of
    /// [`Analysis::begin`], for every part but the first: what the bytes before are is not known yet.
    fn begin_part(&mut self);

    /// Takes over what `later` has seen of the bytes that follow directly on those that `self` has seen. `later` was
    /// prepared by [`begin_part`](Self::begin_part); `self` may be the first part or a later one. It is associative.
    fn combine(&mut self, later: Self);
}

/// How an analysis is run on parts of one file: [`Combine`], for code that is generic over [`Analysis`] alone.
pub struct Parts<A> {
    begin: fn(&mut A),
    combine: fn(&mut A, A),
}

impl<A: Combine> Parts<A> {
    /// What the trait says.
    pub fn of() -> Self {
        Self { begin: A::begin_part, combine: A::combine }
    }
}

impl<A> Parts<A> {
    /// See [`Combine::begin_part`].
    pub fn begin(&self, analysis: &mut A) {
        (self.begin)(analysis);
    }

    /// See [`Combine::combine`].
    pub fn combine(&self, earlier: &mut A, later: A) {
        (self.combine)(earlier, later);
    }
}

impl<A: Analysis, B: Analysis> Parts<(A, B)> {
    /// Those of a pair whose halves both have them.
    pub(super) fn of_pair() -> Option<Self> {
        A::parts().and(B::parts().map(|_| ()))?;
        // Functions that capture nothing: they ask the halves again, which answer as they did.
        Some(Self {
            begin: |pair| {
                if let (Some(first), Some(second)) = (A::parts(), B::parts()) {
                    first.begin(&mut pair.0);
                    second.begin(&mut pair.1);
                }
            },
            combine: |pair, later| {
                if let (Some(first), Some(second)) = (A::parts(), B::parts()) {
                    first.combine(&mut pair.0, later.0);
                    second.combine(&mut pair.1, later.1);
                }
            },
        })
    }
}

impl<A> Clone for Parts<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Parts<A> {}

impl<A> fmt::Debug for Parts<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
