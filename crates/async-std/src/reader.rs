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
//! The same model as on tokio, in another runtime's words: there is one runtime for the whole program, which starts by
//! itself and never ends; the permits come from `async-lock`, because async-std has no semaphore; a task is detached when
//! its handle is dropped. What happens inside of a hop is the same to the letter: [`polyread_core::hops`].

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::{Semaphore, SemaphoreGuardArc};
use async_std::channel::{Receiver, Sender, TrySendError, bounded};
use async_std::future::timeout;
use async_std::task;
use futures_core::Stream;
use polyread_core::hops::{Carried, Hops, RecordStream, Settlement, Step};
use polyread_core::{Analysis, Entry, FileReader, FileResult, Job, ReaderError, Run, Sink, Summary, WorkerId};

use crate::Config;

const NAME: &str = "async-std";

/// Reads files in async-std tasks that are bounded by a semaphore.
///
/// A record's worker is the task that read it, `task-0` and so on in the order in which tasks were started. A read that
/// hangs in the kernel is abandoned when [`Limits::timeout`](polyread_core::Limits::timeout) is over: its thread of the
/// blocking pool stays with it, the run goes on without.
#[derive(Clone, Debug, Default)]
pub struct AsyncStdReader {
    config: Config,
}

impl AsyncStdReader {
    /// A reader with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config }
    }

    /// The records of a run as a stream, to be polled anywhere: async-std's runtime is the program's only one and starts
    /// when it is first used. Reading starts at once and goes on ahead of the consumer by a bounded amount. Dropping the
    /// stream cancels the run; the runtime's own threads stay for the next.
    ///
    /// One thread of the blocking pool is taken for each [hop in flight](Config::hops_in_flight), and a thread of its own
    /// for discovery as long as that goes on.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if the thread cannot be started.
    pub fn stream<A: Analysis>(&self, job: Job<A>) -> Result<RecordStream<A::Output>, ReaderError> {
        let Run { entries, context, tally, limits, cancel, .. } = job.start();
        let in_flight = self.config.hops_under(&limits);

        let (records, batches_of_records) = bounded(in_flight);
        let (feeding, batches) = bounded(in_flight);
        // Weak: a hop that hangs and was given up must not keep the stream from ending.
        let outlet = records.downgrade();
        let try_send = move |batch| match outlet.upgrade().map(|records| records.try_send(batch)) {
            Some(Err(TrySendError::Full(batch))) => Err(batch),
            _ => Ok(()),
        };
        let hops = Hops::new(context, &self.config, &limits, try_send);
        let feeder =
            hops.feed(entries, self.config.files_under(&limits), move |batch| feeding.send_blocking(batch).is_ok());
        let feeder = feeder.map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
        let crew =
            Arc::new(Crew { hops, permits: Arc::new(Semaphore::new(in_flight)), records, tasks: AtomicU64::new(0) });
        task::spawn(dispatch(batches, crew));
        let mut batches_of_records = Box::pin(batches_of_records);
        Ok(RecordStream::new(move |cx| batches_of_records.as_mut().poll_next(cx), feeder, tally, cancel))
    }
}

impl<A: Analysis> FileReader<A> for AsyncStdReader {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Blocks the caller's thread, so that it must not be called inside of a task, whose runtime has only so many of them:
    /// [`ReaderError::InsideRuntime`]. Use [`stream`](Self::stream) there.
    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        if task::try_current().is_some() {
            return Err(ReaderError::InsideRuntime { strategy: NAME });
        }
        let _span = tracing::info_span!("read", strategy = NAME).entered();
        let drive = |step: Step<'_>, limit| match limit {
            None => task::block_on(step),
            Some(limit) => drop(task::block_on(timeout(limit, step))),
        };
        Ok(self.stream(job)?.deliver(drive, sink).unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

/// Takes a permit for each batch before its task exists: there are never more tasks than permits and leftovers.
async fn dispatch<A: Analysis>(batches: Receiver<Vec<Entry>>, crew: Arc<Crew<A>>) {
    while let Ok(batch) = batches.recv().await {
        let permit = crew.permits.acquire_arc().await;
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
}

impl<A: Analysis> Crew<A> {
    /// Starts the task of one batch. The permit belongs to it: however it ends, the permit goes back.
    fn spawn(self: &Arc<Self>, batch: Vec<Entry>, permit: SemaphoreGuardArc) {
        let crew = Arc::clone(self);
        let worker = WorkerId::Task(crew.tasks.fetch_add(1, Ordering::Relaxed));
        task::spawn(async move {
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
                let permit = crew.permits.acquire_arc().await;
                crew.spawn(half, permit);
            }
        });
    }

    /// One hop there and back, or until it is given up: then another thread takes its place in the blocking pool.
    async fn carry(&self, batch: Vec<Entry>, worker: WorkerId) -> Carried<A::Output> {
        let (hop, watch) = self.hops.hop(batch, worker);
        let mut hop = pin!(task::spawn_blocking(hop));
        let Some(mut watch) = watch else { return hop.await };
        let mut patience = watch.patience();
        loop {
            if let Ok(carried) = timeout(patience, &mut hop).await {
                return carried;
            }
            match watch.check() {
                ControlFlow::Continue(more) => patience = more,
                ControlFlow::Break(carried) => return carried,
            }
        }
    }
}
