//! The record in which every discovered entry ends.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use crate::budget::Reservation;
use crate::error::ReadError;
use crate::reader::large::LargeFile;

/// Which worker read a file: what kind of worker it is, and its number among those of its kind.
///
/// Printed as `kind-number`, which is the form that scripts see: `thread-3`, `task-17`, `process-4711`, `ring-0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    kind: &'static str,
    number: u64,
}

impl WorkerId {
    /// A worker of this kind (`"thread"`, `"task"`, …) with this number: its position among the reader's workers, or the
    /// id that the operating system knows it by.
    pub const fn new(kind: &'static str, number: u64) -> Self {
        Self { kind, number }
    }

    /// What kind of worker it is: `"thread"`, `"task"`, `"process"` or `"ring"` in the readers of polyread.
    pub fn kind(self) -> &'static str {
        self.kind
    }

    /// The number of a thread, task or ring, counted from 0; the id of a process.
    pub fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.number)
    }
}

/// The one record of one discovered entry: how its reading ended, which worker read it and how long it took.
///
/// Records come in the order in which files are finished; [`index`](Self::index) tells the order of discovery.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileResult<T> {
    /// The path, as the root was given and discovery continued it.
    pub path: PathBuf,
    /// Position in the order of discovery, from 0. No two records of a run share one.
    pub index: u64,
    /// What the analysis found, or why it could not.
    pub outcome: Result<T, ReadError>,
    /// Bytes read from the file, before an error too.
    pub bytes: u64,
    /// Time between taking up the entry and the end of its analysis.
    pub elapsed: Duration,
    /// Which worker read it.
    pub worker: WorkerId,
    /// How often it was tried: 1, or more where a model tries again after losing a worker.
    pub attempts: u32,
    /// Taken from the bytes in flight until the record is consumed.
    pub(crate) reservation: Option<Reservation>,
    /// The file itself, open, where the job [defers](crate::Job::defer_from) files of its size.
    pub(crate) deferred: Option<Box<LargeFile>>,
}

impl<T> FileResult<T> {
    /// The record of an entry, for a reader that reads files in a way of its own. [`bytes`](Self::bytes) and
    /// [`elapsed`](Self::elapsed) are 0, [`attempts`](Self::attempts) is 1.
    pub fn new(index: u64, path: PathBuf, outcome: Result<T, ReadError>, worker: WorkerId) -> Self {
        Self {
            path,
            index,
            outcome,
            bytes: 0,
            elapsed: Duration::ZERO,
            worker,
            attempts: 1,
            reservation: None,
            deferred: None,
        }
    }

    /// The record of an entry that failed with this error.
    pub fn failed(index: u64, error: ReadError, worker: WorkerId) -> Self {
        let bytes = error.bytes_read();
        Self { bytes, ..Self::new(index, error.path().to_path_buf(), Err(error), worker) }
    }

    /// The same record, which keeps bytes of the run's [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight) taken
    /// until the consumer is done with it.
    #[must_use]
    pub fn holding(mut self, reservation: impl Into<Option<Reservation>>) -> Self {
        self.reservation = reservation.into();
        self
    }

    /// Takes the record's bytes in flight out of it: from now on they are the caller's to give back.
    pub fn take_reservation(&mut self) -> Option<Reservation> {
        self.reservation.take()
    }

    /// Takes the file out of the record, if it was left to another reader; see [`Job::defer_from`](crate::Job::defer_from).
    /// Then this is not the file's record, which comes from the reader that the file is given to.
    pub fn take_deferred(&mut self) -> Option<LargeFile> {
        self.deferred.take().map(|file| *file)
    }

    /// A record that stands for a file until another reader has read it.
    pub(crate) fn deferred(file: LargeFile, error: ReadError, worker: WorkerId) -> Self {
        let record = Self::failed(file.index(), error, worker);
        Self { deferred: Some(Box::new(file)), ..record }
    }
}

/// The consumer of a run; see [`FileReader::read`](crate::FileReader::read).
pub type Sink<'a, T> = dyn FnMut(FileResult<T>) -> ControlFlow<()> + 'a;
