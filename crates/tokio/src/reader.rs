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
//!        └──────────┼──────────┘          then `send(records).await`, then the permit goes back,
//!                   ▼ bounded channel     with more if hops wait for a device
//!               RecordStream
//! ```
//!
//! One hop for each file (`tokio::fs` takes several) costs more than reading a small file; one hop for a few dozen does
//! not show. What happens inside of a hop has nothing to do with tokio, and is in [`polyread_core::hops`].

use std::ops::ControlFlow;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polyread_core::hops::{Carried, Hops, RecordStream, Settlement, Step};
use polyread_core::{
    Analysis, CancelToken, Entry, FAREWELL, FileReader, FileResult, Job, ReaderError, Run, Sink, Summary, WorkerId,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::error::TrySendError;
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
        let Run { entries, context, tally, limits, cancel, .. } = job.start();
        if limits.time_limit().is_some() && catch_unwind(|| tokio::time::sleep(Duration::ZERO)).is_err() {
            let reason = "a time limit needs the runtime's timer (enable_time)".to_owned();
            return Err(ReaderError::Start { strategy: NAME, reason });
        }
        let in_flight = self.config.hops_under(&limits);

        let (records, mut batches_of_records) = mpsc::channel(in_flight);
        let (feeding, batches) = mpsc::channel(in_flight);
        // Weak: a hop that hangs and was given up must not keep the stream from ending.
        let outlet = records.downgrade();
        let try_send = move |batch| match outlet.upgrade().map(|records| records.try_send(batch)) {
            Some(Err(TrySendError::Full(batch))) => Err(batch),
            _ => Ok(()),
        };
        let hops = Hops::new(context, &self.config, &limits, try_send);
        let feeder =
            hops.feed(entries, self.config.files_under(&limits), move |batch| feeding.blocking_send(batch).is_ok());
        let feeder = feeder.map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
        let crew = Arc::new(Crew {
            hops,
            permits: Arc::new(Semaphore::new(in_flight)),
            records,
            tasks: AtomicU64::new(0),
            cancel: cancel.clone(),
        });
        tokio::spawn(dispatch(batches, crew));
        Ok(RecordStream::new(move |cx| batches_of_records.poll_recv(cx), feeder, tally, cancel))
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
        let summary = stream.map(|stream| {
            let drive = |step: Step<'_>, limit| match limit {
                None => runtime.block_on(step),
                Some(limit) => drop(runtime.block_on(async { timeout(limit, step).await })),
            };
            stream.deliver(drive, sink)
        });
        // A panic of the sink comes out when the threads have ended; one that hangs in the kernel is left behind.
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
            let Carried { records, leftover } = crew.carry(batch, worker).await;
            // Nobody to take them: the stream was dropped, and the run with it.
            let _ = crew.records.send(records).await;
            match crew.hops.settle() {
                Settlement::Less => permit.forget(),
                Settlement::Same => drop(permit),
                Settlement::More(permits) => {
                    crew.permits.add_permits(permits);
                    drop(permit);
                }
            }
            for half in leftover {
                let Some(permit) = crew.permit().await else { return };
                crew.spawn(half, permit);
            }
        });
    }

    /// One hop there and back, or until it is given up: then another thread takes its place in the blocking pool.
    async fn carry(&self, batch: Vec<Entry>, worker: WorkerId) -> Carried<A::Output> {
        let (hop, watch) = self.hops.hop(batch, worker);
        let mut hop = spawn_blocking(hop);
        // An error means that the runtime is shutting down, and the consumer with it.
        let Some(mut watch) = watch else { return hop.await.unwrap_or_default() };
        let mut patience = watch.patience();
        loop {
            match timeout(patience, &mut hop).await {
                Ok(carried) => return carried.unwrap_or_default(),
                Err(_) => match watch.check() {
                    ControlFlow::Continue(more) => patience = more,
                    ControlFlow::Break(carried) => return carried,
                },
            }
        }
    }
}
