//! The one place that reads a regular file: in chunks, into a buffer that is used again.

mod elsewhere;
mod gate;
mod hold;
mod read;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use elsewhere::Leave;
pub use hold::Watch;
pub(crate) use read::{panicked, rejected};

use crate::budget::{Budget, lock};
use crate::divide::{Division, FilePart};
use crate::split::{Gate, Route};
use crate::{Analysis, CancelToken, Entry, FileEntry, FileResult, Progress, ReadError, WorkerId};

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
    waited: Waited,
    /// Whether the analysis takes room for what it reads, once that was asked.
    retaining: Option<bool>,
}

/// For how long, and how often, something other than a file was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    pub(crate) time: Duration,
    pub(crate) times: u64,
}

impl Waited {
    /// Waits.
    fn during<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let waited_for = wait();
        self.time += since.elapsed();
        self.times += 1;
        waited_for
    }
}

/// Those who may help a worker with a file that is large enough for several.
///
/// For those who write a reader.
pub trait Colleagues<A> {
    /// They are told of such a file; before the first range of it is read, and before each of the others that its owner reads.
    /// It must not wait for them. With `Continue` the worker reads on; with `Break` they have taken the file over, which
    /// is theirs to say before the first range alone.
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()>;

    /// Called every now and then while the worker waits for those who are in the middle of a range.
    fn meanwhile(&self) {}
}

impl<A> Drop for FileScanner<A> {
    fn drop(&mut self) {
        // The watch may outlive its scanner.
        lock(&self.watch.held).leave();
    }
}

impl<A: Analysis> FileScanner<A> {
    pub(crate) fn new(prototype: Arc<Mutex<A>>, shared: Arc<Shared>) -> Self {
        Self {
            buffer: Vec::new(),
            analysis: None,
            prototype,
            shared,
            watch: Arc::default(),
            waited: Waited::default(),
            retaining: None,
        }
    }

    /// Lets another thread see how far this scanner has come.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// What was waited for since this was last asked, files apart.
    pub(crate) fn take_waited(&mut self) -> Waited {
        std::mem::take(&mut self.waited)
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
        self.scan_with(entry, worker, before_waiting, None)
    }

    /// The same by a worker who has colleagues: a large file whose analysis can be [combined](crate::Combine) is
    /// [offered](Colleagues::offer) to them. Those who [help](Self::help) leave when there is no range left, and then this worker
    /// makes the record; there is none here if they have taken the file over. Under a time limit nothing is offered: what
    /// hangs costs one worker, and not all.
    pub fn scan_with(
        &mut self,
        entry: Entry,
        worker: WorkerId,
        before_waiting: &mut dyn FnMut(u64),
        colleagues: Option<&mut dyn Colleagues<A>>,
    ) -> Option<FileResult<A::Output>> {
        let mut file = match entry.found {
            Ok(file) => file,
            Err(error) => return Some(FileResult::failed(entry.index, error, worker)),
        };
        self.watch.begin();
        let crossed = file.take_opened();
        let has_crossed = crossed.is_some();
        self.pass(has_crossed, before_waiting);
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
        let read = |opened| self.read(&file, opened, started, before_waiting, colleagues);
        // The analysis is somebody else's code. The state it may leave half-changed is its own clone, which is dropped.
        let outcome = opened
            .and_then(|opened| {
                catch_unwind(AssertUnwindSafe(|| read(opened)))
                    .unwrap_or_else(|panic| Err(panicked(file.path(), &*panic)))
            })
            .map_err(|error| error.with_bytes_read(self.watch.bytes()))
            .transpose();
        // The next file's time begins when it is opened: until then nothing of this one's must count against it.
        if self.shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = None;
        }
        let mut held = lock(&self.watch.held);
        // A place that came with the file goes with it.
        let (room, place) = (held.room.take(), held.place.take_if(|_| has_crossed));
        drop((held, place));
        outcome.map(|outcome| FileResult {
            index: entry.index,
            bytes: self.watch.bytes(),
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

    /// Reads a part of a file that a colleague has found to be large, and returns what the analysis has seen of it, with the
    /// bytes that were read. Like a file that is shared, it knows no time limit.
    pub fn scan_part(&mut self, file: &FileEntry, part: &FilePart) -> (Result<A, ReadError>, u64) {
        self.watch.begin();
        let read = catch_unwind(AssertUnwindSafe(|| self.read_part(file, part)));
        let outcome = read.unwrap_or_else(|panic| Err(panicked(file.path(), &*panic)));
        (outcome.map_err(|error| error.with_bytes_read(self.watch.bytes())), self.watch.bytes())
    }

    /// Reads ranges of a colleague's file until there are none left, or `goes_on` is false before one; not at all if it comes
    /// too late. After it comes a [`rest`](Self::rest), as after a batch of files.
    pub fn help(&mut self, division: &Division<A>, goes_on: &mut dyn FnMut() -> bool) {
        if let Some(gate) = &self.shared.gate {
            let seat = gate.seat_unless(&self.shared.cancel, || division.is_exhausted());
            lock(&self.watch.held).seat = seat;
        }
        if division.is_exhausted() {
            return;
        }
        // If the analysis panics when it is cloned, somebody else reads the file.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let (prototype, buffer) = self.tools();
            division.work(prototype, buffer, goes_on);
        }));
    }

    /// To be called when the worker has no next file at hand, before it hands over the records of those that it had: in a
    /// split run the scanner keeps a seat from one file to the next, since for small ones giving it back each time would
    /// cost as much as reading them. Otherwise it does nothing.
    pub fn rest(&mut self) {
        if self.shared.gate.is_some() {
            lock(&self.watch.held).leave();
        }
    }
}
