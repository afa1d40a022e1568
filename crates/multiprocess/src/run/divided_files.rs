//! Large files that several processes read in parts.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use polyread_core::reader::custom::{FileVersion, PartialResults};
use polyread_core::{Analysis, FileResult, ReadError, WorkerId};

use super::work_queue::Task;
use crate::lock::lock;
use crate::protocol::{FilePart, PART_BYTES};

/// The most parts of one file: enough for a fair share of the last ones among a dozen processes.
const MOST_PARTS: u64 = 64;

/// The files of a run that are being read in parts, by their indices.
#[derive(Debug)]
pub(crate) struct DividedFiles<A>(Mutex<HashMap<u64, DividedFile<A>>>);

#[derive(Debug)]
struct DividedFile<A> {
    results: PartialResults<A>,
    size: u64,
    /// Parts that have no result yet.
    parts_left: usize,
    bytes: u64,
    attempts: u32,
    elapsed: Duration,
    has_failed: bool,
}

/// How the reading of a part ended.
#[derive(Debug)]
pub(crate) struct PartResult<A> {
    /// The state that the analysis reached over the part.
    pub(crate) outcome: Result<A, ReadError>,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) attempts: u32,
}

impl<A> Default for DividedFiles<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<A: Analysis> DividedFiles<A> {
    /// Divides a file of this version into parts, to be read in any order; `None` if it cannot be divided.
    pub(crate) fn divide(&self, task: &Task, version: FileVersion) -> Option<Vec<Task>> {
        let parts = A::parts().filter(|_| task.part.is_none() && version.size > 0)?;
        let length = PART_BYTES.max(version.size.div_ceil(MOST_PARTS));
        let starts = (0..version.size.div_ceil(length)).map(|number| number * length);
        let ranges = starts.map(|start| start..version.size.min(start.saturating_add(length)));
        let tasks: Vec<_> = ranges
            .map(|range| Task {
                index: task.index,
                file: task.file.clone(),
                tries: task.tries,
                reported_bytes: 0,
                part: Some(FilePart { version, range }),
            })
            .collect();
        let file = DividedFile {
            results: PartialResults::new(task.file.path(), parts),
            size: version.size,
            parts_left: tasks.len(),
            bytes: 0,
            attempts: 0,
            elapsed: Duration::ZERO,
            has_failed: false,
        };
        lock(&self.0).insert(task.index, file);
        Some(tasks)
    }

    /// Whether this is a part of a file of which another part could not be read: then the file cannot be read.
    pub(crate) fn has_failed(&self, task: &Task) -> bool {
        task.part.is_some() && lock(&self.0).get(&task.index).is_some_and(|file| file.has_failed)
    }

    /// Adds the result of a part. The last part returns the record of the file.
    pub(crate) fn put(&self, task: &Task, part: PartResult<A>, worker: WorkerId) -> Option<FileResult<A::Output>> {
        let range = task.part.as_ref()?.range.clone();
        let mut files = lock(&self.0);
        let file = files.get_mut(&task.index)?;
        match part.outcome {
            Ok(state) => file.results.put(range, state),
            Err(failure) => {
                file.has_failed = true;
                file.results.fail(failure);
            }
        }
        file.parts_left -= 1;
        file.bytes += part.bytes;
        file.elapsed += part.elapsed;
        file.attempts = file.attempts.max(part.attempts);
        if file.parts_left > 0 {
            return None;
        }
        let DividedFile { results, size, bytes, attempts, elapsed, .. } = files.remove(&task.index)?;
        drop(files);
        let outcome = results.conclude(size).map_err(|error| error.with_bytes_read(bytes));
        let mut record = FileResult::new(task.index, task.file.path().to_path_buf(), outcome, worker);
        (record.bytes, record.elapsed, record.attempts) = (bytes, elapsed, attempts.max(1));
        Some(record)
    }
}
