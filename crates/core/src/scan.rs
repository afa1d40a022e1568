//! The one place that reads a regular file: in chunks, into a buffer that is used again.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Stat};

use crate::budget::{Budget, Reservation};
use crate::{
    Analysis, CancelToken, Entry, ErrorKind, FileEntry, FileResult, Operation, Progress, ReadError, Rejection, WorkerId,
};

/// Bytes read at once. Small enough to stay in a second-level cache together with what the analysis needs, large enough
/// that the system calls do not show: on files of 64 MB, half of it costs a few percent and twice as much gains nothing.
const CHUNK: usize = 256 * 1024;

/// What all workers of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cancel: CancelToken,
    pub(crate) progress: Progress,
    pub(crate) budget: Arc<Budget>,
    pub(crate) max_file_size: Option<u64>,
    pub(crate) timeout: Option<Duration>,
}

/// Reads one file after the other into its own buffer and runs the analysis on each: what a worker of any thread-like
/// model owns one of.
///
/// For those who write a reader. It is made by [`Context::scanner`](crate::Context::scanner).
#[derive(Debug)]
pub struct FileScanner<A> {
    buffer: Vec<u8>,
    analysis: A,
    shared: Arc<Shared>,
    /// Bytes read of the file at hand, for those who watch from outside.
    position: Arc<AtomicU64>,
}

/// A file in the middle of being read: what a record needs even if reading ends in an error or a panic.
#[derive(Default)]
struct Taken {
    bytes: u64,
    reservation: Option<Reservation>,
}

impl<A: Analysis> FileScanner<A> {
    pub(crate) fn new(analysis: A, shared: Arc<Shared>) -> Self {
        Self { buffer: Vec::new(), analysis, shared, position: Arc::default() }
    }

    /// Bytes read so far of the file at hand, to be looked at from another thread: what can be told of a file whose
    /// reading is abandoned.
    pub fn position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }

    /// Takes one entry to its record. Never panics and never returns early: whatever happens is in the record.
    ///
    /// `before_waiting` is called before the scanner waits for room in
    /// [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight). The worker must hand over every record that it still
    /// keeps to itself then: they hold the very room that is waited for.
    pub fn scan(&mut self, entry: Entry, worker: WorkerId, before_waiting: &mut dyn FnMut()) -> FileResult<A::Output> {
        let started = Instant::now();
        let file = match entry.found {
            Ok(file) => file,
            Err(error) => return FileResult::failed(entry.index, error, worker),
        };
        let mut taken = Taken::default();
        self.position.store(0, Ordering::Relaxed);
        // The analysis is somebody else's code. The state it may leave half-changed is its own clone, which is dropped.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read(&file, started, &mut taken, before_waiting)))
            .unwrap_or_else(|panic| Err(panicked(&file, &*panic)))
            .map_err(|error| error.with_bytes_read(taken.bytes));
        FileResult {
            index: entry.index,
            bytes: taken.bytes,
            // A failed file holds nothing, so that it gives its room back at once.
            reservation: taken.reservation.filter(|_| outcome.is_ok()),
            outcome,
            elapsed: started.elapsed(),
            worker,
            attempts: 1,
            path: file.into_path(),
        }
    }

    fn read(
        &mut self,
        entry: &FileEntry,
        started: Instant,
        taken: &mut Taken,
        before_waiting: &mut dyn FnMut(),
    ) -> Result<A::Output, ReadError> {
        let fail = |kind, operation| ReadError::new(kind, operation, entry.path());
        let shared = Arc::clone(&self.shared);
        if shared.cancel.is_cancelled() {
            return Err(fail(ErrorKind::Cancelled, Operation::Open));
        }
        let mut deadline = shared.timeout.map(|timeout| started + timeout);
        let mut file = entry.open(&shared.cancel, deadline)?;
        let promised = inspect(&file, entry)?;
        let size = size_of(&promised);
        if let Some(limit) = shared.max_file_size.filter(|limit| size > *limit) {
            return Err(fail(ErrorKind::TooLarge, Operation::Open).with_detail(too_large(
                size,
                "the largest size allowed is",
                limit,
            )));
        }

        let retained = self.analysis.retains(size);
        let capacity = shared.budget.capacity();
        if retained > capacity {
            let detail = too_large(retained, "to be held at once; the bytes in flight are limited to", capacity);
            return Err(fail(ErrorKind::TooLarge, Operation::Open).with_detail(detail));
        }
        let waiting_since = Instant::now();
        // An analysis that only counts takes no room, and so no lock.
        let reservation = if retained == 0 { Some(shared.budget.none()) } else { shared.budget.try_acquire(retained) };
        let reservation = reservation.or_else(|| {
            before_waiting();
            shared.budget.acquire(retained, &shared.cancel)
        });
        let Some(reservation) = reservation else {
            return Err(fail(ErrorKind::Cancelled, Operation::Read));
        };
        let reservation = taken.reservation.insert(reservation);
        // That the consumer is slow is not the file's fault.
        deadline = deadline.map(|deadline| deadline + waiting_since.elapsed());

        if self.buffer.is_empty() {
            self.buffer = vec![0; CHUNK];
        }
        let mut analysis = self.analysis.clone();
        analysis.begin(size);
        loop {
            if analysis.is_complete() {
                break;
            }
            if shared.cancel.is_cancelled() {
                return Err(fail(ErrorKind::Cancelled, Operation::Read));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let limit = shared.timeout.unwrap_or_default();
                return Err(fail(ErrorKind::Timeout, Operation::Read)
                    .with_detail(format!("the limit is {limit:?} for each file")));
            }
            let read = match file.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, entry.path())),
            };
            if read > 0 {
                taken.bytes += read as u64;
                self.position.store(taken.bytes, Ordering::Relaxed);
                shared.progress.bytes(read as u64);
                analysis.update(&self.buffer[..read]);
            }
            // A read that comes back short at the promised length has seen the end; so has one that brings nothing.
            // Anything else is asked again: a short read in the middle of a file is not its end.
            let ended = read == 0 || (taken.bytes == size && read < self.buffer.len());
            if taken.bytes > size || (ended && taken.bytes != size) {
                // Files in /proc say 0, those in /sys 4096, some file systems lie: that is no change. Only a promise
                // that differs from the one before is.
                if changed(&promised, &inspect(&file, entry)?) {
                    let detail = format!("it was {size} bytes long when it was opened");
                    return Err(fail(ErrorKind::Changed, Operation::Read).with_detail(detail));
                }
                if let Some(limit) = shared.max_file_size.filter(|limit| taken.bytes > *limit) {
                    let detail = too_large(taken.bytes, "the largest size allowed is", limit);
                    return Err(fail(ErrorKind::TooLarge, Operation::Read).with_detail(detail));
                }
                if !reservation.grow_to(analysis.retains(taken.bytes)) {
                    let detail = too_large(taken.bytes, "and growing; the bytes in flight are limited to", capacity);
                    return Err(fail(ErrorKind::TooLarge, Operation::Read).with_detail(detail));
                }
            }
            if ended {
                break;
            }
        }
        analysis.verdict().map_err(|rejection| rejected(entry, rejection))?;
        Ok(analysis.finish())
    }
}

/// What was opened, not what was listed; `Err` if it is no regular file.
fn inspect(file: &File, entry: &FileEntry) -> Result<Stat, ReadError> {
    let stat =
        rustix::fs::fstat(file).map_err(|error| ReadError::from_io(error.into(), Operation::Stat, entry.path()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        _ => Err(ReadError::new(ErrorKind::NotRegular, Operation::Open, entry.path())),
    }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn changed(before: &Stat, after: &Stat) -> bool {
    let key = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    key(before) != key(after)
}

fn too_large(size: u64, what: &str, limit: u64) -> String {
    format!("{size} bytes, {what} {limit}")
}

fn rejected(entry: &FileEntry, rejection: Rejection) -> ReadError {
    let (kind, detail) = match rejection {
        Rejection::InvalidUtf8 { offset } => (ErrorKind::InvalidUtf8, format!("at byte offset {offset}")),
        Rejection::OutOfMemory { bytes } => (ErrorKind::OutOfMemory, format!("{bytes} bytes could not be allocated")),
        Rejection::Other(reason) => (ErrorKind::Rejected, reason),
    };
    ReadError::new(kind, Operation::Analyse, entry.path()).with_detail(detail)
}

fn panicked(entry: &FileEntry, panic: &(dyn Any + Send)) -> ReadError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    ReadError::new(ErrorKind::Panicked, Operation::Analyse, entry.path()).with_detail(message)
}
