//! Analyses of parts of one file, put together.

use std::fmt;

use super::{Analysis, ByteCount};

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
/// Whoever implements it says so in [`Analysis::parts`] too, which is where readers look.
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

impl Combine for ByteCount {
    fn begin_part(&mut self) {}

    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }
}

impl<A: Combine, B: Combine> Combine for (A, B) {
    fn begin_part(&mut self) {
        self.0.begin_part();
        self.1.begin_part();
    }

    fn combine(&mut self, later: Self) {
        self.0.combine(later.0);
        self.1.combine(later.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contents, TextStats};

    #[test]
    fn a_pair_has_parts_if_both_halves_have() {
        assert!(<(ByteCount, Contents)>::parts().is_none());
        assert!(<(Contents, ByteCount)>::parts().is_none());
        assert!(Contents::parts().is_none());
        let parts = <(TextStats, (ByteCount, ByteCount))>::parts().unwrap();

        let prototype = (TextStats::default(), (ByteCount::default(), ByteCount::default()));
        let (mut early, mut late) = (prototype.clone(), prototype);
        early.begin(7);
        early.update(b"ab \xe2");
        parts.begin(&mut late);
        late.update(b"\x82\xacc");
        parts.combine(&mut early, late);
        let (counts, sizes) = early.finish();
        assert_eq!((counts.words, counts.chars, counts.invalid_bytes), (2, 5, 0));
        assert_eq!(sizes, (7, 7));
    }

    #[test]
    fn the_trait_and_the_parts_of_a_pair_do_the_same() {
        let (mut early, mut late) = <(ByteCount, ByteCount)>::default();
        early.update(b"abc");
        late.begin_part();
        late.update(b"de");
        early.combine(late);
        assert_eq!(early.finish(), 5);
        let mut early = (ByteCount::default(), TextStats::default());
        let mut late = early.clone();
        late.begin_part();
        late.update(b" x");
        early.update(b"y");
        early.combine(late);
        assert_eq!((early.0.finish(), early.1.finish().words), (3, 2));
    }
}
