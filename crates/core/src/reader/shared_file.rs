//! One large file, read in ranges by several workers at once.
//!
//! ```text
//!  file   ├──────┬──────┬──────┬──────┬──────┬──────┤     ranges are taken from the front, by any worker that is free
//!          owner  owner  helper owner  helper helper
//!         └─────┬──────┘                                   neighbours of one worker: one state goes on
//!               └──────► states are combined as they come to lie beside each other
//! ```
//!
//! The worker that opened the file owns it: it makes its record. Others help as long as there are ranges; one that comes too
//! late finds none and leaves. So nobody waits for a helper that never came, and the owner waits only for helpers that are in
//! the middle of a range. Under a time limit no file is shared: one that hangs would hold all of them.
//!
//! Ranges are taken in order, and not one half each: a helper may come late, a neighbour may be slow, and a device is read
//! best in one direction. States of neighbouring ranges are combined at once, so that there are never more of them than
//! workers, however large the file is.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::failures::panicked;
use super::large::{LARGE_FROM, LargeFile, OpenFile};
use super::open::inspect;
use super::partial_results::PartialResults;
use super::state::RunState;
use crate::analysis::{Analysis, Parts};
use crate::cancel::CancelToken;
use crate::error::{ErrorKind, Operation, ReadError};
use crate::file::{FileEntry, FileVersion};
use crate::lock::lock;
use crate::progress::Progress;

/// Bytes of a range: some tenths of a millisecond for a counting analysis, a thousand times what taking one costs, and
/// little enough that the last wait is short.
const RANGE: u64 = LARGE_FROM / 4;

/// Between two looks at whether the last helper has left.
const PAUSE: Duration = Duration::from_micros(200);

/// A large file, or a part of one, that several workers of a run read together: see
/// [`Worker::share`](super::worker::Worker::share).
#[derive(Debug)]
pub struct SharedFile<A> {
    index: u64,
    entry: FileEntry,
    open: Box<OpenFile>,
    /// The bytes that are read of it.
    part: Range<u64>,
    parts: Parts<A>,
    cancel: CancelToken,
    progress: Progress,
    bytes: AtomicU64,
    /// Where the first range begins that nobody has taken.
    next: AtomicU64,
    state: Mutex<State<A>>,
    /// Notified when the last worker has left the file.
    left: Condvar,
}

#[derive(Debug)]
struct State<A> {
    results: PartialResults<A>,
    at_work: usize,
}

impl<A: Analysis> SharedFile<A> {
    pub(super) fn new(file: LargeFile, part: Range<u64>, parts: Parts<A>, run: &RunState<A>) -> Arc<Self> {
        let LargeFile { index, entry, open } = file;
        let results = PartialResults::new(entry.path(), parts);
        Arc::new(Self {
            index,
            entry,
            open,
            next: AtomicU64::new(part.start),
            part,
            parts,
            cancel: run.cancel.clone(),
            progress: run.progress.clone(),
            bytes: AtomicU64::new(0),
            state: Mutex::new(State { results, at_work: 0 }),
            left: Condvar::new(),
        })
    }

    pub(super) fn index(&self) -> u64 {
        self.index
    }

    pub(super) fn entry(&self) -> &FileEntry {
        &self.entry
    }

    pub(super) fn file(&self) -> &File {
        &self.open.file
    }

    /// Time spent on the file before it was shared.
    pub(super) fn spent(&self) -> Duration {
        self.open.spent
    }

    /// The version that was opened.
    pub fn version(&self) -> FileVersion {
        self.open.version
    }

    /// Whether the file still is the version that was opened.
    pub fn is_unchanged(&self) -> bool {
        inspect(&self.open.file, self.entry.path()).is_ok_and(|version| version == self.open.version)
    }

    /// Bytes read so far, by all workers together.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether every range has been taken by a worker.
    pub fn is_exhausted(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.part.end
    }

    /// Reads ranges until there are none left, or `goes_on` is false before one. A panic of the analysis is the file's failure.
    pub(super) fn work(&self, prototype: &A, buffer: &mut [u8], goes_on: &mut dyn FnMut() -> bool) {
        lock(&self.state).at_work += 1;
        let worked = catch_unwind(AssertUnwindSafe(|| self.read_ranges(prototype, buffer, goes_on)));
        let worked = worked.unwrap_or_else(|panic| Err(panicked(self.entry.path(), &*panic)));
        let mut state = lock(&self.state);
        if let Err(failure) = worked {
            // No worker needs to begin another range.
            self.next.store(self.part.end, Ordering::Relaxed);
            state.results.fail(failure);
        }
        state.at_work -= 1;
        if state.at_work == 0 {
            self.left.notify_all();
        }
    }

    /// The state of the analysis after all bytes of the part, when every worker has left the file; `None` if the file has
    /// turned out to have fewer. To be called when the file [is exhausted](Self::is_exhausted), by the worker that shared it;
    /// calls `meanwhile` every now and then while it waits for workers that are in the middle of a range.
    ///
    /// # Errors
    ///
    /// The first failure of any of the workers: to read, or of the analysis.
    pub fn seen(&self, meanwhile: &dyn Fn()) -> Result<Option<A>, ReadError> {
        let mut state = lock(&self.state);
        while state.at_work > 0 {
            drop(state);
            meanwhile();
            state = lock(&self.state);
            if state.at_work > 0 {
                state = self.left.wait_timeout(state, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.results.whole(&self.part)
    }

    fn read_ranges(
        &self,
        prototype: &A,
        buffer: &mut [u8],
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), ReadError> {
        let mut current: Option<(u64, u64, A)> = None;
        loop {
            let begin = if goes_on() { self.next.fetch_add(RANGE, Ordering::Relaxed) } else { u64::MAX };
            let is_over = begin >= self.part.end;
            if let Some((start, end, analysis)) = current.take_if(|(_, end, _)| is_over || *end != begin) {
                lock(&self.state).results.put(start..end, analysis);
            }
            if is_over {
                return Ok(());
            }
            let (_, end, analysis) = current.get_or_insert_with(|| {
                let mut analysis = prototype.clone();
                match begin {
                    0 => analysis.begin(self.open.version.size),
                    _ => self.parts.begin(&mut analysis),
                }
                (begin, begin, analysis)
            });
            *end = self.read_range(begin, analysis, buffer)?;
        }
    }

    /// Reads one range, and returns where it has come to its end.
    fn read_range(&self, begin: u64, analysis: &mut A, buffer: &mut [u8]) -> Result<u64, ReadError> {
        let fail = |kind| ReadError::new(kind, Operation::Read, self.entry.path());
        let end = self.part.end.min(begin.saturating_add(RANGE));
        let mut at = begin;
        while at < end {
            if self.cancel.is_cancelled() {
                return Err(fail(ErrorKind::Cancelled));
            }
            let wanted = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            match self.open.file.read_at(&mut buffer[..wanted], at) {
                // Shorter than it was: what follows need not be read.
                Ok(0) => {
                    self.next.store(self.part.end, Ordering::Relaxed);
                    break;
                }
                Ok(read) => {
                    at += read as u64;
                    self.bytes.fetch_add(read as u64, Ordering::Relaxed);
                    self.progress.bytes(read as u64);
                    if !analysis.is_complete() {
                        analysis.update(&buffer[..read]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, self.entry.path())),
            }
        }
        Ok(at)
    }
}
