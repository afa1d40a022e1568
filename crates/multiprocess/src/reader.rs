//! The model: worker processes that read batches of files, and for each a thread here that looks after it.
//!
//! ```text
//!  discovery ──► this run's thread: pulls entries, queues files        (bounded)
//!                        │
//!          ┌─────────────┼──────────────┐  supervisors: one thread for each process
//!          ▼             ▼              ▼
//!   ─ ─ ─ orders: batches of up to 128 files ─ ─ ─ ─ ─ ─ ─ ─ ─ process boundary ─ ─
//!          ▼             ▼              ▼
//!     process-4711  process-4712   process-4713      each: reads, analyses, collects records
//!          │             │              │
//!   ─ ─ ─ answers: records, a few dozen at once; large contents in shared memory ─ ─
//!          ▼             ▼              ▼
//!          └─────────────┼──────────────┘  supervisors: make records of them
//!                        ▼ bounded channel
//!                     consumer
//! ```
//!
//! The run begins with the first process that is ready. A large file whose analysis can be combined is read in parts by
//! several of them, as `parts.rs` tells.
//!
//! A supervisor knows of every file that its process has in hand, and the process writes into shared memory which one it
//! has begun. So whatever becomes of the process, killed, stopped, hung or talking nonsense, each of its files has its
//! record in the end: those it had begun are tried once more, each alone, and those it had not go back to the queue.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polyread_core::{
    Analysis, Context, Entries, Entry, ErrorKind, FileReader, FileResult, Job, Limits, Operation, Outlet, Producer,
    ReadError, ReaderError, Records, Sink, Summary, WorkerId,
};
use rustix::process::{Resource, getrlimit};

use crate::parts::{Divided, Seen};
use crate::pool::{Pool, Recruit};
use crate::process::Process;
use crate::protocol::{self, Begin, MOST_PATH_BYTES, MOST_SHARED, Order, Shared};
use crate::supervisor::Supervisor;
use crate::work::{Task, Work};
use crate::{Config, PortableAnalysis};

const NAME: &str = "multiprocess";

/// Entries taken from discovery at once.
const ENTRIES: usize = 64;

/// Messages of records that may wait for the consumer, for each process.
const MESSAGES_AHEAD: usize = 4;

/// Batches that a process has in hand: one that it reads, one that it finds waiting, so that it need not wait itself.
pub(crate) const BATCHES_IN_HAND: usize = 2;

/// How often a supervisor whose process is silent looks at its board, at the clock and at the run's token.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// How long after its time limit a file is left to its worker, who looks at the clock after each chunk and tells more.
const GRACE: Duration = Duration::from_millis(250);

/// Reads files in worker processes.
///
/// A record's worker is the process that read it, `process-4711`, one of [`Limits::workers`] at the most; its
/// [`attempts`](FileResult::attempts) are 2 if a worker was lost over it. Whatever a file does to its worker costs that
/// file alone: a crash, an abort or a call that hangs ends in a record of kind
/// [`WorkerDied`](ErrorKind::WorkerDied) or, under [`Limits::timeout`], [`Timeout`](ErrorKind::Timeout).
///
/// The workers are this very program, started again: [`Worker::run`](crate::Worker::run) belongs early into its `main`.
#[derive(Clone, Debug, Default)]
pub struct MultiprocessReader {
    config: Config,
    /// `None`: each run starts its own.
    pool: Option<Pool>,
}

impl MultiprocessReader {
    /// A reader whose workers are this program, with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config, pool: None }
    }

    /// A reader whose workers are another program; see [`Config::worker`].
    pub fn with_worker(program: impl Into<PathBuf>) -> Self {
        Self::with_config(Config::default().worker(program))
    }

    pub(crate) fn on_pool(pool: Pool) -> Self {
        Self { config: pool.config().clone(), pool: Some(pool) }
    }

    /// The records of a run as an iterator. Reading starts at once, in other processes, and goes on ahead of the consumer
    /// by a bounded amount. Dropping the iterator ends it: its processes are killed and reaped.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if not even one process can be started and made ready: the program does not run a
    /// [`Worker`](crate::Worker), or one that does not know this analysis, or the system refuses. If only some can, the run
    /// makes do with those.
    pub fn records<A: PortableAnalysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let start_error = |reason| ReaderError::Start { strategy: NAME, reason };
        let pool = match &self.pool {
            Some(pool) => pool.clone(),
            None => Pool::start(self.config.clone()).map_err(|error| start_error(error.to_string()))?,
        };
        let run = job.start();
        let opening = Opening::of(&run.context, &run.limits).map_err(start_error)?;
        let (first, others) = pool.muster(run.limits.effective_workers(), &|| opening.order()).map_err(start_error)?;
        let (config, limits, is_kept) = (self.config.clone(), run.limits.clone(), self.pool.is_some());
        let processes = 1 + others.len();
        Records::of(NAME, run, MESSAGES_AHEAD * processes, move |Producer { entries, context, outlet }| {
            let work = Work::new(config.batch * BATCHES_IN_HAND * processes, processes);
            let respawns = AtomicU64::new(u64::from(config.respawns) * FILES_PER_RESPAWN);
            let patience = limits.time_limit().map(|limit| limit.saturating_add(GRACE));
            let divided = Divided::default();
            let run = Crew { pool, is_kept, opening, config, context, work, divided, outlet, respawns, patience };
            run.read(entries, first, others);
        })
    }
}

impl<A: PortableAnalysis> FileReader<A> for MultiprocessReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
    }
}

/// What every process must hear before it can read for a run.
struct Opening {
    analysis: &'static str,
    prototype: Vec<u8>,
    directory: Option<PathBuf>,
    bytes_in_flight: u64,
    max_file_size: Option<u64>,
    timeout: Option<Duration>,
    divides: bool,
    pieces: u32,
}

impl Opening {
    fn of<A: PortableAnalysis>(context: &Context<A>, limits: &Limits) -> Result<Self, String> {
        let prototype = catch_unwind(AssertUnwindSafe(|| protocol::encode(&context.analysis())));
        let prototype = prototype.unwrap_or_else(|_| Err("it panicked".to_owned()));
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // A quarter of them at most, for all workers together: each sends a message of its own.
        let pieces = descriptors / 4 / limits.effective_workers() as u64;
        Ok(Self {
            pieces: u32::try_from(pieces.clamp(1, MOST_SHARED as u64)).unwrap_or(1),
            analysis: type_name::<A>(),
            prototype: prototype.map_err(|error| format!("the analysis cannot be encoded: {error}"))?,
            // A worker that was started before may be elsewhere.
            directory: std::env::current_dir().ok(),
            bytes_in_flight: context.bytes_in_flight(),
            max_file_size: limits.largest_file(),
            timeout: limits.time_limit(),
            // Under a time limit a file is one worker's, who has the clock.
            divides: limits.effective_workers() > 1 && limits.time_limit().is_none() && A::parts().is_some(),
        })
    }

    fn order(&self) -> (Order, Shared) {
        let mut shared = Shared::default();
        let begin = Begin {
            analysis: self.analysis.to_owned(),
            prototype: shared.payload(&self.prototype),
            directory: self.directory.as_deref().map(Into::into),
            bytes_in_flight: self.bytes_in_flight,
            max_file_size: self.max_file_size,
            timeout: self.timeout,
            divides: self.divides,
            pieces: self.pieces,
            parent: std::process::id(),
        };
        (Order::Begin(begin), shared)
    }
}

/// A respawn is worth so many files: that many read earn one.
const FILES_PER_RESPAWN: u64 = 100;

/// What the threads of one run share.
pub(crate) struct Crew<A: Analysis> {
    pub(crate) pool: Pool,
    /// Whether the pool outlives the run.
    is_kept: bool,
    opening: Opening,
    pub(crate) config: Config,
    pub(crate) context: Context<A>,
    pub(crate) work: Work,
    pub(crate) divided: Divided<A>,
    outlet: Outlet<FileResult<A::Output>>,
    /// What is left of the respawns, in files.
    respawns: AtomicU64,
    /// How long a file may take as seen from here.
    pub(crate) patience: Option<Duration>,
}

impl<A: PortableAnalysis> Crew<A> {
    fn read(&self, entries: Entries, first: Process, others: Vec<Recruit>) {
        std::thread::scope(|scope| {
            // Also when the iterator of files panics: the others must not wait for more.
            let closing = Closing(&self.work);
            for recruit in std::iter::once(Recruit::Ready(first)).chain(others) {
                let supervisor = move || {
                    let supervised = catch_unwind(AssertUnwindSafe(|| self.supervise(recruit)));
                    supervised.unwrap_or_else(|panic| {
                        self.work.break_off();
                        resume_unwind(panic)
                    });
                };
                let name = "polyread-supervisor".to_owned();
                if std::thread::Builder::new().name(name).spawn_scoped(scope, supervisor).is_err() {
                    self.work.leave();
                }
            }
            self.feed(entries);
            drop(closing);
        });
        for task in self.work.rest() {
            self.record_unread(&task);
        }
    }

    /// Looks after a process, as soon as it is ready.
    fn supervise(&self, recruit: Recruit) {
        // A pool that is kept wants it for the next run, if not for this one.
        let is_wanted = || !self.context.is_cancelled() && (self.is_kept || !self.work.is_over());
        match self.pool.ready(recruit, &|| self.opening.order(), &is_wanted) {
            Ok(process) => Supervisor::new(self, process).run(),
            Err(reason) => {
                tracing::debug!(reason, "the run goes on with fewer processes");
                self.work.leave();
            }
        }
    }

    fn feed(&self, mut entries: Entries) {
        loop {
            let batch = entries.next_batch(ENTRIES);
            if batch.is_empty() {
                return;
            }
            let (mut tasks, mut failed) = (Vec::with_capacity(batch.len()), Vec::new());
            for Entry { index, found } in batch {
                let found = found.and_then(|file| match file.path().as_os_str().len() {
                    0..=MOST_PATH_BYTES => Ok(file),
                    _ => Err(ReadError::new(ErrorKind::NameTooLong, Operation::Open, file.path())),
                });
                match found {
                    Ok(mut file) => {
                        // As a side of another reader it may get files that are open; its workers open them themselves.
                        file.close();
                        tasks.push(Task { index, file, tries: 0, told: 0, part: None });
                    }
                    // What discovery has to say needs no worker.
                    Err(error) => failed.push(FileResult::failed(index, error, here())),
                }
            }
            self.outlet.send(failed);
            let unread = self.work.add(tasks, &|| self.context.is_cancelled());
            unread.iter().for_each(|task| self.record_unread(task));
        }
    }

    /// The record of a file that nobody has read: the run was cancelled, or no process is left.
    fn record_unread(&self, task: &Task) {
        let fail = |kind| ReadError::new(kind, Operation::Open, task.file.path());
        let error = if self.context.is_cancelled() {
            fail(ErrorKind::Cancelled)
        } else {
            fail(ErrorKind::WorkerDied).with_detail("no worker process is left to read it")
        };
        self.outlet.send(self.failed(task, error, here()).into_iter().collect());
    }

    /// The record of a file that cannot be read; of one that is read in parts, when it is the last of them.
    pub(crate) fn failed(&self, task: &Task, error: ReadError, worker: WorkerId) -> Option<FileResult<A::Output>> {
        if task.part.is_some() {
            let (bytes, elapsed) = (error.bytes_read(), Duration::ZERO);
            return self.divided.put(task, Seen { outcome: Err(error), bytes, elapsed, attempts: task.tries }, worker);
        }
        let mut record = FileResult::failed(task.index, error, worker);
        record.attempts = task.tries.max(1);
        Some(record)
    }

    /// Hands the records over of so many files or parts of them, which a process had in hand.
    pub(crate) fn deliver(&self, count: usize, records: Vec<FileResult<A::Output>>) {
        let read = records.iter().filter(|record| record.outcome.is_ok()).count();
        self.respawns.fetch_add(read as u64, Ordering::Relaxed);
        self.outlet.send(records);
        self.work.done(count);
    }

    /// Another process in the place of one that was lost, if there still may be one.
    pub(crate) fn replace(&self, at_cost: bool) -> Option<Process> {
        let mut cost = if at_cost { FILES_PER_RESPAWN } else { 0 };
        while !self.context.is_cancelled() {
            let pay = |left: u64| left.checked_sub(cost);
            self.respawns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).ok()?;
            if let Ok((process, _)) = self.pool.muster(1, &|| self.opening.order()) {
                return Some(process);
            }
            // One that dies before it is ready is one more that is lost; and what the system refuses now it may not later.
            cost = FILES_PER_RESPAWN;
            std::thread::sleep(LOOK);
        }
        None
    }
}

struct Closing<'a>(&'a Work);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The worker of what no worker has seen.
fn here() -> WorkerId {
    WorkerId::Process(std::process::id())
}
