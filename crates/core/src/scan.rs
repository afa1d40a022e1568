//! The one place that reads a regular file: in chunks, into a buffer that is used again.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Stat};

use crate::budget::{Budget, Reservation, lock};
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
    /// Cloned from the run's when the first file is read, so that a panic of `clone` is that file's.
    analysis: Option<A>,
    prototype: Arc<Mutex<A>>,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
}

/// How far a scanner has come with the file at hand, to be looked at from another thread: for those who may abandon it.
#[derive(Debug, Default)]
pub struct Watch {
    bytes: AtomicU64,
    /// `None` while it waits for room, which is not the file's fault.
    reading_since: Mutex<Option<Instant>>,
    room: Mutex<Option<Reservation>>,
}

impl Watch {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// For how long the file has been read; `None` before, and while its scanner waits for room.
    pub fn reading_for(&self) -> Option<Duration> {
        lock(&self.reading_since).map(|since| since.elapsed())
    }

    /// The file is given up, though its scanner may be inside of it for ever: its room is free for others.
    pub fn abandon(&self) {
        *lock(&self.room) = None;
    }
}

impl<A: Analysis> FileScanner<A> {
    pub(crate) fn new(prototype: Arc<Mutex<A>>, shared: Arc<Shared>) -> Self {
        Self { buffer: Vec::new(), analysis: None, prototype, shared, watch: Arc::default() }
    }

    /// Lets another thread see how far this scanner has come.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// Takes one entry to its record. Never panics and never returns early: whatever happens is in the record.
    ///
    /// `before_waiting` is called before the scanner waits for room in
    /// [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight), with the bytes it waits for. The worker must hand over
    /// every record that it still keeps to itself then: they hold the very room that is waited for.
    pub fn scan(
        &mut self,
        entry: Entry,
        worker: WorkerId,
        before_waiting: &mut dyn FnMut(u64),
    ) -> FileResult<A::Output> {
        let started = Instant::now();
        let file = match entry.found {
            Ok(file) => file,
            Err(error) => return FileResult::failed(entry.index, error, worker),
        };
        let mut bytes = 0;
        self.watch.bytes.store(0, Ordering::Relaxed);
        // The analysis is somebody else's code. The state it may leave half-changed is its own clone, which is dropped.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read(&file, started, &mut bytes, before_waiting)))
            .unwrap_or_else(|panic| Err(panicked(&file, &*panic)))
            .map_err(|error| error.with_bytes_read(bytes));
        let room = lock(&self.watch.room).take();
        FileResult {
            index: entry.index,
            bytes,
            // A failed file holds nothing, so that it gives its room back at once.
            reservation: room.filter(|_| outcome.is_ok()),
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
        bytes: &mut u64,
        before_waiting: &mut dyn FnMut(u64),
    ) -> Result<A::Output, ReadError> {
        let fail = |kind, operation| ReadError::new(kind, operation, entry.path());
        let shared = &*self.shared;
        if shared.cancel.is_cancelled() {
            return Err(fail(ErrorKind::Cancelled, Operation::Open));
        }
        if shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(started);
        }
        // A limit too long for the clock is none.
        let mut deadline = shared.timeout.and_then(|timeout| started.checked_add(timeout));
        let mut file = entry.open(&shared.cancel, deadline)?;
        let promised = inspect(&file, entry)?;
        let size = size_of(&promised);
        if let Some(limit) = shared.max_file_size.filter(|limit| size > *limit) {
            let detail = too_large(size, "the largest size allowed is", limit);
            return Err(fail(ErrorKind::TooLarge, Operation::Open).with_detail(detail));
        }

        let prototype = self.analysis.get_or_insert_with(|| lock(&self.prototype).clone());
        let retained = prototype.retains(size);
        let capacity = shared.budget.capacity();
        if retained > capacity {
            let detail = too_large(retained, "to be held at once; the bytes in flight are limited to", capacity);
            return Err(fail(ErrorKind::TooLarge, Operation::Open).with_detail(detail));
        }
        // An analysis that only counts takes no room, and so not the lock that all workers share.
        if retained > 0 {
            let waiting_since = Instant::now();
            let reservation = shared.budget.try_acquire(retained).or_else(|| {
                *lock(&self.watch.reading_since) = None;
                before_waiting(retained);
                shared.budget.acquire(retained, &shared.cancel)
            });
            let Some(reservation) = reservation else {
                return Err(fail(ErrorKind::Cancelled, Operation::Read));
            };
            *lock(&self.watch.room) = Some(reservation);
            // That the consumer is slow is not the file's fault.
            deadline = deadline.and_then(|deadline| deadline.checked_add(waiting_since.elapsed()));
            if shared.timeout.is_some() {
                *lock(&self.watch.reading_since) = Some(Instant::now());
            }
        }

        if self.buffer.is_empty() {
            self.buffer = vec![0; CHUNK];
        }
        let mut analysis = prototype.clone();
        analysis.begin(size);
        while !analysis.is_complete() {
            if shared.cancel.is_cancelled() {
                return Err(fail(ErrorKind::Cancelled, Operation::Read));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let limit = shared.timeout.unwrap_or_default();
                let detail = format!("the limit is {limit:?} for each file");
                return Err(fail(ErrorKind::Timeout, Operation::Read).with_detail(detail));
            }
            let read = match file.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, entry.path())),
            };
            if read > 0 {
                *bytes += read as u64;
                self.watch.bytes.store(*bytes, Ordering::Relaxed);
                shared.progress.bytes(read as u64);
                analysis.update(&self.buffer[..read]);
            }
            // A read that comes back short at the promised length has seen the end; so has one that brings nothing.
            // Anything else is asked again: a short read in the middle of a file is not its end.
            let ended = read == 0 || (*bytes == size && read < self.buffer.len());
            // Several reads may have seen several versions; a single one has seen one.
            let in_parts = ended && *bytes > read as u64;
            if *bytes > size || (ended && *bytes != size) || in_parts {
                // Files in /proc say 0, those in /sys 4096, some file systems lie: that is no change. Only a promise
                // that differs from the one before is.
                if changed(&promised, &inspect(&file, entry)?) {
                    let detail = format!("it was {size} bytes long when it was opened");
                    return Err(fail(ErrorKind::Changed, Operation::Read).with_detail(detail));
                }
                if let Some(limit) = shared.max_file_size.filter(|limit| *bytes > *limit) {
                    let detail = too_large(*bytes, "the largest size allowed is", limit);
                    return Err(fail(ErrorKind::TooLarge, Operation::Read).with_detail(detail));
                }
                if !self.keep_room(analysis.retains(*bytes)) {
                    let detail = too_large(*bytes, "and growing; the bytes in flight are limited to", capacity);
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

    /// Takes more room for a file that is longer than it said; `false` when it alone has outgrown the whole budget.
    fn keep_room(&self, bytes: u64) -> bool {
        bytes == 0 || lock(&self.watch.room).get_or_insert_with(|| self.shared.budget.none()).grow_to(bytes)
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
