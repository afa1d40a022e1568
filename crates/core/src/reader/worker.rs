//! A worker of a run: reads entries, one after the other, and hands their records over together.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deferral::Deferral;
use super::entries::Entry;
use super::failures::panicked;
use super::large::{LARGE_FROM, LargeFile, OpenFile};
use super::scanner::{Scanner, Waited};
use super::shared_file::SharedFile;
use super::state::RunState;
use super::watch::Watch;
use crate::analysis::Analysis;
use crate::error::{ErrorKind, Operation, ReadError};
use crate::file::FileEntry;
use crate::record::{FileResult, WorkerId};

/// How the scan of one entry ended.
#[derive(Debug)]
#[must_use = "the entry has no record yet"]
pub enum Scanned<T> {
    /// The entry's record is done, whether the file could be read or not.
    Done(FileResult<T>),
    /// The file is large, and open: several workers may be worth it.
    Large(LargeFile),
}

/// A worker of a run: what a thread, a task or a ring needs to read files. It has a buffer of its own, which is used again
/// for each file, and the records of the files that it has read, until it [delivers](Self::deliver) them.
///
/// A reader that has nothing to say about large files gives it batches to [read](Self::read). Dropping a worker delivers its
/// records.
pub struct Worker<A: Analysis> {
    id: WorkerId,
    scanner: Scanner<A>,
    records: Vec<FileResult<A::Output>>,
}

impl<A: Analysis> Worker<A> {
    pub(super) fn new(state: Arc<RunState<A>>, id: WorkerId) -> Self {
        Self { id, scanner: Scanner::new(state), records: Vec::new() }
    }

    /// The worker that its records name.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Changes its [id](Self::id): for a model whose workers are shorter-lived than their buffers.
    pub fn set_id(&mut self, id: WorkerId) {
        self.id = id;
    }

    /// Reads the entries one after the other, large files too, and delivers their records.
    pub fn read(&mut self, batch: impl IntoIterator<Item = Entry>) {
        for entry in batch {
            let record = self.read_one(entry);
            self.put(record);
        }
        self.deliver();
    }

    /// Reads one entry, a large file too, alone. Returns its record, which the caller [keeps](Self::put) or hands over itself.
    pub fn read_one(&mut self, entry: Entry) -> FileResult<A::Output> {
        match self.scan(entry) {
            Scanned::Done(record) => record,
            Scanned::Large(file) => self.read_large(file),
        }
    }

    /// Takes one entry to its record, or finds that its file is large. Never panics: whatever happens is in the record.
    ///
    /// Before it waits for room in the [bytes in flight](crate::Limits::bytes_in_flight) it delivers the worker's records,
    /// which may hold the very room that is waited for.
    pub fn scan(&mut self, entry: Entry) -> Scanned<A::Output> {
        let Entry { index, found, open } = entry;
        let entry = match found {
            Ok(entry) => entry,
            Err(error) => return Scanned::Done(FileResult::failed(index, error, self.id)),
        };
        let started = Instant::now();
        self.scanner.begin(started);
        let opened = match open {
            Some(open) => Ok(*open),
            None => self.scanner.open(index, &entry, started),
        };
        let mut open = match opened {
            Ok(open) => open,
            Err(error) => return Scanned::Done(self.record(index, entry, Err(error), started, Duration::ZERO)),
        };
        let size = open.version.size;
        let limits = &self.scanner.state.limits;
        if let Some(deferral) = self.scanner.state.deferral.as_ref().filter(|deferral| size >= deferral.from()) {
            let deferral = Arc::clone(deferral);
            return Scanned::Done(self.defer(&deferral, index, entry, open, started));
        }
        if size >= LARGE_FROM && limits.max_file_size.is_none_or(|limit| size <= limit) {
            open.spent += started.elapsed();
            return Scanned::Large(LargeFile { index, entry, open: Box::new(open) });
        }
        Scanned::Done(self.read_open(index, entry, &open, started))
    }

    /// Reads a large file to its record, alone.
    pub fn read_large(&mut self, file: LargeFile) -> FileResult<A::Output> {
        let started = Instant::now();
        self.scanner.begin(started);
        let LargeFile { index, entry, open } = file;
        self.read_open(index, entry, &open, started)
    }

    /// Keeps a record, to be delivered with others.
    pub fn put(&mut self, record: FileResult<A::Output>) {
        self.records.push(record);
    }

    /// Hands the records over that the worker has kept, waiting while the consumer is behind. To be called when the worker
    /// has no next file at hand.
    pub fn deliver(&mut self) {
        if !self.records.is_empty() {
            let next = Vec::with_capacity(self.records.len());
            self.scanner.state.outlet.deliver(std::mem::replace(&mut self.records, next));
        }
    }

    /// Takes the records that the worker has kept, for a reader that hands them over in a way of its own.
    pub fn take_records(&mut self) -> Vec<FileResult<A::Output>> {
        std::mem::take(&mut self.records)
    }

    /// Divides a large file into ranges, for this and other workers of the run to [read](Self::read_ranges); then this one
    /// [concludes](Self::conclude) it.
    ///
    /// # Errors
    ///
    /// The file itself, if it must be [read by one worker](Self::read_large): its analysis does not
    /// [combine](crate::Combine) or retains content, or there is a time limit.
    pub fn share(&mut self, file: LargeFile) -> Result<Arc<SharedFile<A>>, LargeFile> {
        let whole = 0..file.version().size;
        self.share_part(file, whole)
    }

    /// The same for some bytes of a file alone. Their state is [seen](SharedFile::seen) by the caller and not concluded.
    ///
    /// # Errors
    ///
    /// As [`share`](Self::share).
    pub fn share_part(&mut self, file: LargeFile, bytes: Range<u64>) -> Result<Arc<SharedFile<A>>, LargeFile> {
        match A::parts().filter(|_| self.scanner.can_share(&file)) {
            Some(parts) => Ok(SharedFile::new(file, bytes, parts, &self.scanner.state)),
            None => Err(file),
        }
    }

    /// Reads ranges of a shared file until there are none left, or `goes_on` is false before one.
    pub fn read_ranges(&mut self, file: &SharedFile<A>, goes_on: &mut dyn FnMut() -> bool) {
        if file.is_exhausted() {
            return;
        }
        // If the analysis panics when it is cloned, another worker reads the range.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let (prototype, buffer) = self.scanner.borrow();
            file.work(prototype, buffer, goes_on);
        }));
    }

    /// Makes the record of a file that this worker has shared, when no range is left. Calls `meanwhile` every now and then
    /// while it waits for workers that are in the middle of a range.
    pub fn conclude(&mut self, file: &SharedFile<A>, meanwhile: &dyn Fn()) -> FileResult<A::Output> {
        let started = Instant::now();
        self.scanner.begin(started);
        let seen = file.seen(meanwhile);
        // Its analysis has seen these bytes already, of whichever worker.
        let bytes = if matches!(seen, Ok(Some(_))) { file.bytes() } else { 0 };
        self.scanner.watch.add(bytes);
        let concluded = catch_unwind(AssertUnwindSafe(|| seen.and_then(|seen| self.scanner.conclude(file, seen))));
        let outcome = concluded.unwrap_or_else(|panic| Err(panicked(file.entry().path(), &*panic)));
        let bytes = self.scanner.watch.bytes().max(if outcome.is_err() { file.bytes() } else { 0 });
        let outcome = outcome.map_err(|error| error.with_bytes_read(bytes));
        let record = FileResult::new(file.index(), file.entry().path().to_path_buf(), outcome, self.id);
        FileResult { bytes, elapsed: file.spent() + started.elapsed(), ..record }
    }

    /// Takes an entry to its record whose whole content was read in another way than by the worker, from `since` on.
    ///
    /// # Errors
    ///
    /// The entry, if its content does not tell everything: it is larger than some limit, it is to be
    /// [deferred](crate::Job::defer_from), or the run was cancelled. Then it is to be [scanned](Self::scan).
    pub fn analyse(&mut self, entry: Entry, content: &[u8], since: Instant) -> Result<FileResult<A::Output>, Entry> {
        let Entry { index, found: Ok(entry), .. } = entry else { return Err(entry) };
        let (scanner, records) = (&mut self.scanner, &mut self.records);
        let mut before_waiting = |state: &RunState<A>, bytes| wait_before(bytes, records, state);
        let analysed = catch_unwind(AssertUnwindSafe(|| scanner.analyse(&entry, content, &mut before_waiting)));
        match analysed.unwrap_or_else(|panic| Some(Err(panicked(entry.path(), &*panic)))) {
            Some(outcome) => Ok(self.record(index, entry, outcome, since, Duration::ZERO)),
            None => Err(Entry::new(index, Ok(entry))),
        }
    }

    /// Lets another thread see how far this worker has come with its file.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.scanner.watch)
    }

    /// Time spent waiting for something else than a file, since this was last asked.
    pub(crate) fn take_waited(&mut self) -> Waited {
        std::mem::take(&mut self.scanner.waited)
    }

    /// Reads an open file to its record.
    fn read_open(&mut self, index: u64, entry: FileEntry, open: &OpenFile, started: Instant) -> FileResult<A::Output> {
        let (scanner, records) = (&mut self.scanner, &mut self.records);
        let mut before_waiting = |state: &RunState<A>, bytes| wait_before(bytes, records, state);
        // The analysis is the caller's code. The state it may leave half-changed is its own clone, which is dropped.
        let read = catch_unwind(AssertUnwindSafe(|| scanner.read(index, &entry, open, started, &mut before_waiting)));
        let outcome = read.unwrap_or_else(|panic| Err(panicked(entry.path(), &*panic)));
        self.record(index, entry, outcome, started, open.spent)
    }

    fn record(
        &mut self,
        index: u64,
        entry: FileEntry,
        outcome: Result<A::Output, ReadError>,
        started: Instant,
        spent: Duration,
    ) -> FileResult<A::Output> {
        // Until the next file is taken up nothing of this one's time must count against it.
        self.scanner.run_clock(None);
        let bytes = self.scanner.watch.bytes();
        let outcome = outcome.map_err(|error| error.with_bytes_read(bytes));
        // A failed file holds nothing, so that it gives its room back at once.
        let reservation = self.scanner.take_reservation().filter(|_| outcome.is_ok());
        let record = FileResult::new(index, entry.into_path(), outcome, self.id).holding(reservation);
        FileResult { bytes, elapsed: spent + started.elapsed(), ..record }
    }

    /// Leaves a file to another reader: its record carries it there.
    fn defer(
        &mut self,
        deferral: &Arc<Deferral>,
        index: u64,
        entry: FileEntry,
        mut open: OpenFile,
        started: Instant,
    ) -> FileResult<A::Output> {
        self.scanner.run_clock(None);
        open.spent += started.elapsed();
        let permit = deferral.try_permit().or_else(|| {
            let (state, records) = (&self.scanner.state, &mut self.records);
            self.scanner.waited.during(|| {
                state.outlet.deliver(std::mem::take(records));
                deferral.permit(&state.cancel)
            })
        });
        let Some(permit) = permit else {
            let error = ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path());
            return FileResult::failed(index, error, self.id);
        };
        open.permit = Some(permit);
        let error = ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path());
        let error = error.with_detail("left to another reader");
        // As if it had been read, so that a worker ends its batch no later than otherwise.
        let bytes = open.version.size;
        let record = FileResult::deferred(LargeFile { index, entry, open: Box::new(open) }, error, self.id);
        FileResult { bytes, ..record }
    }
}

impl<A: Analysis> Drop for Worker<A> {
    fn drop(&mut self) {
        self.deliver();
        // Its watch may outlive it.
        self.scanner.watch.release();
    }
}

impl<A: Analysis> fmt::Debug for Worker<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Hands over the records that hold the very room that is going to be waited for.
fn wait_before<A: Analysis>(bytes: u64, records: &mut Vec<FileResult<A::Output>>, state: &RunState<A>) {
    state.outlet.deliver(std::mem::take(records));
    if let Some(before_waiting) = &state.before_waiting {
        before_waiting(bytes);
    }
}
