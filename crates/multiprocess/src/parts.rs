//! Large files, of which several processes read a part each.
//!
//! The process that is given such a file says how large it is and leaves it. The file then stands at the end of the queue
//! once for each part, and what the analysis has seen of the parts comes back and is put together here.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use polyread_core::{Analysis, FilePart, FileResult, Pieces, Promise, ReadError, WorkerId};

use crate::pool::lock;
use crate::work::Task;

/// Bytes of a part, at least: a millisecond or so for a counting analysis, ten times what it takes to hand one over.
pub(crate) const PART: u64 = 8 * 1024 * 1024;

/// Parts of one file, at most; enough for a fair share of the last ones among a dozen processes.
const MOST_PARTS: u64 = 64;

/// The files of a run that are being read in parts, by their indices.
#[derive(Debug)]
pub(crate) struct Divided<A>(Mutex<HashMap<u64, Whole<A>>>);

#[derive(Debug)]
struct Whole<A> {
    pieces: Pieces<A>,
    size: u64,
    /// Parts that nothing was heard of yet.
    left: usize,
    bytes: u64,
    attempts: u32,
    elapsed: Duration,
    has_failed: bool,
}

impl<A> Default for Divided<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Analysis> Divided<A> {
    /// The parts of a file of which this was promised; `None` if it is none to be divided.
    pub(crate) fn divide(&self, task: &Task, promise: Promise) -> Option<Vec<Task>> {
        let parts = A::parts().filter(|_| task.part.is_none() && promise.size > 0)?;
        let length = PART.max(promise.size.div_ceil(MOST_PARTS));
        let starts = (0..promise.size.div_ceil(length)).map(|number| number * length);
        let tasks: Vec<_> = starts
            .map(|start| Task {
                index: task.index,
                file: task.file.clone(),
                tries: task.tries,
                told: 0,
                part: Some(FilePart { of: promise, range: start..promise.size.min(start.saturating_add(length)) }),
            })
            .collect();
        let whole = Whole {
            pieces: Pieces::new(task.file.path(), parts),
            size: promise.size,
            left: tasks.len(),
            bytes: 0,
            attempts: 0,
            elapsed: Duration::ZERO,
            has_failed: false,
        };
        lock(&self.0).insert(task.index, whole);
        Some(tasks)
    }

    /// Whether the file of this part cannot be read any more, because another of its parts cannot.
    pub(crate) fn has_failed(&self, task: &Task) -> bool {
        task.part.is_some() && lock(&self.0).get(&task.index).is_some_and(|whole| whole.has_failed)
    }

    /// Takes what was seen of a part at which tries, or why it could not be read. After the last part comes the record of the
    /// file.
    pub(crate) fn put(&self, task: &Task, seen: Seen<A>, worker: WorkerId) -> Option<FileResult<A::Output>> {
        let range = task.part.as_ref()?.range.clone();
        let mut files = lock(&self.0);
        let whole = files.get_mut(&task.index)?;
        match seen.outcome {
            Ok(state) => whole.pieces.put(range, state),
            Err(failure) => {
                whole.has_failed = true;
                whole.pieces.fail(failure);
            }
        }
        whole.left -= 1;
        whole.bytes += seen.bytes;
        whole.elapsed += seen.elapsed;
        whole.attempts = whole.attempts.max(seen.attempts);
        if whole.left > 0 {
            return None;
        }
        let Whole { pieces, size, bytes, attempts, elapsed, .. } = files.remove(&task.index)?;
        drop(files);
        let outcome = pieces.conclude(size).map_err(|error| error.with_bytes_read(bytes));
        let mut record = FileResult::new(task.index, task.file.path().to_path_buf(), outcome, worker, None);
        (record.bytes, record.elapsed, record.attempts) = (bytes, elapsed, attempts.max(1));
        Some(record)
    }
}

/// What became of a part.
#[derive(Debug)]
pub(crate) struct Seen<A> {
    pub(crate) outcome: Result<A, ReadError>,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) attempts: u32,
}
