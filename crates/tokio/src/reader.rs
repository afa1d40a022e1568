//! The model: tasks wait for a permit, then carry a batch of files to the blocking pool.
//!
//! ```text
//!  discovery ──► feeder thread: pulls entries and sends batches
//!                   │ bounded channel
//!                   ▼
//!               dispatcher task: takes a permit for each batch, then spawns its task
//!                   │
//!        ┌──────────┼──────────┐
//!     task-0     task-1     task-2 …      each: a hop to the blocking pool, which reads up to 64 files;
//!        └──────────┼──────────┘          then their records are handed over and the permit goes back,
//!                   ▼ bounded             with more if hops wait for a device
//!               RecordStream, or Records outside of a runtime
//! ```
//!
//! One hop for each file (`tokio::fs` takes several) costs more than reading a small file; one hop for a few dozen does
//! not show. What happens inside of a hop has nothing to do with tokio, and is in [`polyread_hops`]. A stream whose
//! consumer is behind lets tasks wait, and no thread; tasks that wait keep their permits, and without permits no batch is taken
//! from the feeder.

use std::ops::ControlFlow;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polyread_core::reader::{Entry, PermitChange, SHUTDOWN_TIMEOUT};
use polyread_core::{Analysis, FileReader, Job, ReaderError, Records, WorkerId};
use polyread_hops::{Hopped, Hops, RecordStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Config;

const NAME: &str = "tokio";

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
        let run = job.start();
        if run.limits().time_limit().is_some() && catch_unwind(|| tokio::time::sleep(Duration::ZERO)).is_err() {
            return Err(start_error("a time limit needs the runtime's timer (enable_time)"));
        }
        let (hops, stream) = Hops::streaming(run, &self.config);
        let (tasks, _) = Tasks::new(hops);
        let (feeding, batches) = mpsc::channel(tasks.hops.in_flight());
        let feeder = tasks.hops.start_feeder(move |batch| feeding.blocking_send(batch).is_ok());
        let feeder = feeder.map_err(|error| start_error(&error.to_string()))?;
        tokio::spawn(dispatch(batches, tasks));
        Ok(stream.fed_by(feeder))
    }

    /// The records of a run as an iterator, outside of any runtime: a runtime of its own runs the tasks, on a thread of its
    /// own. Dropping the iterator ends both.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::InsideRuntime`] inside of a tokio runtime, whose thread the iterator would block, and in its blocking
    ///   pool. Use [`stream`](Self::stream) there.
    /// - [`ReaderError::Start`] if the runtime or the thread cannot be started.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        if Handle::try_current().is_ok() {
            return Err(ReaderError::InsideRuntime { strategy: NAME });
        }
        // One thread is enough for the tasks: they only wait. The blocking pool grows with the hops in flight.
        let runtime = Builder::new_current_thread().thread_name("polyread-tokio").enable_time().build();
        let runtime = runtime.map_err(|error| start_error(&error.to_string()))?;
        let config = self.config.clone();
        job.start().records(NAME, move |run| {
            let (tasks, mut ended) = Tasks::new(Hops::new(run, &config));
            let (feeding, batches) = mpsc::channel(tasks.hops.in_flight());
            if tasks.hops.start_feeder(move |batch| feeding.blocking_send(batch).is_ok()).is_err() {
                return tasks.hops.read_here(tasks.next_id());
            }
            runtime.block_on(async {
                dispatch(batches, tasks).await;
                ended.recv().await;
            });
            // A thread that hangs in the kernel is left behind.
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
        })
    }
}

impl<A: Analysis> FileReader<A> for TokioReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

fn start_error(reason: &str) -> ReaderError {
    ReaderError::Start { strategy: NAME, reason: reason.to_owned() }
}

/// Takes a permit for each batch before its task exists: there are never more tasks than permits and halves of batches.
async fn dispatch<A: Analysis>(mut batches: Receiver<Vec<Entry>>, tasks: Arc<Tasks<A>>) {
    while let Some(batch) = batches.recv().await {
        let Some(permit) = tasks.permit().await else { return };
        tasks.spawn(batch, permit);
    }
}

/// What the tasks of one run share. When the last task has ended, or the runtime was shut down over them, so has the run.
#[derive(Debug)]
struct Tasks<A: Analysis> {
    // In this order: a thread that waits for the end finds the run over.
    hops: Arc<Hops<A>>,
    /// Dropped at the end. Nothing is ever sent.
    _at_work: Sender<()>,
    permits: Arc<Semaphore>,
    started: AtomicU64,
}

impl<A: Analysis> Tasks<A> {
    /// The tasks of a run, and a channel that closes when all have ended.
    fn new(hops: Hops<A>) -> (Arc<Self>, Receiver<()>) {
        let (at_work, ended) = mpsc::channel(1);
        let hops = Arc::new(hops);
        let permits = Arc::new(Semaphore::new(hops.in_flight()));
        (Arc::new(Self { hops, _at_work: at_work, permits, started: AtomicU64::new(0) }), ended)
    }

    fn next_id(&self) -> WorkerId {
        WorkerId::new("task", self.started.fetch_add(1, Ordering::Relaxed))
    }

    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Only a closed semaphore has no permit to give, and this one is never closed.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Starts the task of one batch. The permit belongs to it: however it ends, the permit goes back.
    fn spawn(self: &Arc<Self>, batch: Vec<Entry>, permit: OwnedSemaphorePermit) {
        let tasks = Arc::clone(self);
        tokio::spawn(async move {
            let hopped = tasks.carry(batch).await;
            // A consumer that is behind is waited for with the permit still held.
            let unread = tasks.hops.finish(hopped).await;
            match tasks.hops.settle() {
                PermitChange::Less => permit.forget(),
                PermitChange::Same => drop(permit),
                PermitChange::More(permits) => {
                    tasks.permits.add_permits(permits);
                    drop(permit);
                }
            }
            for half in unread {
                let Some(permit) = tasks.permit().await else { return };
                tasks.spawn(half, permit);
            }
        });
    }

    /// One hop there and back, or until it is given up: then another thread takes its place in the blocking pool.
    async fn carry(&self, batch: Vec<Entry>) -> Hopped<A::Output> {
        let (hop, watch) = self.hops.hop(batch, self.next_id());
        let mut hop = spawn_blocking(hop);
        // An error means that the runtime is shutting down, and the consumer with it.
        let Some(mut watch) = watch else { return hop.await.unwrap_or_default() };
        let mut patience = watch.patience();
        loop {
            match timeout(patience, &mut hop).await {
                Ok(hopped) => return hopped.unwrap_or_default(),
                Err(_) => match watch.check() {
                    ControlFlow::Continue(more) => patience = more,
                    ControlFlow::Break(record) => return self.hops.give_up(record),
                },
            }
        }
    }
}
