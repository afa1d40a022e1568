//! The model: rings. A thread hands the kernel many calls at once and takes their results as they come.
//!
//! ```text
//!  discovery ──► feeder: this run's thread ──► batches of 32, bounded
//!                                               │
//!                  ┌────────────────────────────┴───┐
//!                  ▼                                ▼
//!    ring-0: 64 lanes, each a file         ring-1: the same
//!      open ─► read ─► analyse ─► close      │
//!                  │ large, empty or odd     │
//!                  └──────► again ◄──────────┘   any thread that has a moment: FileScanner, blocking calls
//!                  ▼                                ▼
//!  consumer ◄── bounded channel ◄── records, up to 16 at once
//! ```
//!
//! One call into the kernel takes the next step of all lanes of a ring: this one's file is opened, that one's read, the one
//! before it closed. What is in the page cache is done within the call. What is not is left to the kernel, and the other lanes
//! go on.
//!
//! The ring is the fast lane for what most files are: regular, small, and quiet. It reads what it has opened, and the moment
//! anything is different (an error, a full buffer, a file that will not end), the file goes to the
//! [`FileScanner`](polyread_core::FileScanner), which begins anew. So every error, limit and odd file is told by the one place
//! that tells it for all readers. A file that is very large is read in ranges, by its thread and by those that have nothing to
//! do meanwhile. How the fast lane knows the end of a file without asking for its size is told in
//! `worker.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use polyread_core::{
    Analysis, Entries, Entry, FileReader, Job, Limits, Producer, ReaderError, Records, Sink, Summary, WorkerId,
    join_in_time,
};

use crate::again::Again;
use crate::crew::{Crew, Plan};
use crate::{Config, Unavailable};

const NAME: &str = "io-uring";

/// Entries handed to a ring at once.
const BATCH: usize = 32;

/// Batches that wait, for each ring.
const BATCHES_AHEAD: usize = 2;

/// Deliveries that may wait for the consumer, for each ring.
const DELIVERIES_AHEAD: usize = 4;

/// Reads files through io_uring, with a ring for each thread.
///
/// A record's worker is the ring that read it, `ring-0` to `ring-N`, for [`Limits::workers`](polyread_core::Limits::workers)
/// rings or fewer if fewer files may be open. Under [`Limits::timeout`](polyread_core::Limits::timeout) a small file whose call
/// does not return is given up and its lane left behind, while the others go on. A large file is read by blocking calls:
/// there a call that hangs keeps its ring's thread until it returns, and with it the one that it helps.
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
        crate::available::available()
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
        let run = job.start();
        let (config, limits) = (self.config.clone(), run.limits.clone());
        let rings = limits.effective_workers();
        Records::of(NAME, run, DELIVERIES_AHEAD * rings, move |producer| Crew::read(config, limits, producer))
    }
}

impl<A: Analysis> FileReader<A> for IoUringReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
    }
}

impl<A: Analysis> Crew<A> {
    /// Reads all entries, and returns when their records have been handed over.
    fn read(config: Config, limits: Limits, Producer { entries, context, outlet }: Producer<A>) {
        let plan = Arc::new(Plan::new(config, limits, context));
        let ((at_work, rest), (sender, batches)) = (bounded(0), bounded(BATCHES_AHEAD * plan.rings));
        let crew = Self { plan: Arc::clone(&plan), outlet: outlet.clone(), batches, again: Again::new(), at_work };
        // A panic of the caller's iterator is the caller's, after what came before it.
        let fed = catch_unwind(AssertUnwindSafe(|| crew.feed(entries, &sender)));
        // The workers wait for batches and for each other's files until the last way in is gone, and this thread for them.
        drop((crew, sender));
        let _ = rest.recv();
        // Their work is done; one of them may be left with a call that hangs, and keeps its ring until that returns.
        let threads = std::mem::take(&mut *plan.threads());
        let ended: Vec<_> = threads.into_iter().filter_map(join_in_time).collect();
        // For the consumer the run is over with the last outlet.
        drop(outlet);
        if let Some(panic) = [fed].into_iter().chain(ended).find_map(Result::err) {
            resume_unwind(panic);
        }
    }

    /// Sees to it that there is a thread for each entry that is seen, up to one for each ring: one file does not wait for two
    /// rings, unless it is so large that its thread asks for more.
    fn feed(&self, mut entries: Entries, sender: &Sender<Vec<Entry>>) {
        let mut seen = 0_usize;
        loop {
            let batch = entries.next_batch(BATCH);
            if batch.is_empty() {
                return;
            }
            seen = seen.saturating_add(batch.len());
            if self.muster(seen) == 0 {
                // The system has no thread to give: this one reads, without a ring.
                let mut scanner = self.plan.context.scanner();
                for entry in batch {
                    let record = scanner.scan(entry, WorkerId::Ring(0), &mut |_| {});
                    self.outlet.send(Vec::from_iter(record));
                }
                scanner.rest();
            } else if sender.send(batch).is_err() {
                // All threads have panicked.
                return;
            }
        }
    }
}
