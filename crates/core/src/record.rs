//! The record in which every discovered entry ends.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::budget::Reservation;
use crate::{ReadError, Room};

/// Who read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WorkerId {
    /// A thread of the reader's, counted from 0.
    Thread(usize),
    /// A task of an async runtime, counted from 0 in the order in which they were started.
    Task(u64),
    /// A process, by its id.
    Process(u32),
    /// A ring of submissions to the kernel, with the thread that owns it, counted from 0.
    Ring(usize),
}

impl fmt::Display for WorkerId {
    /// The stable form, as scripts see it: `thread-3`, `task-17`, `process-4711`, `ring-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(index) => write!(f, "thread-{index}"),
            Self::Task(index) => write!(f, "task-{index}"),
            Self::Process(id) => write!(f, "process-{id}"),
            Self::Ring(index) => write!(f, "ring-{index}"),
        }
    }
}

/// Which of two readers read a file, where a run is [split](crate::Split) between them by size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that opens every file, and reads those below the threshold.
    Small,
    /// The one that reads files from the threshold on.
    Large,
}

impl Side {
    /// The stable name, as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The one record of one discovered entry: what became of it, who read it and how long it took.
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
    /// Who did it.
    pub worker: WorkerId,
    /// Which reader it belongs to, in a run that two of them share; otherwise `None`.
    pub side: Option<Side>,
    /// How often it was tried: 1, or more where a model tries again after losing a worker.
    pub attempts: u32,
    /// Whether the reader has another record at hand, which follows without waiting for anything: for a sink that hands
    /// records on, and would rather do so with several at once. `false` where the reader does not know.
    pub is_followed: bool,
    /// Room taken in the bytes in flight until the record is consumed.
    pub(crate) reservation: Option<Reservation>,
}

impl<T> FileResult<T> {
    /// The record of a file that was read elsewhere, with the room that its result takes here. The other fields are as for
    /// a file without content.
    ///
    /// For those who write a reader.
    pub fn new(index: u64, path: PathBuf, outcome: Result<T, ReadError>, worker: WorkerId, room: Option<Room>) -> Self {
        let reservation = room.map(|room| room.0);
        Self {
            path,
            index,
            outcome,
            bytes: 0,
            elapsed: Duration::ZERO,
            worker,
            side: None,
            attempts: 1,
            is_followed: false,
            reservation,
        }
    }

    /// Takes the bytes of its room in the bytes in flight out of this process: another one accounts for them.
    ///
    /// For those who write a reader.
    pub fn hand_over_room(&mut self) -> u64 {
        self.reservation.take().map_or(0, Reservation::hand_over)
    }

    /// The record of an entry that failed before any byte of it was read.
    pub fn failed(index: u64, error: ReadError, worker: WorkerId) -> Self {
        Self {
            path: error.path().to_path_buf(),
            index,
            bytes: error.bytes_read(),
            outcome: Err(error),
            elapsed: Duration::ZERO,
            worker,
            side: None,
            attempts: 1,
            is_followed: false,
            reservation: None,
        }
    }
}
