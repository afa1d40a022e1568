//! Analyses of one file's parts, put together to that of the whole.

use super::{Analysis, ByteCount};

/// An analysis that can be run on parts of one file, by several workers, and put together.
pub trait Combine: Analysis {
    /// Prepares a fresh clone for a part that begins in the middle of the file, in place of [`Analysis::begin`].
    fn begin_part(&mut self);

    /// Takes over what `later` has seen of the bytes that follow directly on those that `self` has seen.
    fn combine(&mut self, later: Self);
}

/// How an analysis is run on parts of a file.
#[derive(Debug)]
pub struct Parts<A> {
    begin: fn(&mut A),
    combine: fn(&mut A, A),
}

impl<A: Combine> Parts<A> {
    /// As [`Combine`] says.
    pub fn of() -> Self {
        Self { begin: A::begin_part, combine: A::combine }
    }
}

impl<A> Clone for Parts<A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Parts<A> {}

impl<A> Parts<A> {
    /// See [`Combine::begin_part`].
    pub fn begin(&self, part: &mut A) {
        (self.begin)(part);
    }
    /// See [`Combine::combine`].
    pub fn combine(&self, earlier: &mut A, later: A) {
        (self.combine)(earlier, later);
    }
}

impl Combine for ByteCount {
    fn begin_part(&mut self) {}
    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }
}
