//! The one place that reads a regular file: in chunks, into a buffer that is used again.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffer::ReadBuffer;
use super::failures::{changed, rejected, timed_out, too_large};
use super::large::{LargeFile, OpenFile};
use super::open::{Opened, inspect, open_and_ask, open_and_read, rewind, seek};
use super::shared_file::SharedFile;
use super::state::RunState;
use super::watch::Watch;
use crate::analysis::Analysis;
use crate::budget::Reservation;
use crate::error::{ErrorKind, Operation, ReadError};
use crate::file::{FileEntry, FileVersion};
use crate::lock::lock;

/// Bytes read at once. Small enough to stay in a second-level cache together with what the analysis needs, large enough
/// that the system calls do not show: on files of 64 MB, half of it costs a few percent and twice as much gains nothing.
const CHUNK: usize = 256 * 1024;

/// For how long, and how often, something other than a file was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    pub(crate) time: Duration,
    pub(crate) times: u64,
}

impl Waited {
    pub(super) fn during<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let waited_for = wait();
        self.time += since.elapsed();
        self.times += 1;
        waited_for
    }
}

/// Called before a worker waits for room, with the bytes that it waits for.
pub(super) type BeforeWaiting<'a, A> = dyn FnMut(&RunState<A>, u64) + 'a;

/// Reads one file after the other into its own buffer, and runs the analysis on each.
pub(super) struct Scanner<A: Analysis> {
    pub(super) state: Arc<RunState<A>>,
    pub(super) watch: Arc<Watch>,
    pub(super) waited: Waited,
    buffer: ReadBuffer,
    prototype: Option<A>,
    /// Whether the analysis takes room for the files it reads, once that was asked.
    retains: Option<bool>,
    /// The index of the file whose beginning is in the buffer, and how many bytes of it.
    ahead: Option<(u64, usize)>,
    /// Whether the file at hand may take room.
    has_reserved: bool,
}

impl<A: Analysis> Scanner<A> {
    pub(super) fn new(state: Arc<RunState<A>>) -> Self {
        let (watch, waited) = (Arc::default(), Waited::default());
        Self {
            state,
            watch,
            waited,
            buffer: ReadBuffer::new(0),
            prototype: None,
            retains: None,
            ahead: None,
            has_reserved: false,
        }
    }

    /// Takes up another file: the clock runs.
    pub(super) fn begin(&mut self, started: Instant) {
        self.watch.begin();
        self.run_clock(Some(started));
    }

    /// Takes the room of the file that has ended.
    pub(super) fn take_reservation(&mut self) -> Option<Reservation> {
        // Without the lock for an analysis that only counts.
        if std::mem::take(&mut self.has_reserved) { self.watch.take_reservation() } else { None }
    }

    /// Starts or stops the file's clock, if there is a time limit.
    pub(super) fn run_clock(&self, since: Option<Instant>) {
        if self.state.limits.timeout.is_some() {
            self.watch.reading_since(since);
        }
    }

    /// Opens the file, and reads its beginning where that may be all of it.
    pub(super) fn open(&mut self, index: u64, entry: &FileEntry, started: Instant) -> Result<OpenFile, ReadError> {
        self.ahead = None;
        if self.state.cancel.is_cancelled() {
            return Err(ReadError::new(ErrorKind::Cancelled, Operation::Open, entry.path()));
        }
        // Room is taken before a file is read; and one read does not bring a file that was longer when it was listed.
        let is_longer = entry.size_hint().is_some_and(|size| size >= CHUNK as u64);
        let at_once = if is_longer || self.retains() { None } else { self.open_and_read(entry, started) };
        let opened = at_once.unwrap_or_else(|| open_and_ask(entry, &self.state.cancel, self.deadline(started)));
        opened.map(|Opened { open, ahead }| {
            self.ahead = ahead.map(|bytes| (index, bytes));
            open
        })
    }

    fn open_and_read(&mut self, entry: &FileEntry, started: Instant) -> Option<Result<Opened, ReadError>> {
        // Where files are left to another reader from a size on, more than that would be read twice.
        let from = self.state.deferral.as_ref().map_or(u64::MAX, |deferral| deferral.from());
        let most = usize::try_from(from).map_or(CHUNK, |from| from.min(CHUNK));
        open_and_read(entry, &mut self.tools().1[..most], started)
    }

    /// A limit too long for the clock is none.
    fn deadline(&self, started: Instant) -> Option<Instant> {
        self.state.limits.timeout.and_then(|timeout| started.checked_add(timeout))
    }

    /// Whether the analysis takes room for files. A panic of it is the file's, later.
    fn retains(&mut self) -> bool {
        if self.retains.is_none() {
            let asked = catch_unwind(AssertUnwindSafe(|| self.tools().0.retains(1) > 0));
            self.retains = Some(asked.unwrap_or(true));
        }
        self.retains == Some(true)
    }

    /// Reads an open file to its end. `before_waiting` is called before it waits for room, with the bytes it waits for.
    pub(super) fn read(
        &mut self,
        index: u64,
        entry: &FileEntry,
        open: &OpenFile,
        started: Instant,
        before_waiting: &mut BeforeWaiting<'_, A>,
    ) -> Result<A::Output, ReadError> {
        let version = open.version;
        // From its opening on, which may have been another worker's.
        let deadline = self.deadline(started.checked_sub(open.spent).unwrap_or(started));
        if let Some(limit) = self.state.limits.max_file_size.filter(|limit| version.size > *limit) {
            return Err(too_large(entry.path(), Operation::Open, version.size, "the largest size allowed is", limit));
        }
        let ahead = self.ahead.take().and_then(|(of, bytes)| (of == index).then_some(bytes));
        if ahead.is_none() && open.position > 0 {
            rewind(&open.file, entry.path())?;
        }
        let retained = self.tools().0.retains(version.size);
        let deadline = self.reserve(entry, retained, deadline, before_waiting)?;
        let analysis = self.begun(version.size);
        self.read_on(entry, &open.file, version, Position { ahead, ..Position::default() }, deadline, analysis)
    }

    /// Analyses a file whose whole content is at hand. `None` if the content does not tell everything, or there is no room.
    pub(super) fn analyse(
        &mut self,
        entry: &FileEntry,
        content: &[u8],
        before_waiting: &mut BeforeWaiting<'_, A>,
    ) -> Option<Result<A::Output, ReadError>> {
        let size = content.len() as u64;
        let RunState { limits, deferral, cancel, .. } = &*self.state;
        let is_too_large = limits.max_file_size.is_some_and(|limit| size > limit);
        let is_deferred = deferral.as_ref().is_some_and(|deferral| size >= deferral.from());
        if is_too_large || is_deferred || cancel.is_cancelled() {
            return None;
        }
        self.watch.begin();
        let retained = self.tools().0.retains(size);
        self.reserve(entry, retained, None, before_waiting).ok()?;
        let mut analysis = self.begun(size);
        if size > 0 && !analysis.is_complete() {
            self.watch.add(size);
            self.state.progress.bytes(size);
            analysis.update(content);
        }
        Some(concluded(analysis, entry))
    }

    /// Reads the rest of a file that was shared: usually there is none.
    pub(super) fn conclude(&mut self, shared: &SharedFile<A>, seen: Option<A>) -> Result<A::Output, ReadError> {
        self.ahead = None;
        let version = shared.version();
        let (file, entry) = (shared.file(), shared.entry());
        match seen {
            Some(analysis) => {
                seek(file, version.size, entry.path())?;
                let position = Position { bytes: shared.bytes(), ..Position::default() };
                self.read_on(entry, file, version, position, None, analysis)
            }
            None => {
                rewind(file, entry.path())?;
                let analysis = self.begun(version.size);
                self.read_on(entry, file, version, Position::default(), None, analysis)
            }
        }
    }

    /// Whether several workers may read the file at once, if its analysis combines. Under a time limit they may not: a file
    /// that hangs costs one worker, and not all. A [deferred](crate::Job::defer_from) file may be larger than the largest size
    /// allowed.
    pub(super) fn can_share(&mut self, file: &LargeFile) -> bool {
        let limits = &self.state.limits;
        limits.timeout.is_none()
            && limits.max_file_size.is_none_or(|limit| file.version().size <= limit)
            && !self.retains()
    }

    /// The prototype of the analysis and the buffer, to read something else than the file at hand.
    pub(super) fn borrow(&mut self) -> (&A, &mut [u8]) {
        self.ahead = None;
        self.tools()
    }

    /// The prototype of the analysis and the buffer, which are there from the first file on.
    fn tools(&mut self) -> (&A, &mut [u8]) {
        if self.buffer.is_empty() {
            self.buffer = ReadBuffer::new(CHUNK);
        }
        let prototype = self.prototype.get_or_insert_with(|| lock(&self.state.prototype).clone());
        (prototype, &mut self.buffer)
    }

    /// The analysis of another file.
    fn begun(&mut self, size: u64) -> A {
        let mut analysis = self.tools().0.clone();
        analysis.begin(size);
        analysis
    }

    /// Takes room for the bytes that are retained of a file, and returns its deadline: that the consumer is slow is not the
    /// file's fault.
    fn reserve(
        &mut self,
        entry: &FileEntry,
        retained: u64,
        deadline: Option<Instant>,
        before_waiting: &mut BeforeWaiting<'_, A>,
    ) -> Result<Option<Instant>, ReadError> {
        // An analysis that only counts takes no room, and so not the lock that all workers share.
        if retained == 0 {
            return Ok(deadline);
        }
        let capacity = self.state.budget.capacity();
        if retained > capacity {
            let what = "to be held at once; the bytes in flight are limited to";
            return Err(too_large(entry.path(), Operation::Open, retained, what, capacity));
        }
        let waiting_since = Instant::now();
        let reservation = self.state.budget.try_acquire(retained).or_else(|| {
            self.run_clock(None);
            let state = &self.state;
            self.waited.during(|| {
                before_waiting(state, retained);
                state.budget.acquire(retained, &state.cancel)
            })
        });
        let Some(reservation) = reservation else {
            return Err(ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path()));
        };
        self.watch.hold(reservation);
        self.has_reserved = true;
        self.run_clock(Some(Instant::now()));
        Ok(deadline.and_then(|deadline| deadline.checked_add(waiting_since.elapsed())))
    }

    /// Reads on from where the file stands, one chunk after the other, to its end, and finishes the analysis.
    fn read_on(
        &mut self,
        entry: &FileEntry,
        mut file: &File,
        version: FileVersion,
        Position { mut bytes, mut ahead }: Position,
        deadline: Option<Instant>,
        mut analysis: A,
    ) -> Result<A::Output, ReadError> {
        let state = &*self.state;
        let size = version.size;
        while !analysis.is_complete() {
            if state.cancel.is_cancelled() {
                return Err(ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path()));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(timed_out(entry.path(), state.limits.timeout.unwrap_or_default()));
            }
            let read = match ahead.take().map_or_else(|| file.read(&mut self.buffer), Ok) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, entry.path())),
            };
            if read > 0 {
                bytes += read as u64;
                self.watch.add(read as u64);
                state.progress.bytes(read as u64);
                analysis.update(&self.buffer[..read]);
            }
            // A read that comes back short at the length that `fstat` told has seen the end; so has one that brings nothing.
            // Anything else is asked again: a short read in the middle of a file is not its end.
            let ended = read == 0 || (bytes == size && read < self.buffer.len());
            // Several reads may have seen several versions; a single one has seen one.
            let in_parts = ended && bytes > read as u64;
            if bytes > size || (ended && bytes != size) || in_parts {
                // Files in /proc say 0, those in /sys 4096, some file systems lie: that is no change. Only a version that
                // differs from the one before is.
                if inspect(file, entry.path())? != version {
                    return Err(changed(entry.path(), size));
                }
                if let Some(limit) = state.limits.max_file_size.filter(|limit| bytes > *limit) {
                    let what = "the largest size allowed is";
                    return Err(too_large(entry.path(), Operation::Read, bytes, what, limit));
                }
                let retained = analysis.retains(bytes);
                self.has_reserved |= retained > 0;
                if retained > 0 && !self.watch.grow_to(retained, || state.budget.none()) {
                    let what = "and growing; the bytes in flight are limited to";
                    return Err(too_large(entry.path(), Operation::Read, bytes, what, state.budget.capacity()));
                }
            }
            if ended {
                break;
            }
        }
        concluded(analysis, entry)
    }
}

/// What the analysis that has seen the whole file says of it.
fn concluded<A: Analysis>(analysis: A, entry: &FileEntry) -> Result<A::Output, ReadError> {
    analysis.verdict().map_err(|rejection| rejected(entry.path(), rejection))?;
    Ok(analysis.finish())
}

/// How far a file has been read.
#[derive(Default)]
struct Position {
    /// Bytes that the analysis has seen.
    bytes: u64,
    /// Bytes that are in the buffer, if any: the first read.
    ahead: Option<usize>,
}
