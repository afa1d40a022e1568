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
use crate::split::{Gate, Opened, Place, Route, Seat};
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
    /// In a split run, what both sides pass.
    pub(crate) gate: Option<Arc<Gate>>,
    /// Where large files go, on the small side of a split run.
    pub(crate) route: Option<Route>,
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
    held: Mutex<Held>,
}

/// What the file at hand takes of the run.
#[derive(Debug, Default)]
struct Held {
    room: Option<Reservation>,
    /// In a split run: leave to read, for all files at hand.
    seat: Option<Seat>,
    /// In a split run: leave to have one of them open. On the small side it goes from file to file, until one takes it along.
    place: Option<Place>,
    /// Which of the two came first: a file that was sent over must not have a record of its being given up.
    fate: Option<Fate>,
}

impl Held {
    /// Gives back what a split run gave.
    fn leave(&mut self) {
        (self.seat, self.place) = (None, None);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Abandoned,
    Crossed,
}

impl Watch {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// For how long the file has been read; `None` before, and while its scanner waits for room or for a seat.
    pub fn reading_for(&self) -> Option<Duration> {
        lock(&self.reading_since).map(|since| since.elapsed())
    }

    /// The file is given up, though its scanner may be inside of it for ever: what it takes of the run is free for others.
    /// `false` when it is too late for that, because the file has just gone to the other side of a split run.
    #[must_use]
    pub fn abandon(&self) -> bool {
        let mut held = lock(&self.held);
        if held.fate == Some(Fate::Crossed) {
            return false;
        }
        *held = Held { fate: Some(Fate::Abandoned), ..Held::default() };
        true
    }
}

impl<A> Drop for FileScanner<A> {
    fn drop(&mut self) {
        // The watch may outlive its scanner.
        lock(&self.watch.held).leave();
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

    /// Takes one entry to its record. Never panics and never returns early: whatever happens is in the record. There is none
    /// for a file that has gone to the other side of a [split](crate::Split) run, where it will have one.
    ///
    /// `before_waiting` is called before the scanner waits for room in
    /// [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight), with the bytes it waits for, or with 0 before it waits for
    /// leave to open or to read in a split run. The worker must hand over every record that it still keeps to itself then:
    /// they hold the very room that is waited for. After a batch of files comes a [`rest`](Self::rest).
    pub fn scan(
        &mut self,
        entry: Entry,
        worker: WorkerId,
        before_waiting: &mut dyn FnMut(u64),
    ) -> Option<FileResult<A::Output>> {
        let mut file = match entry.found {
            Ok(file) => file,
            Err(error) => return Some(FileResult::failed(entry.index, error, worker)),
        };
        self.watch.bytes.store(0, Ordering::Relaxed);
        let crossed = file.take_opened();
        let has_crossed = crossed.is_some();
        if let Some(gate) = &self.shared.gate {
            self.pass(gate, has_crossed, before_waiting);
        }
        let started = Instant::now();
        let opened = match crossed {
            Some(mut opened) => {
                lock(&self.watch.held).place = opened.place.take();
                Ok(opened)
            }
            None => self.open(&file, started),
        };
        let opened = match opened {
            Ok(opened) => {
                let stays;
                (file, stays) = self.send_over(entry.index, file, opened, started)?;
                Ok(stays)
            }
            error => error,
        };
        let spent = opened.as_ref().map_or(Duration::ZERO, |opened| opened.spent);
        let mut bytes = 0;
        let mut read = |opened| self.read(&file, opened, started, &mut bytes, before_waiting);
        // The analysis is somebody else's code. The state it may leave half-changed is its own clone, which is dropped.
        let outcome = opened
            .and_then(|opened| {
                catch_unwind(AssertUnwindSafe(|| read(opened))).unwrap_or_else(|panic| Err(panicked(&file, &*panic)))
            })
            .map_err(|error| error.with_bytes_read(bytes));
        // The next file's time begins when it is opened: until then nothing of this one's must count against it.
        if self.shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = None;
        }
        let mut held = lock(&self.watch.held);
        // A place that came with the file goes with it.
        let (room, place) = (held.room.take(), held.place.take_if(|_| has_crossed));
        drop((held, place));
        Some(FileResult {
            index: entry.index,
            bytes,
            // A failed file holds nothing, so that it gives its room back at once.
            reservation: room.filter(|_| outcome.is_ok()),
            outcome,
            elapsed: spent + started.elapsed(),
            worker,
            side: None,
            attempts: 1,
            is_followed: false,
            path: file.into_path(),
        })
    }

    /// To be called when the worker has no next file at hand, before it hands over the records of those that it had: in a
    /// split run the scanner keeps a seat from one file to the next, since for small ones giving it back each time would
    /// cost as much as reading them. Otherwise it does nothing.
    pub fn rest(&mut self) {
        if self.shared.gate.is_some() {
            lock(&self.watch.held).leave();
        }
    }

    /// Takes what a split run asks for before the next file, unless the scanner has it still. It goes without only when the
    /// run was cancelled.
    fn pass(&self, gate: &Arc<Gate>, is_open: bool, before_waiting: &mut dyn FnMut(u64)) {
        let mut held = lock(&self.watch.held);
        held.fate = None;
        match (held.seat.is_some(), is_open || held.place.is_some()) {
            (true, true) => return,
            (true, false) => held.place = gate.try_place(),
            (false, true) => held.seat = gate.try_seat(),
            (false, false) => (held.seat, held.place) = gate.try_both().unzip(),
        }
        if held.seat.is_some() && (is_open || held.place.is_some()) {
            return;
        }
        held.leave();
        drop(held);
        // The time is not the file's: neither its limit nor what is told of it runs on.
        *lock(&self.watch.reading_since) = None;
        before_waiting(0);
        let (seat, place) = match is_open {
            true => (gate.seat_after_waiting(&self.shared.cancel), None),
            false => gate.both(&self.shared.cancel).unzip(),
        };
        let mut held = lock(&self.watch.held);
        (held.seat, held.place) = (seat, place);
    }

    /// Opens the file and asks once what was opened, not what was listed.
    fn open(&self, entry: &FileEntry, started: Instant) -> Result<Opened, ReadError> {
        let shared = &*self.shared;
        if shared.cancel.is_cancelled() {
            return Err(ReadError::new(ErrorKind::Cancelled, Operation::Open, entry.path()));
        }
        if shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(started);
        }
        let file = entry.open(&shared.cancel, self.deadline(started))?;
        let promised = inspect(&file, entry)?;
        Ok(Opened { file, promised, spent: Duration::ZERO, place: None })
    }

    /// A limit too long for the clock is none.
    fn deadline(&self, started: Instant) -> Option<Instant> {
        self.shared.timeout.and_then(|timeout| started.checked_add(timeout))
    }

    /// Sends a file that is large to the other side of a split run, with its place. Gives it back if it is to be read here.
    fn send_over(&self, index: u64, file: FileEntry, opened: Opened, started: Instant) -> Option<(FileEntry, Opened)> {
        let size = size_of(&opened.promised);
        let Some(route) = self.shared.route.as_ref().filter(|route| route.leads_over(size)) else {
            return Some((file, opened));
        };
        let place = {
            let mut held = lock(&self.watch.held);
            if held.fate == Some(Fate::Abandoned) {
                // It hung while it was opened, and was given up then: it has had its record.
                return None;
            }
            held.fate = Some(Fate::Crossed);
            held.place.take()
        };
        let here = started.elapsed();
        let file = file.with_opened(Opened { place, spent: opened.spent + here, ..opened });
        let Entry { found, .. } = route.send(Entry { index, found: Ok(file) }, size).err()?;
        // The large side has gone.
        let mut file = found.ok()?;
        let mut opened = file.take_opened()?;
        let mut held = lock(&self.watch.held);
        (held.place, held.fate) = (opened.place.take(), None);
        // What it took here is counted by whoever reads it: this scanner.
        opened.spent = opened.spent.saturating_sub(here);
        Some((file, opened))
    }

    fn read(
        &mut self,
        entry: &FileEntry,
        opened: Opened,
        started: Instant,
        bytes: &mut u64,
        before_waiting: &mut dyn FnMut(u64),
    ) -> Result<A::Output, ReadError> {
        let fail = |kind, operation| ReadError::new(kind, operation, entry.path());
        let Opened { mut file, promised, spent, .. } = opened;
        // From its opening on, which may have been the other side's.
        let mut deadline = self.deadline(started.checked_sub(spent).unwrap_or(started));
        let shared = &*self.shared;
        if shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(started);
        }
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
            lock(&self.watch.held).room = Some(reservation);
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
        bytes == 0 || lock(&self.watch.held).room.get_or_insert_with(|| self.shared.budget.none()).grow_to(bytes)
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
