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
//!               RecordStream, or Records outside of a task
//! ```
//!
//! The same model as on tokio, in another runtime's words: there is one runtime for the whole program, which starts by
//! itself and never ends; the permits come from `async-lock`, because async-std has no semaphore; a task is detached when
//! its handle is dropped. What happens inside of a hop is the same to the letter: [`polyread_hops`].

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::{Semaphore, SemaphoreGuardArc};
use async_std::channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::task;
use polyread_core::reader::{Entry, PermitChange};
use polyread_core::{Analysis, FileReader, Job, ReaderError, Records, WorkerId};
use polyread_hops::{Hopped, Hops, RecordStream};

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
        let (hops, stream) = Hops::streaming(job.start(), &self.config);
        let (tasks, _) = Tasks::new(hops);
        let (feeding, batches) = bounded(tasks.hops.in_flight());
        let feeder = tasks.hops.start_feeder(move |batch| feeding.send_blocking(batch).is_ok());
        let feeder = feeder.map_err(|error| ReaderError::Start { strategy: NAME, reason: error.to_string() })?;
        task::spawn(dispatch(batches, tasks));
        Ok(stream.fed_by(feeder))
    }

    /// The records of a run as an iterator, outside of any task. Dropping it ends the run; the runtime's own threads stay for
    /// the next.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::InsideRuntime`] in a task: the iterator would block one of the threads that run all tasks. Use
    ///   [`stream`](Self::stream) there.
    /// - [`ReaderError::Start`] if the thread cannot be started.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        if task::try_current().is_some() {
            return Err(ReaderError::InsideRuntime { strategy: NAME });
        }
        let config = self.config.clone();
        job.start().records(NAME, move |run| {
            let (tasks, ended) = Tasks::new(Hops::new(run, &config));
            let (feeding, batches) = bounded(tasks.hops.in_flight());
            if tasks.hops.start_feeder(move |batch| feeding.send_blocking(batch).is_ok()).is_err() {
                return tasks.hops.read_here(tasks.next_id());
            }
            task::block_on(async {
                dispatch(batches, tasks).await;
                let _ = ended.recv().await;
            });
        })
    }
}

impl<A: Analysis> FileReader<A> for AsyncStdReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

/// Takes a permit for each batch before its task exists: there are never more tasks than permits and halves of batches.
async fn dispatch<A: Analysis>(batches: Receiver<Vec<Entry>>, tasks: Arc<Tasks<A>>) {
    while let Ok(batch) = batches.recv().await {
        let permit = tasks.permits.acquire_arc().await;
        tasks.spawn(batch, permit);
    }
}

/// What the tasks of one run share. When the last task has ended, so has the run.
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
        let (at_work, ended) = bounded(1);
        let hops = Arc::new(hops);
        let permits = Arc::new(Semaphore::new(hops.in_flight()));
        (Arc::new(Self { hops, _at_work: at_work, permits, started: AtomicU64::new(0) }), ended)
    }

    fn next_id(&self) -> WorkerId {
        WorkerId::new("task", self.started.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts the task of one batch. The permit belongs to it: however it ends, the permit goes back.
    fn spawn(self: &Arc<Self>, batch: Vec<Entry>, permit: SemaphoreGuardArc) {
        let tasks = Arc::clone(self);
        task::spawn(async move {
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
                let permit = tasks.permits.acquire_arc().await;
                tasks.spawn(half, permit);
            }
        });
    }

    /// One hop there and back, or until it is given up: then another thread takes its place in the blocking pool.
    async fn carry(&self, batch: Vec<Entry>) -> Hopped<A::Output> {
        let (hop, watch) = self.hops.hop(batch, self.next_id());
        let mut hop = pin!(task::spawn_blocking(hop));
        let Some(mut watch) = watch else { return hop.await };
        let mut patience = watch.patience();
        loop {
            if let Ok(hopped) = timeout(patience, &mut hop).await {
                return hopped;
            }
            match watch.check() {
                ControlFlow::Continue(more) => patience = more,
                ControlFlow::Break(record) => return self.hops.give_up(record),
            }
        }
    }
}
