//! Giving up a hop whose call does not return.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use polyread_core::reader::Entry;
use polyread_core::reader::custom::Watch;
use polyread_core::{ErrorKind, FileResult, Operation, ReadError, WorkerId};

/// How long after its time limit a file that reads on without looking at the clock is given up: the worker itself looks
/// after each chunk and tells more than a watch from outside can.
const GRACE: Duration = Duration::from_millis(250);

/// A hop under a time limit, as its task and its thread share it. It carries one entry.
#[derive(Clone, Debug)]
pub(crate) struct WatchedHop(Arc<Mutex<Stage>>);

/// How far the hop has come.
#[derive(Debug)]
enum Stage {
    /// It waits for a thread.
    Waiting(Entry),
    Reading {
        index: u64,
        path: PathBuf,
        watch: Arc<Watch>,
    },
    /// The thread has the record.
    Ended,
    /// The task has made the record.
    GivenUp,
}

impl WatchedHop {
    pub(crate) fn new(entry: Entry) -> Self {
        Self(Arc::new(Mutex::new(Stage::Waiting(entry))))
    }

    /// The watch over it, for its task.
    pub(crate) fn watch(&self, limit: Duration, worker: WorkerId) -> HopWatch {
        HopWatch { hop: self.clone(), limit: limit.saturating_add(GRACE), worker }
    }

    /// A thread takes the hop up; `None` if it was given up while it waited for one.
    pub(crate) fn begin(&self, watch: Arc<Watch>) -> Option<Entry> {
        let mut stage = self.lock();
        let Stage::Waiting(entry) = &*stage else { return None };
        let path = match &entry.found {
            Ok(file) => file.path().to_path_buf(),
            Err(error) => error.path().to_path_buf(),
        };
        let reading = Stage::Reading { index: entry.index, path, watch };
        match std::mem::replace(&mut *stage, reading) {
            Stage::Waiting(entry) => Some(entry),
            _ => None,
        }
    }

    /// The thread has a record; `false` if the file has one already, because it was given up.
    pub(crate) fn end(&self) -> bool {
        let mut stage = self.lock();
        let is_given_up = matches!(*stage, Stage::GivenUp);
        if !is_given_up {
            *stage = Stage::Ended;
        }
        !is_given_up
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watch over a hop under a time limit: its task asks it whenever its patience is over.
#[derive(Debug)]
pub struct HopWatch {
    hop: WatchedHop,
    limit: Duration,
    worker: WorkerId,
}

impl HopWatch {
    /// How long to wait for the hop before asking for the first time.
    pub fn patience(&self) -> Duration {
        self.limit
    }

    /// Whether to wait on, and how long; or the record of the file, which is given up: its thread may be inside of a call
    /// that never returns.
    pub fn check<T>(&mut self) -> ControlFlow<FileResult<T>, Duration> {
        let mut stage = self.hop.lock();
        // Waiting for a thread counts apart from reading: with enough hung threads none becomes free.
        let (index, path, reason, bytes) = match &*stage {
            Stage::Waiting(Entry { index, found: Err(error), .. }) => {
                let record = FileResult::failed(*index, error.clone(), self.worker);
                *stage = Stage::GivenUp;
                return ControlFlow::Break(record);
            }
            Stage::Waiting(Entry { index, found: Ok(file), .. }) => {
                (*index, file.path().to_path_buf(), "no thread that may block became free", 0)
            }
            Stage::Reading { index, path, watch } => match watch.reading_for() {
                Some(time) if time < self.limit => return ControlFlow::Continue(self.limit.saturating_sub(time)),
                Some(_) => {
                    watch.release();
                    (*index, path.clone(), "a call does not return and was abandoned", watch.bytes())
                }
                // It waits for the consumer, which is slow; or it has just ended.
                None => return ControlFlow::Continue(self.limit),
            },
            Stage::Ended | Stage::GivenUp => return ControlFlow::Continue(self.limit),
        };
        // An entry that came open is closed with it.
        *stage = Stage::GivenUp;
        let error = ReadError::new(ErrorKind::Timeout, Operation::Read, path);
        let error = error.with_detail(reason).with_bytes_read(bytes);
        ControlFlow::Break(FileResult::failed(index, error, self.worker))
    }
}
