//! The half of every async model that is off its runtime: hops, which carry entries to a thread that may block, and the
//! stream in which their records come back.
//!
//! Files have no asynchronous reads on most systems: an async runtime reads them on a pool of threads that may block.
//! What a model on top of it can choose is how often it goes there and back, how many hops are under way at once, and when
//! to give one up. The choosing, with tasks, permits and channels, is the model's; what happens in a hop is here, once for
//! all runtimes. No runtime is known here: nothing in this module spawns a task or awaits anything.
//!
//! For those who write a reader.

mod config;
mod pace;
mod stream;

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use config::Config;
pub use pace::Settlement;
pub use stream::{RecordStream, Step};

use crate::budget::lock;
use crate::scan::{FileScanner, Watch};
use crate::{
    Analysis, Context, Entries, Entry, ErrorKind, FileEntry, FileResult, Limits, Operation, ReadError, WorkerId,
};
use pace::{Pace, Usage};

/// Bytes after which a hop comes back, whatever files it still carries: they go on in other hops.
const HOP_BYTES: u64 = 2 * 1024 * 1024;

/// Time after which a hop comes back if there are permits for others and no batches: the files that it still carries are
/// read at the same time then, and not one after the other. Files in the cache never take that long.
const HOP_TIME: Duration = Duration::from_millis(1);

/// Of hops with fewer files than this, only one in so many is measured: asking twice what a thread has used takes as long as
/// opening a file.
const MEASURED: usize = 8;

/// How long after its time limit a file that reads on without looking at the clock is given up: the reading itself looks
/// after each chunk and tells more than a watch from outside can.
const GRACE: Duration = Duration::from_millis(250);

/// Between two attempts to hand records over from a hop that waits for room: rare, and not worth a wake-up of its own.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// Takes records from a hop without waiting, and gives them back if there is no place for them yet. Where nobody is left
/// to take them, they are dropped.
type TrySend<T> = dyn Fn(Vec<FileResult<T>>) -> Result<(), Vec<FileResult<T>>> + Send + Sync;

/// What the hops of one run share, on the threads that may block.
pub struct Hops<A: Analysis> {
    /// Scanners that no hop is using: as many as hops were under way at once.
    idle: Mutex<Vec<FileScanner<A>>>,
    context: Context<A>,
    time_limit: Option<Duration>,
    /// `None` where the number of hops is set.
    pace: Option<Pace>,
    /// Batches that no thread has begun with.
    waiting: AtomicUsize,
    under_way: AtomicUsize,
    begun: AtomicUsize,
    try_send: Box<TrySend<A::Output>>,
}

/// What a hop brings back.
#[derive(Debug)]
pub struct Carried<T> {
    /// What it has read.
    pub records: Vec<FileResult<T>>,
    /// What it did not get to, because files were large or slow: in halves, each for a hop of its own.
    pub leftover: Vec<Vec<Entry>>,
}

impl<T> Default for Carried<T> {
    fn default() -> Self {
        Self { records: Vec::new(), leftover: Vec::new() }
    }
}

impl<A: Analysis> Hops<A> {
    /// The hops of a run under these limits. `try_send` must not keep the run's stream from ending: a hop that hangs keeps it
    /// for ever.
    pub fn new(
        context: Context<A>,
        config: &Config,
        limits: &Limits,
        try_send: impl Fn(Vec<FileResult<A::Output>>) -> Result<(), Vec<FileResult<A::Output>>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::default(),
            context,
            time_limit: limits.time_limit(),
            pace: config.pace_under(limits),
            waiting: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            try_send: Box::new(try_send),
        })
    }

    /// Starts the thread that takes entries from discovery and sends them on in batches, each for a [hop](Self::hop), until
    /// there are no more or `send` returns `false`. Discovery blocks: not in a task, and not in a runtime's blocking pool, whose
    /// threads may be few.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub fn feed(
        self: &Arc<Self>,
        mut entries: Entries,
        most: usize,
        mut send: impl FnMut(Vec<Entry>) -> bool + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let hops = Arc::downgrade(self);
        std::thread::Builder::new().name("polyread-feeder".to_owned()).spawn(move || {
            loop {
                let batch = entries.next_batch(most);
                // Without hops there is nobody to send to.
                let Some(hops) = hops.upgrade().filter(|_| !batch.is_empty()) else { return };
                hops.waiting.fetch_add(1, Ordering::Relaxed);
                drop(hops);
                if !send(batch) {
                    return;
                }
            }
        })
    }

    /// What is to become of the permit of a hop that has come back: the number of permits follows what hops wait for, unless
    /// it was [set](Config::hops_in_flight).
    pub fn settle(&self) -> Settlement {
        self.pace.as_ref().map_or(Settlement::Same, Pace::settle)
    }

    /// A hop, to be run on a thread that may block. Under a time limit there is a watch over it too: then it should carry
    /// one entry only, so that this one can be given up alone.
    pub fn hop(
        self: &Arc<Self>,
        batch: Vec<Entry>,
        worker: WorkerId,
    ) -> (impl FnOnce() -> Carried<A::Output> + Send + 'static, Option<HopWatch>) {
        let state = Arc::new(Mutex::new(State::Waiting));
        let watch = self.time_limit.map(|limit| HopWatch {
            limit: limit.saturating_add(GRACE),
            state: Arc::clone(&state),
            batch: batch.clone(),
            worker,
        });
        let hops = Arc::clone(self);
        let hop = move || {
            hops.waiting.fetch_sub(1, Ordering::Relaxed);
            let scanner = lock(&hops.idle).pop().unwrap_or_else(|| hops.context.scanner());
            let begun = std::mem::replace(&mut *lock(&state), State::Begun(scanner.watch()));
            match begun {
                // It has waited for a thread too long, and its records have been written already.
                State::GivenUp => Carried::default(),
                _ => hops.read_measured(scanner, batch, worker),
            }
        };
        (hop, watch)
    }

    /// Reads a batch, and sees what that costs.
    fn read_measured(&self, mut scanner: FileScanner<A>, batch: Vec<Entry>, worker: WorkerId) -> Carried<A::Output> {
        let turn = self.begun.fetch_add(1, Ordering::Relaxed);
        let pace = self.pace.as_ref().filter(|_| batch.len() >= MEASURED || turn.is_multiple_of(MEASURED));
        let before = pace.and_then(|_| Usage::now());
        let entries = batch.len();
        let started = Instant::now();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let carried = self.read_batch(&mut scanner, batch, worker, started);
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        // That it waited for leave or for room says nothing of the device.
        let waited = scanner.take_waited();
        if let (Some(pace), Some(before), Some(after)) = (pace, before, Usage::now()) {
            let usage = after.since(before).without(waited.times);
            // Not its records: files that went to the other side of a split run were opened here all the same.
            let taken = entries - carried.leftover.iter().map(Vec::len).sum::<usize>();
            let waiting = pace.report(taken, started.elapsed().saturating_sub(waited.time), usage);
            self.context.seat(waiting);
        }
        lock(&self.idle).push(scanner);
        carried
    }

    fn read_batch(
        &self,
        scanner: &mut FileScanner<A>,
        batch: Vec<Entry>,
        worker: WorkerId,
        started: Instant,
    ) -> Carried<A::Output> {
        let mut batch = batch.into_iter();
        let mut records = Vec::with_capacity(batch.len());
        let mut bytes = 0;
        while bytes < HOP_BYTES
            && (records.is_empty() || started.elapsed() < HOP_TIME || !self.is_waited_for())
            && let Some(entry) = batch.next()
        {
            if let Some(record) = scanner.scan(entry, worker, &mut |_| self.flush(&mut records)) {
                bytes += record.bytes;
                records.push(record);
            }
        }
        scanner.rest();
        let mut first: Vec<_> = batch.collect();
        let second = first.split_off(first.len().div_ceil(2));
        let leftover: Vec<_> = [first, second].into_iter().filter(|half| !half.is_empty()).collect();
        self.waiting.fetch_add(leftover.len(), Ordering::Relaxed);
        Carried { records, leftover }
    }

    /// Whether others have nothing to do but what this hop still carries.
    fn is_waited_for(&self) -> bool {
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.waiting.load(Ordering::Relaxed) == 0
            && self.pace.as_ref().is_some_and(|pace| pace.has_place_for_more(under_way))
    }

    /// Hands over what the hop has read so far, before it waits for room. Only while the run goes on: afterwards there
    /// may be nobody who takes it, and no room to be waited for.
    fn flush(&self, records: &mut Vec<FileResult<A::Output>>) {
        while !records.is_empty() && !self.context.is_cancelled() {
            match (self.try_send)(std::mem::take(records)) {
                Ok(()) => return,
                Err(back) => *records = back,
            }
            std::thread::sleep(FLUSH_PAUSE);
        }
    }
}

impl<A: Analysis> std::fmt::Debug for Hops<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hops").field("time_limit", &self.time_limit).finish_non_exhaustive()
    }
}

/// How far a hop has come.
#[derive(Debug)]
enum State {
    /// For a thread.
    Waiting,
    Begun(Arc<Watch>),
    GivenUp,
}

/// The watch over a hop under a time limit: a task keeps it and asks it whenever its patience is over.
#[derive(Debug)]
pub struct HopWatch {
    limit: Duration,
    state: Arc<Mutex<State>>,
    batch: Vec<Entry>,
    worker: WorkerId,
}

impl HopWatch {
    /// How long to wait for the hop before asking for the first time.
    pub fn patience(&self) -> Duration {
        self.limit
    }

    /// Whether to wait on, and how long; or what takes the hop's place, which is given up: its thread may be inside of a
    /// call that never returns, and what it may still bring back must be dropped.
    pub fn check<T>(&mut self) -> ControlFlow<Carried<T>, Duration> {
        let mut state = lock(&self.state);
        // Waiting for a thread counts apart from reading: with enough hung threads none becomes free.
        let (reason, bytes) = match &*state {
            State::Begun(watch) => match watch.reading_for() {
                Some(time) if time < self.limit => return ControlFlow::Continue(self.limit.saturating_sub(time)),
                Some(_) if watch.abandon() => ("a call does not return and was abandoned", watch.bytes()),
                // The consumer, whom it waits for, is slow; or the file has just gone to another reader.
                _ => return ControlFlow::Continue(self.limit),
            },
            _ => ("no thread that may block became free", 0),
        };
        *state = State::GivenUp;
        let timeout = |mut file: FileEntry| {
            // One that was open when it came is closed here, if no thread has got to it.
            drop(file.take_opened());
            let error = ReadError::new(ErrorKind::Timeout, Operation::Read, file.path());
            error.with_detail(reason).with_bytes_read(bytes)
        };
        let records = std::mem::take(&mut self.batch).into_iter().map(|Entry { index, found }| {
            FileResult::failed(index, found.map_or_else(|error| error, timeout), self.worker)
        });
        ControlFlow::Break(Carried { records: records.collect(), leftover: Vec::new() })
    }
}
