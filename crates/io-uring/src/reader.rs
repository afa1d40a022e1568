//! The model: rings. A thread hands the kernel many operations at once, and takes their completions as they come.
//!
//! ```text
//!  discovery ──► feeder: this run's thread ──► batches of 32, bounded
//!                                               │
//!                  ┌────────────────────────────┴───┐
//!                  ▼                                ▼
//!    ring-0: 64 slots, each a file         ring-1: the same
//!      open ─► read ─► analyse ─► close      │
//!                  │ large, empty or odd     │
//!                  └─────► fallback ◄────────┘   the next thread that has a moment: blocking calls
//!                  ▼                                ▼
//!  consumer ◄── bounded channel ◄── records, up to 16 at once
//! ```
//!
//! One call into the kernel, a turn, takes the files in all slots of a ring one step further: it opens one file, reads
//! another, and closes the one before it. What is in the page cache is done within the call. What is not is left to the
//! kernel, and the files in the other slots go on.
//!
//! Slots are for what most files are: regular, small, and quiet. A slot reads the file that it has opened, and the moment
//! anything is different (an error, a full buffer, a file that does not end), the file goes to a worker of core's, which scans
//! it from its beginning by blocking calls. So every error, limit and odd file is reported by the code that reports it for all
//! readers. A very large file is read in ranges, by its thread and by the threads that have nothing else to do.
//!
//! # The steps of a file
//!
//! ```text
//!  open ──► read ──┬─ some bytes, on a file system whose short read is the end ───────► analyse, close
//!    │       │     ├─ some bytes, elsewhere ─► read behind them ─┬─ nothing there ────► analyse, close
//!    │       │     │                                             └─ more ─► fallback
//!    │       │     ├─ nothing ──► takes an advice? ─┬─ yes ───────────────────────────► analyse, close
//!    │       │     │                                └─ no: a FIFO ─► fallback
//!    └ error └─────┴─ a full buffer, an error ─► fallback
//! ```
//!
//! # Where a file ends
//!
//! A scan asks each file for its size, and knows the end by it. In a ring a thread of the kernel's own answers that question,
//! and that costs more than all the rest. So a slot does without: if nothing comes behind the bytes that it has, they are the
//! file. On many file systems even this second read is not needed, because of what a short read means there
//! ([`Root::is_end`](polyread_core::reader::custom::Root::is_end)). This takes a file on the root's own file system and not
//! on another one below it, which the kernel checks (`RESOLVE_NO_XDEV`).
//!
//! # What a slot does not check
//!
//! It takes files that were *listed* as regular, and asks for the kind of the opened file only where it is cheap. Somebody
//! who swaps something else in between can have it read as if it were a file:
//!
//! - A FIFO that has just been written to. Whoever can put it there could have put a file with the same bytes there. A FIFO
//!   that nobody has written to seems empty, or makes the read wait until it is cancelled; then it takes no advice, and is
//!   found out by that.
//! - A device whose driver gives a few bytes and then ends. Only an administrator can make one below the root. Links to one are
//!   not followed here: an entry that may be reached through links that lead anywhere is scanned. A device that gives bytes
//!   without end, as `/dev/zero`, fills the buffer and is scanned too.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use polyread_core::reader::{Entry, LargeFile, Run, Scanned, Worker};
use polyread_core::{Analysis, CancelToken, FileReader, FileResult, Job, ReaderError, Records, WorkerId};
use rustix::io::Errno;

use crate::config::Config;
use crate::ring::{self, Clock, Completion, FallbackQueue, Slots, Step, Threads, Work};
use crate::unavailable::Unavailable;

const NAME: &str = "io-uring";

/// Entries handed to a ring at once.
const BATCH: usize = 32;

/// Batches that wait, for each ring.
const BATCHES_AHEAD: usize = 2;

/// Records delivered at once.
const RECORDS: usize = 16;

/// How long a thread waits for its ring before it checks whether the run was cancelled or a file exceeds its time.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Bytes and files that a thread scans from the fallback queue before it takes the next turn of its ring.
const SCANNED_BYTES: u64 = 512 * 1024;
const SCANNED_FILES: usize = 16;

/// Reads files through io_uring, with a ring for each thread.
///
/// A record's worker is the ring that read it, `ring-0` to `ring-N`, for [`Limits::workers`](polyread_core::Limits::workers)
/// rings or fewer if fewer files may be open. Under [`Limits::timeout`](polyread_core::Limits::timeout) a small file whose
/// operation does not complete is given up and its slot left behind, while the others go on. A large file is read by
/// blocking calls: there a call that hangs keeps its ring's thread until it returns, and with it the thread that it helps.
#[derive(Clone, Debug, Default)]
pub struct IoUringReader {
    config: Config,
}

impl IoUringReader {
    /// A reader with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config }
    }

    /// Whether this system lets this program use io_uring. It asks by making a ring, which takes some tens of microseconds.
    ///
    /// # Errors
    ///
    /// It does not; the error says why, and what to do about it.
    pub fn available() -> Result<(), Unavailable> {
        ring::available()
    }

    /// The records of a run as an iterator. Reading starts at once, on other threads, and goes on ahead of the consumer by a
    /// bounded amount. Dropping the iterator ends it.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::Unavailable`] where there is no io_uring; see [`available`](Self::available).
    /// - [`ReaderError::Start`] if no thread can be started.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let unavailable = |reason: Unavailable| ReaderError::Unavailable { strategy: NAME, reason: reason.to_string() };
        Self::available().map_err(unavailable)?;
        let config = self.config.clone();
        job.start().records(NAME, move |run| read(&config, run))
    }
}

impl<A: Analysis> FileReader<A> for IoUringReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

/// Reads all entries of a run, and returns when their records have been delivered.
fn read<A: Analysis>(config: &Config, run: Run<A>) {
    let rings = run.limits().effective_workers();
    let (threads, all_threads) = Threads::new(rings);
    let (sender, batches) = bounded(BATCHES_AHEAD * rings);
    let run = Arc::new(run);
    let state = RunState {
        run: Arc::downgrade(&run),
        cancel: run.cancel_token().clone(),
        time_limit: run.limits().time_limit(),
        slots: config.in_flight.min(run.limits().open_files() / rings).max(1),
        buffer: config.buffer,
        batches,
        fallback: FallbackQueue::new(),
        threads,
    };
    feed(&run, &state, &sender);
    // The threads wait for batches, and for each other's files, until the last sender is gone.
    drop((state, sender));
    all_threads.join();
}

/// Sends all entries to the rings. Starts a thread for each entry, up to one for each ring: one file does not wait for two
/// rings.
fn feed<A: Analysis>(run: &Run<A>, state: &RunState<A>, sender: &Sender<Vec<Entry>>) {
    let mut seen = 0_usize;
    while let Some(batch) = run.next_batch(BATCH) {
        seen = seen.saturating_add(batch.len());
        if state.start_threads(seen) == 0 {
            // The system has no thread to give: this one reads, without a ring.
            run.worker(WorkerId::new("ring", 0)).read(batch);
        } else if sender.send(batch).is_err() {
            return;
        }
    }
}

/// What a thread of a run needs, to work and to start another one; each has a clone.
#[derive(Clone)]
struct RunState<A: Analysis> {
    /// Weak: a thread that hangs does not keep the run from being over.
    run: Weak<Run<A>>,
    cancel: CancelToken,
    time_limit: Option<Duration>,
    /// Files that each ring has in flight.
    slots: usize,
    /// Bytes of each slot's buffer.
    buffer: usize,
    batches: Receiver<Vec<Entry>>,
    fallback: FallbackQueue<A>,
    threads: Threads,
}

impl<A: Analysis> RunState<A> {
    /// Starts threads until there are `wanted`, or as many as there can be. Returns how many there are.
    fn start_threads(&self, wanted: usize) -> usize {
        let Some(run) = self.run.upgrade() else { return 0 };
        self.threads.start(wanted, |number| {
            let (worker, state) = (run.worker(WorkerId::new("ring", number as u64)), self.clone());
            move || {
                let slots = RingThread::new(worker, state).run();
                // Waits for the kernel, if it still has an operation: after the thread has dropped all the rest.
                drop(slots);
            }
        })
    }
}

/// A thread with its ring.
struct RingThread<A: Analysis> {
    /// Analyses the files in the slots, and reads those that are not for a slot.
    worker: Worker<A>,
    undelivered: usize,
    slots: Slots,
    /// Files that wait for a slot.
    backlog: VecDeque<Entry>,
    completions: Vec<Completion>,
    clock: Clock,
    state: RunState<A>,
}

impl<A: Analysis> RingThread<A> {
    fn new(worker: Worker<A>, state: RunState<A>) -> Self {
        Self {
            worker,
            undelivered: 0,
            slots: Slots::new(state.slots, state.buffer),
            backlog: VecDeque::new(),
            completions: Vec::new(),
            clock: Clock::new(state.time_limit),
            state,
        }
    }

    /// Reads until there is nothing left. Gives the slots back: the kernel may still have operations in abandoned ones.
    fn run(mut self) -> Slots {
        while self.take_up() {
            self.begin_files();
            self.turn();
            self.give_up_files();
            self.scan_files();
            if self.undelivered >= RECORDS {
                self.deliver();
            }
        }
        self.deliver();
        self.slots
    }

    /// Takes up entries for the free slots. Waits for work if there is nothing to do; `false` when there will be no more.
    fn take_up(&mut self) -> bool {
        if self.backlog.len() < self.slots.free().max(1) && self.state.fallback.is_empty() {
            self.backlog.extend(self.state.batches.try_recv().into_iter().flatten());
        }
        if self.slots.has_open() || !self.backlog.is_empty() {
            return true;
        }
        loop {
            self.deliver();
            match self.state.fallback.wait(&self.state.batches) {
                Some(Work::Batch(batch)) => self.backlog.extend(batch),
                Some(Work::File(entry)) => _ = self.scan(entry),
                Some(Work::Shared(file)) => {
                    self.worker.read_ranges(&file, &mut || true);
                    continue;
                }
                None => return false,
            }
            return true;
        }
    }

    /// Opens files in all free slots. A file that is not for a slot goes to the fallback queue.
    fn begin_files(&mut self) {
        let start = self.clock.start();
        let is_cancelled = self.state.cancel.is_cancelled();
        while let Some(entry) = self.backlog.pop_front() {
            let suits = !is_cancelled && self.slots.suits(&entry);
            if suits && self.slots.free() == 0 {
                return self.backlog.push_front(entry);
            }
            let opened = if suits { self.slots.open(entry, start) } else { Err(entry) };
            if let Err(entry) = opened {
                self.fall_back(entry);
            }
        }
    }

    /// One call into the kernel: takes the files in all slots one step further.
    fn turn(&mut self) {
        if self.slots.are_idle() {
            return;
        }
        let can_scan = !self.state.fallback.is_empty() && !self.slots.are_all_in_flight();
        let waits = !can_scan && (self.slots.in_flight() > 0 || !self.backlog.is_empty());
        let time = if waits { POLL_INTERVAL } else { Duration::ZERO };
        let mut completions = std::mem::take(&mut self.completions);
        if self.slots.turn(time, &mut completions).is_err() {
            // The system has taken the ring away.
            self.slots.give_up_ring().into_iter().for_each(|entry| self.fall_back(entry));
        }
        if completions.is_empty() {
            // The kernel is busy with these files: the consumer need not wait for them.
            self.deliver();
            if waits {
                self.slots.interrupt_slow_reads();
            }
        }
        for (slot, result) in completions.drain(..) {
            self.advance(slot, result);
        }
        self.completions = completions;
    }

    /// Takes a file to its next step, now that its operation has completed.
    fn advance(&mut self, slot: usize, result: Result<usize, Errno>) {
        let Some(file) = self.slots.file(slot) else { return };
        let buffer = self.state.buffer;
        match (file.step, result) {
            (Step::Open, Ok(_)) => self.slots.submit(slot, Step::Read),
            // Is it an empty file, or a FIFO?
            (Step::Read, Ok(0)) if file.is_paged() => self.slots.submit(slot, Step::ProbeKind { is_empty: true }),
            (Step::Read, Ok(bytes)) if file.is_end(bytes, buffer) => self.analyse(slot, bytes),
            (Step::Read, Ok(bytes)) if (1..buffer).contains(&bytes) => {
                self.slots.submit(slot, Step::ProbeEnd { bytes });
            }
            (Step::ProbeEnd { bytes }, Ok(0)) => self.analyse(slot, bytes),
            (Step::ProbeKind { is_empty: true }, Ok(_)) => self.analyse(slot, 0),
            // It took long. Is it on a slow disk, or a FIFO?
            (Step::Read | Step::ProbeEnd { .. }, Err(Errno::CANCELED | Errno::INTR)) if file.was_interrupted => {
                self.slots.submit(slot, Step::ProbeKind { is_empty: false });
            }
            (Step::ProbeKind { is_empty: false }, Ok(_)) => self.slots.submit(slot, Step::Read),
            _ => {
                if let Some(file) = self.slots.release(slot) {
                    self.fall_back(file.entry);
                }
            }
        }
    }

    /// The whole content of a file is in its slot's buffer.
    fn analyse(&mut self, slot: usize, bytes: usize) {
        let Some(file) = self.slots.release(slot) else { return };
        let content = self.slots.content(slot, bytes);
        match self.clock.pause_while(|| self.worker.analyse(file.entry, content, file.start.at)) {
            Ok(record) => self.put(record),
            // A limit forbids it, or another reader is to read it: a scan tells.
            Err(entry) => self.fall_back(entry),
        }
    }

    /// Files that have exceeded the time limit, or all of them if the run is cancelled, have their records now, whatever the
    /// kernel does.
    fn give_up_files(&mut self) {
        for file in self.slots.give_up_files(&self.clock, self.state.cancel.is_cancelled()) {
            let mut record = FileResult::failed(file.index, file.error, self.worker.id());
            record.elapsed = file.elapsed;
            self.put(record);
        }
    }

    /// Passes a file on to the next thread that has a moment for blocking calls.
    fn fall_back(&mut self, entry: Entry) {
        if let Err(entry) = self.state.fallback.put(entry) {
            self.scan(entry);
        }
    }

    /// Scans some files of the fallback queue, one at a time, unless the slots have all files open that this thread may have.
    fn scan_files(&mut self) {
        if self.slots.are_all_open() {
            return;
        }
        let (mut files, mut bytes) = (0, 0);
        while files < SCANNED_FILES
            && bytes < SCANNED_BYTES
            && let Some(entry) = self.state.fallback.try_take()
        {
            bytes += self.scan(entry);
            files += 1;
        }
    }

    /// Reads a file by blocking calls. Returns its bytes.
    fn scan(&mut self, entry: Entry) -> u64 {
        let record = self.clock.pause_while(|| match self.worker.scan(entry) {
            Scanned::Done(record) => record,
            Scanned::Large(file) => read_large(&mut self.worker, file, &self.state),
        });
        let bytes = record.bytes;
        self.put(record);
        bytes
    }

    fn put(&mut self, record: FileResult<A::Output>) {
        self.worker.put(record);
        self.undelivered += 1;
    }

    fn deliver(&mut self) {
        self.undelivered = 0;
        self.clock.pause_while(|| self.worker.deliver());
    }
}

/// Reads a large file, together with the threads that have nothing else to do.
fn read_large<A: Analysis>(worker: &mut Worker<A>, file: LargeFile, state: &RunState<A>) -> FileResult<A::Output> {
    let shared = match worker.share(file) {
        Ok(shared) => shared,
        Err(file) => return worker.read_large(file),
    };
    let rings = state.threads.most();
    let mut was_offered = rings < 2;
    worker.read_ranges(&shared, &mut || {
        // Once, and not while there are files for the other threads to begin.
        if !was_offered && state.batches.is_empty() {
            was_offered = true;
            state.fallback.offer(&shared, rings - 1);
            state.start_threads(rings);
        }
        true
    });
    worker.conclude(&shared, &|| {})
}
