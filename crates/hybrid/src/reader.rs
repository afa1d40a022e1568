//! The model: two readers at once, each with the files of the size that it is good at.
//!
//! ```text
//!                      ┌────────────── small side (tokio) ──────────────┐
//!  discovery ────────► │ open, read ── below the threshold ──► analyse  │ ──► records ──┐
//!                      └──────┬─────────────────────────────────────────┘               ▼
//!                             │ from the threshold on:                            one consumer
//!                             ▼ the open file, in place of its record                   ▲
//!                      ┌────────────── large side (rayon) ──────────────┐               │
//!                      │ read                                           │ ──► records ──┘
//!                      └────────────────────────────────────────────────┘
//! ```
//!
//! Both readers get a part of the run's job ([`Job::part_of`]), and their workers hand records straight to the run's consumer:
//! neither knows of the other. The small side's part defers files from the threshold on; `route.rs` tells how such a file
//! crosses over. The size that decides is that of the file that was opened, not of the entry that was listed.
//!
//! Each side has as many workers as the run may have, and half of the files that may be open. Bytes in flight are counted for
//! both together.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{Builder, ScopedJoinHandle, scope};

use crossbeam_channel::{Sender, bounded};
use polyread_core::reader::Run;
use polyread_core::{Analysis, FileReader, FileResult, Job, ReaderError, Records, WorkerId};
use polyread_rayon::RayonReader;
use polyread_tokio::TokioReader;

use crate::Config;
use crate::route::{Arrivals, Shares, route};

const NAME: &str = "hybrid";

/// Reads small files with one reader and large ones with another, both at once.
///
/// By default the small side is a [`TokioReader`] and the large one a [`RayonReader`], and so a record's
/// [worker](FileResult::worker) tells which side read the file: a task or a thread. Files of unknown size, as those in
/// `/proc`, say 0 and are read on the small side; one that grows after it was opened stays where it is.
///
/// [`Limits::max_open_files`](polyread_core::Limits::max_open_files) and
/// [`Limits::bytes_in_flight`](polyread_core::Limits::bytes_in_flight) are kept by both sides together; each side has
/// [`Limits::workers`](polyread_core::Limits::workers) of its own. If only one file may be open at a time, the small side reads
/// every file.
///
/// Under [`Limits::timeout`](polyread_core::Limits::timeout) a file that hangs is given up by the small side. The threads of
/// the large side cannot be taken out of a call: as many large files that hang as there are workers hold the run up, until
/// those calls return.
pub struct HybridReader<A: Analysis> {
    small: Arc<dyn FileReader<A>>,
    large: Arc<dyn FileReader<A>>,
    config: Config,
}

impl<A: Analysis> HybridReader<A> {
    /// A reader with the default sides and settings.
    pub fn new() -> Self {
        Self::of(TokioReader::new(), RayonReader::new())
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config, ..Self::new() }
    }

    /// A reader with these two sides.
    ///
    /// Both should read files by means of [`Worker`](polyread_core::reader::Worker)s, as those of threads and of async runtimes
    /// do. A small side whose files are opened elsewhere, as worker processes do, keeps all of them, and a large one opens them
    /// again. Rings of io_uring on the small side read small files by themselves and have a worker open the large ones again.
    pub fn of(small: impl FileReader<A> + 'static, large: impl FileReader<A> + 'static) -> Self {
        Self { small: Arc::new(small), large: Arc::new(large), config: Config::default() }
    }

    /// The same reader with another [threshold](Config::threshold), in bytes.
    #[must_use]
    pub fn with_threshold(mut self, bytes: u64) -> Self {
        self.config = self.config.threshold(bytes);
        self
    }

    /// The records of a run as an iterator, from both sides as they are finished. Reading starts at once, on other threads,
    /// and goes on ahead of the consumer by a bounded amount. Dropping the iterator ends it.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::Start`] if a thread cannot be started.
    /// - The error of the small side, if it cannot start. The large side is started for the first file of its own; if it cannot
    ///   start, one thread reads the files that have crossed over.
    pub fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let sides = self.clone();
        let (started, has_started) = bounded(1);
        let records = job.start().records(NAME, move |run| sides.read_on_both(&Arc::new(run), &started))?;
        // Without an answer the small side has panicked; so will the iterator.
        has_started.recv().unwrap_or(Ok(())).map(|()| records)
    }

    /// Reads on both sides until both have ended.
    fn read_on_both(&self, run: &Arc<Run<A>>, started: &Sender<Result<(), ReaderError>>) {
        let Some(shares) = Shares::of(run.limits()).filter(|_| self.config.threshold < u64::MAX) else {
            return self.read_small(Job::part_of(run, run.batches(), delivery(run)), started);
        };
        let (departures, arrivals) = route();
        let entries = arrivals.clone();
        let large = Job::part_of(run, move |most| entries.next_batch(most), delivery(run)).limits(shares.large);
        scope(|scope| {
            let thread = Builder::new().name("polyread-large".to_owned());
            let thread = thread.spawn_scoped(scope, || self.read_large(run, large, &arrivals));
            let deliver = delivery(run);
            let small = match &thread {
                Ok(_) => Job::part_of(run, run.batches(), move |batch| deliver(departures.take_large(batch)))
                    .limits(shares.small)
                    .defer_from(self.config.threshold, shares.large_open),
                // Without a thread for the large side all files stay on the small one.
                Err(_) => Job::part_of(run, run.batches(), deliver),
            };
            let read = catch_unwind(AssertUnwindSafe(|| self.read_small(small, started)));
            let large_read = thread.map_or(Ok(()), ScopedJoinHandle::join);
            if let Err(panic) = read.and(large_read) {
                resume_unwind(panic);
            }
        });
    }

    /// Reads the small side's part to its end. Says whether the small side could start.
    fn read_small(&self, job: Job<A>, started: &Sender<Result<(), ReaderError>>) {
        match self.small.records(job) {
            Ok(records) => {
                let _ = started.send(Ok(()));
                // The run's consumer has the records; here comes only their end.
                records.for_each(drop);
            }
            Err(error) => drop(started.send(Err(error))),
        }
    }

    /// Reads the files that cross over, by the large side, which is started for the first of them.
    fn read_large(&self, run: &Run<A>, job: Job<A>, arrivals: &Arrivals) {
        if !arrivals.wait_for_first() {
            return;
        }
        let read = catch_unwind(AssertUnwindSafe(|| match self.large.records(job) {
            Ok(records) => records.for_each(drop),
            Err(error) => tracing::warn!(%error, "large files are read without the large side"),
        }));
        // No file is left, unless the large side did not start or has ended before its time.
        let mut worker = run.worker(WorkerId::new("thread", run.limits().effective_workers() as u64));
        while let Some(batch) = arrivals.next_batch(1) {
            worker.read(batch);
        }
        if let Err(panic) = read {
            resume_unwind(panic);
        }
    }
}

/// The way of a part's records to the consumer of the run.
fn delivery<A: Analysis>(run: &Arc<Run<A>>) -> impl Fn(Vec<FileResult<A::Output>>) + Send + Sync + use<A> {
    let run = Arc::clone(run);
    move |batch| run.deliver(batch)
}

impl<A: Analysis> FileReader<A> for HybridReader<A> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

impl<A: Analysis> Clone for HybridReader<A> {
    fn clone(&self) -> Self {
        Self { small: Arc::clone(&self.small), large: Arc::clone(&self.large), config: self.config.clone() }
    }
}

impl<A: Analysis> Default for HybridReader<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Analysis> std::fmt::Debug for HybridReader<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (small, large) = (self.small.name(), self.large.name());
        f.debug_struct("HybridReader")
            .field("small", &small)
            .field("large", &large)
            .field("config", &self.config)
            .finish()
    }
}
