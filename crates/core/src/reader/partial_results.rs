//! What an analysis has seen of the parts of one file, combined as it comes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::failures::{panicked, rejected};
use crate::analysis::{Analysis, Parts};
use crate::error::{ErrorKind, Operation, ReadError};

/// The states that an analysis has reached over parts of one file. Those of neighbouring parts are combined at once, so that
/// there are no more of them than parts that are read out of order.
#[derive(Debug)]
pub struct PartialResults<A> {
    path: PathBuf,
    parts: Parts<A>,
    /// By where a part begins: where it ends, and the state that was reached there.
    seen: BTreeMap<u64, (u64, A)>,
    /// The first failure; nothing that comes after it counts.
    failure: Option<ReadError>,
}

impl<A: Analysis> PartialResults<A> {
    /// Nothing seen yet of the file at this path.
    pub fn new(path: &Path, parts: Parts<A>) -> Self {
        Self { path: path.to_path_buf(), parts, seen: BTreeMap::new(), failure: None }
    }

    /// Adds the state that was reached over these bytes, each of which is in one part only. A panic of the analysis is the
    /// file's failure.
    pub fn put(&mut self, range: Range<u64>, seen: A) {
        let put = catch_unwind(AssertUnwindSafe(|| self.combine(range, seen)));
        if let Err(panic) = put {
            self.fail(panicked(&self.path, &*panic));
        }
    }

    fn combine(&mut self, range: Range<u64>, mut seen: A) {
        let Range { mut start, mut end } = range;
        let before = self.seen.range(..start).next_back().filter(|(_, (end, _))| *end == start);
        if let Some(first) = before.map(|(first, _)| *first)
            && let Some((_, mut earlier)) = self.seen.remove(&first)
        {
            self.parts.combine(&mut earlier, seen);
            (start, seen) = (first, earlier);
        }
        if let Some((later_end, later)) = self.seen.remove(&end) {
            self.parts.combine(&mut seen, later);
            end = later_end;
        }
        self.seen.insert(start, (end, seen));
    }

    /// A part could not be read, and so the file cannot.
    pub fn fail(&mut self, failure: ReadError) {
        self.failure.get_or_insert(failure);
        self.seen.clear();
    }

    /// The state over all of these bytes; `None` if some are missing.
    pub(crate) fn whole(&mut self, range: &Range<u64>) -> Result<Option<A>, ReadError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let whole = self.seen.remove(&range.start);
        Ok(whole.filter(|(end, _)| *end == range.end).map(|(_, analysis)| analysis))
    }

    /// The output for a file of `size` bytes, when every part has been added.
    ///
    /// # Errors
    ///
    /// The first failure; [`Changed`](ErrorKind::Changed) if bytes are missing; the analysis has no result, or panics.
    pub fn conclude(mut self, size: u64) -> Result<A::Output, ReadError> {
        let whole = self.whole(&(0..size))?;
        let missing = || ReadError::new(ErrorKind::Changed, Operation::Read, &self.path);
        let analysis = whole.ok_or_else(missing)?;
        let concluded = catch_unwind(AssertUnwindSafe(|| {
            analysis.verdict().map_err(|rejection| rejected(&self.path, rejection))?;
            Ok(analysis.finish())
        }));
        concluded.unwrap_or_else(|panic| Err(panicked(&self.path, &*panic)))
    }
}
