//! The model: tasks wait for a permit, then carry a batch of files to the blocking pool and their records back.
//!
//! ```text
//!  discovery ──► feeder thread: pulls entries and sends batches
//!                   │ bounded channel
//!                   ▼
//!               dispatcher task: takes a permit for each batch, then spawns its task
//!                   │
//!        ┌──────────┼──────────┐
//!     task-0     task-1     task-2 …      each: a hop to the blocking pool that reads up to 64 files,
//!        └──────────┼──────────┘          then `send(records).await`, then the permit goes back
//!                   ▼ bounded channel
//!               RecordStream
//! ```
//!
//! Files have no asynchronous reads on most systems: an async runtime reads them on a pool of threads that may block.
//! What a model on top of it can choose is how often it goes there and back. One hop for each file (`tokio::fs` takes
//! several) costs more than reading a small file; one hop for a few dozen does not show.

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use polyread_core::{
    Analysis, CancelToken, Context, Entry, ErrorKind, FAREWELL, FileEntry, FileReader, FileResult, FileScanner, Job,
    Operation, ReadError, ReaderError, Run, Sink, Summary, WorkerId,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender, WeakSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::{Config, RecordStream};

const NAME: &str = "tokio";

/// Bytes after which a hop comes back, whatever files it still carries: they go on in other tasks.
const HOP_BYTES: u64 = 512 * 1024;

/// How long after its time limit a file that reads on without looking at the clock is abandoned: the reading itself
/// looks after each chunk and tells more than a watch from outside can.
const GRACE: Duration = Duration::from_millis(250);

/// Between two attempts to hand records over from a hop that waits for room: rare, and not worth a wake-up of its own.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// Reads files in tokio tasks that are bounded by a semaphore.
///
/// A record's worker is the task that read it, `task-0` and so on in the order in which tasks were started. A read that
/// hangs in the kernel is abandoned when [`Limits::timeout`](polyread_core::Limits::timeout) is over: its thread of the
/// blocking pool stays with it, the run goes on without.
#[derive(Clone, Debug, Default)]
pub struct TokioReader {
    config: Config,
}

impl TokioReader {
    /// A reader with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config }
    }

    /// The records of a run as a stream, inside of the caller's runtime, of either flavour. Reading starts at once and
    /// goes on ahead of the consumer by a bounded amount. Dropping the stream cancels the run.
    ///
    /// One thread of the blocking pool is taken for each [hop in flight](Config::hops_in_flight), and a thread of its own
    /// for discovery as long as that goes on.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::NoRuntime`] outside of a tokio runtime.
    /// - [`ReaderError::Start`] if the thread cannot be started, or if there is a time limit and the runtime has no timer
    ///   ([`enable_time`](tokio::runtime::Builder::enable_time)).
    pub fn stream<A: Analysis>(&self, job: Job<A>) -> Result<RecordStream<A::Output>, ReaderError> {
        Handle::try_current().map_err(|_| ReaderError::NoRuntime { strategy: NAME })?;
        let Run { mut entries, context, tally, limits, cancel, .. } = job.start();
        let in_flight = self.config.hops_under(&limits);
        let time_limit = limits.time_limit();
        if time_limit.is_some() && catch_unwind(|| tokio::time::sleep(Duration::ZERO)).is_err() {
            let reason = "a time limit needs the runtime's timer (enable_time)".to_owned();
            return Err(ReaderError::Start { strategy: NAME, reason });
        }
        let files_per_hop = if time_limit.is_some() { 1 } else { self.config.files_per_hop };

        let (records, batches_of_records) = mpsc::channel(in_flight);
        let (feed, batches) = mpsc::channel(in_flight);
        // Discovery blocks: not in a task, and not in the blocking pool, whose threads may be few.
        let feeder = std::thread::Builder::new().name("polyread-feeder".to_owned()).spawn(move || {
            loop {
                let batch = entries.next_batch(files_per_hop);
                if batch.is_empty() || feed.blocking_send(batch).is_err() {
                    return;
                }
            }
        });
        let feeder = feeder.map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
        let crew = Arc::new(Crew {
            hops: Arc::new(Hops {
                idle: Mutex::new(Vec::with_capacity(in_flight)),
                context,
                records: records.downgrade(),
            }),
            permits: Arc::new(Semaphore::new(in_flight)),
            records,
            time_limit,
            tasks: AtomicU64::new(0),
            cancel: cancel.clone(),
        });
        tokio::spawn(dispatch(batches, crew));
        Ok(RecordStream::new(batches_of_records, feeder, tally, cancel))
    }
}

impl<A: Analysis> FileReader<A> for TokioReader {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Runs a runtime of its own on the caller's thread, so that it must not be called from inside of one, nor from the
    /// blocking pool of one: [`ReaderError::InsideRuntime`]. Use [`stream`](Self::stream) there.
    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        if Handle::try_current().is_ok() {
            return Err(ReaderError::InsideRuntime { strategy: NAME });
        }
        let _span = tracing::info_span!("read", strategy = NAME).entered();
        // One thread is enough for the tasks: they only wait. The blocking pool grows with the hops in flight.
        let runtime = Builder::new_current_thread().thread_name("polyread-tokio").enable_time().build();
        let runtime = runtime.map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
        let stream = runtime.block_on(async { self.stream(job) });
        // A panic of the sink comes out when the threads have ended; one that hangs in the kernel is left behind.
        let summary = stream.map(|stream| stream.deliver(&runtime, sink));
        runtime.shutdown_timeout(FAREWELL);
        summary.map(|summary| summary.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Takes a permit for each batch before its task exists: there are never more tasks than permits and leftovers.
async fn dispatch<A: Analysis>(mut batches: Receiver<Vec<Entry>>, crew: Arc<Crew<A>>) {
    while let Some(batch) = batches.recv().await {
        let Some(permit) = crew.permit().await else { return };
        crew.spawn(batch, permit);
    }
}

/// What the tasks of one run share. When the last task has ended, so has the stream of records.
#[derive(Debug)]
struct Crew<A: Analysis> {
    hops: Arc<Hops<A>>,
    permits: Arc<Semaphore>,
    records: Sender<Vec<FileResult<A::Output>>>,
    time_limit: Option<Duration>,
    tasks: AtomicU64,
    cancel: CancelToken,
}

/// The last task has ended; or the runtime was shut down over them, and hops that wait for something must not for ever.
impl<A: Analysis> Drop for Crew<A> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<A: Analysis> Crew<A> {
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Only a closed semaphore has no permit to give, and nobody closes this one.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Starts the task of one batch. The permit belongs to it: however it ends, the permit goes back.
    fn spawn(self: &Arc<Self>, batch: Vec<Entry>, permit: OwnedSemaphorePermit) {
        let crew = Arc::clone(self);
        let worker = WorkerId::Task(crew.tasks.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(async move {
            let mut leftover = match crew.time_limit {
                None => crew.carry(batch, worker).await,
                Some(limit) => crew.carry_in_time(batch, worker, limit).await,
            };
            drop(permit);
            // Large files turned up: the rest goes on in two halves, each with a permit of its own.
            let other = leftover.split_off(leftover.len() / 2);
            for half in [leftover, other].into_iter().filter(|half| !half.is_empty()) {
                let Some(permit) = crew.permit().await else { return };
                crew.spawn(half, permit);
            }
        });
    }

    /// One hop and its records' way to the consumer; gives back what the hop did not get to.
    async fn carry(&self, batch: Vec<Entry>, worker: WorkerId) -> Vec<Entry> {
        let hops = Arc::clone(&self.hops);
        let hop = spawn_blocking(move || hops.read_batch(batch, worker)).await;
        // An error means that the runtime is shutting down, and the consumer with it.
        let Ok((records, leftover)) = hop else { return Vec::new() };
        self.send(records).await;
        leftover
    }

    /// A hop of one file that is abandoned when its time is over: another thread takes its place in the blocking pool.
    async fn carry_in_time(&self, batch: Vec<Entry>, worker: WorkerId, limit: Duration) -> Vec<Entry> {
        let limit = limit.saturating_add(GRACE);
        let abandoned = batch.clone();
        let (begin, begun) = oneshot::channel();
        let hops = Arc::clone(&self.hops);
        let mut hop = spawn_blocking(move || {
            let scanner = hops.take_scanner();
            // Nobody listens if it waited for a thread too long: then its record has been written already.
            match begin.send(scanner.watch()) {
                Ok(()) => hops.read_batch_with(scanner, batch, worker),
                Err(_) => (Vec::new(), Vec::new()),
            }
        });
        // Waiting for a thread counts apart from reading: with enough hung threads none becomes free.
        let (reason, bytes) = match timeout(limit, begun).await {
            Err(_) => ("no thread of the blocking pool became free", 0),
            Ok(Err(_)) => return Vec::new(),
            Ok(Ok(watch)) => loop {
                match timeout(limit, &mut hop).await {
                    Ok(Ok((records, leftover))) => {
                        self.send(records).await;
                        return leftover;
                    }
                    Ok(Err(_)) => return Vec::new(),
                    Err(_) if watch.reading_for().is_some_and(|time| time >= limit) => {
                        watch.abandon();
                        break ("a call does not return and was abandoned", watch.bytes());
                    }
                    // Most of its time it has waited for the consumer.
                    Err(_) => {}
                }
            },
        };
        let records = abandoned.into_iter().map(|entry| {
            let timeout = |file: FileEntry| {
                let error = ReadError::new(ErrorKind::Timeout, Operation::Read, file.path());
                error.with_detail(reason).with_bytes_read(bytes)
            };
            FileResult::failed(entry.index, entry.found.map_or_else(|error| error, timeout), worker)
        });
        self.send(records.collect()).await;
        Vec::new()
    }

    async fn send(&self, records: Vec<FileResult<A::Output>>) {
        // An error means that the consumer has gone; the run's token is raised then, and everything ends by itself.
        let _ = self.records.send(records).await;
    }
}

/// What hops share, on the threads of the blocking pool.
#[derive(Debug)]
struct Hops<A: Analysis> {
    /// Scanners that no hop is using: as many as hops were in flight at once.
    idle: Mutex<Vec<FileScanner<A>>>,
    context: Context<A>,
    /// Weak: a hop that hangs and was abandoned must not keep the stream from ending.
    records: WeakSender<Vec<FileResult<A::Output>>>,
}

impl<A: Analysis> Hops<A> {
    fn read_batch(&self, batch: Vec<Entry>, worker: WorkerId) -> (Vec<FileResult<A::Output>>, Vec<Entry>) {
        self.read_batch_with(self.take_scanner(), batch, worker)
    }

    /// On a thread of the blocking pool: reads files until the hop has carried enough.
    fn read_batch_with(
        &self,
        mut scanner: FileScanner<A>,
        batch: Vec<Entry>,
        worker: WorkerId,
    ) -> (Vec<FileResult<A::Output>>, Vec<Entry>) {
        let mut batch = batch.into_iter();
        let mut done = Vec::with_capacity(batch.len());
        let mut bytes = 0;
        while bytes < HOP_BYTES
            && let Some(entry) = batch.next()
        {
            let record = scanner.scan(entry, worker, &mut || self.flush(&mut done));
            bytes += record.bytes;
            done.push(record);
        }
        self.lock_idle().push(scanner);
        (done, batch.collect())
    }

    /// Hands over what the hop has read so far, before it waits for room. Only while the run goes on: afterwards there
    /// may be nobody who takes it, and no room to be waited for.
    fn flush(&self, done: &mut Vec<FileResult<A::Output>>) {
        while !done.is_empty()
            && !self.context.is_cancelled()
            && let Some(records) = self.records.upgrade()
        {
            match records.try_send(std::mem::take(done)) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(back)) => *done = back,
            }
            std::thread::sleep(FLUSH_PAUSE);
        }
    }

    fn take_scanner(&self) -> FileScanner<A> {
        self.lock_idle().pop().unwrap_or_else(|| self.context.scanner())
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<FileScanner<A>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
