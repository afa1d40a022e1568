//! The entries of a run, numbered in the order of discovery.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::large::{LargeFile, OpenFile};
use crate::cancel::CancelToken;
use crate::discovery::Walk;
use crate::error::ReadError;
use crate::file::FileEntry;
use crate::lock::lock;
use crate::progress::Progress;

/// One entry with its place in the order of discovery.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Position in the order of discovery, from 0.
    pub index: u64,
    /// The file, or the error that discovery has in its place.
    pub found: Result<FileEntry, ReadError>,
    /// Boxed, as most entries have none and all are passed around.
    pub(crate) open: Option<Box<OpenFile>>,
}

impl Entry {
    /// An entry with this position, for a reader that passes entries between workers in a form of its own.
    pub fn new(index: u64, found: Result<FileEntry, ReadError>) -> Self {
        Self { index, found, open: None }
    }

    /// Whether the file is open already: then only a [`Worker`](super::worker::Worker) can read it without opening it again.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

impl From<LargeFile> for Entry {
    fn from(LargeFile { index, entry, open }: LargeFile) -> Self {
        Self { index, found: Ok(entry), open: Some(open) }
    }
}

/// Where the entries of a job come from.
pub(crate) enum Source {
    /// Tells which entries it has without waiting, and ends when it is told to.
    Walk(Walk),
    /// The caller's iterator.
    Files(Box<dyn Iterator<Item = Result<FileEntry, ReadError>> + Send>),
    /// Entries of another run, numbered and counted there. A raised token does not end it: each of its entries must have a
    /// record.
    Part(Box<NextBatch>),
}

/// Gives the next entries, at most so many; `None` at the end.
pub(crate) type NextBatch = dyn FnMut(usize) -> Option<Vec<Entry>> + Send;

/// Shared with the consumer: how many entries were taken, and whether their iterator has panicked.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    entries: AtomicU64,
    all: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Taken {
    /// Whether discovery has come to its end and this is the number of its entries.
    pub(crate) fn are_all(&self, records: u64) -> bool {
        self.all.load(Ordering::Acquire) && self.entries.load(Ordering::Acquire) == records
    }

    /// Panics as the job's iterator did, if it did.
    pub(crate) fn resume_panic(&self) {
        let panic = lock(&self.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// The entries of a run, for one worker at a time.
pub(crate) struct Entries {
    source: Source,
    next_index: u64,
    /// Of a part: entries that it gave and that were not asked for.
    surplus: VecDeque<Entry>,
    has_ended: bool,
    cancel: CancelToken,
    progress: Progress,
    taken: Arc<Taken>,
}

impl Entries {
    pub(crate) fn new(source: Source, cancel: CancelToken, progress: Progress, taken: Arc<Taken>) -> Self {
        Self { source, next_index: 0, surplus: VecDeque::new(), has_ended: false, cancel, progress, taken }
    }

    /// The next entries, at least one and at most `most`; `None` at the end, when the run is cancelled, and after a panic of
    /// the iterator, which is kept for the consumer.
    pub(crate) fn next_batch(&mut self, most: usize) -> Option<Vec<Entry>> {
        if self.has_ended {
            return None;
        }
        let found = match &mut self.source {
            Source::Part(_) => return self.next_of_part(most.max(1)),
            _ if self.cancel.is_cancelled() => Vec::new(),
            Source::Walk(walk) => walk.next_batch(most),
            Source::Files(files) => {
                // An iterator that does not know its length may wait for a record of this run before it goes on.
                let (least, most_left) = files.size_hint();
                let wanted = if Some(least) == most_left { most.max(1) } else { 1 };
                let mut found = Vec::new();
                let gathered = catch_unwind(AssertUnwindSafe(|| found.extend(files.by_ref().take(wanted))));
                if let Err(panic) = gathered {
                    self.fail(panic);
                }
                found
            }
        };
        if found.is_empty() {
            self.end();
            return None;
        }
        Some(found.into_iter().map(|found| self.number(found)).collect())
    }

    fn number(&mut self, found: Result<FileEntry, ReadError>) -> Entry {
        self.progress.discovered();
        let index = self.next_index;
        self.next_index += 1;
        self.taken.entries.store(self.next_index, Ordering::Release);
        Entry::new(index, found)
    }

    /// The next entries of a part. Entries beyond those that were asked for wait for the next call.
    fn next_of_part(&mut self, most: usize) -> Option<Vec<Entry>> {
        while self.surplus.is_empty() {
            let Source::Part(next) = &mut self.source else { return None };
            match catch_unwind(AssertUnwindSafe(|| next(most))) {
                Ok(batch) => self.surplus.extend(batch?),
                Err(panic) => {
                    self.fail(panic);
                    return None;
                }
            }
        }
        Some(self.surplus.drain(..most.min(self.surplus.len())).collect())
    }

    /// The caller's code has panicked: there are no more entries, and the consumer sees the panic.
    fn fail(&mut self, panic: Box<dyn Any + Send>) {
        *lock(&self.taken.panic) = Some(panic);
        self.has_ended = true;
    }

    /// Discovery has come to its end; unless it was the run that ended, over a walk that had more to give.
    fn end(&mut self) {
        if !self.cancel.is_cancelled() && !self.has_ended {
            self.progress.discovery_ended();
            self.taken.all.store(true, Ordering::Release);
        }
        self.has_ended = true;
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("next_index", &self.next_index).finish_non_exhaustive()
    }
}
