//! The model: two readers at once, each with the files of the size that it is good at.
//!
//! ```text
//!                      ┌────────────── small side (tokio) ──────────────┐
//!  discovery ────────► │ open, read ── below the threshold ──► analyse  │ ──► records ──┐
//!                      └──────┬─────────────────────────────────────────┘               ▼
//!                             │ from the threshold on:                            one bounded channel ──► consumer
//!                             ▼ the open file, its size, its place                      ▲
//!                      ┌────────────── large side (rayon) ──────────────┐               │
//!                      │ read                                           │ ──► records ──┘
//!                      └────────────────────────────────────────────────┘
//! ```
//!
//! Every file is opened on the small side and read there up to the threshold. One that ends before it has been read, and its
//! routing has cost no system call; any other is asked for its size and, if it is large, rewound and sent over. Where a read
//! does not tell the end of a file, the size is asked for first. So what decides is the size of what was opened, not of what
//! was listed.
//!
//! Both sides work under one set of limits. As many seats as files may be read at once are shared between them, and as
//! many places as files may be open. There are more seats than workers while a device is what the small side waits for.
//! A worker takes both before it opens a file; a file that crosses over takes its place along, which therefore is also
//! the bound of what waits for the large side. Everything else waits for the consumer, as it does in the readers
//! themselves.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{Builder, scope};

use crossbeam_channel::{Sender, bounded};
use polyread_core::{
    Analysis, FileReader, FileResult, Job, Limits, Outlet, Producer, ReaderError, Records, Side, Sink, Split, Summary,
    WorkerId,
};
use polyread_rayon::RayonReader;
use polyread_tokio::TokioReader;

use crate::Config;

const NAME: &str = "hybrid";

/// Batches of records that may wait for the consumer: some for each side, so that neither waits for it in turn.
const BATCHES_AHEAD: usize = 16;

/// Records in one of them, at the most.
const MOST_AT_ONCE: usize = 64;

/// Reads small files with one reader and large ones with another, both at once.
///
/// By default the small side is a [`TokioReader`] and the large one a [`RayonReader`], and so a record's worker is a task or
/// a thread; its [side](FileResult::side) is told apart from that. Files of unknown size, as those in `/proc`, say 0 and are
/// read on the small side; one that grows after it was opened stays where it is.
///
/// [`Limits`] are kept by both sides together: never more than [`Limits::effective_workers`] files are read at the same
/// time, never more than [`Limits::max_open_files`] are open, and with a single worker never more than one. Where a device
/// is found to be what small files wait for, more of them wait at the same time, as many as keep the workers busy.
///
/// Under [`Limits::timeout`] a file that hangs is given up by the small side. The threads of the large side cannot be taken
/// out of a call: as many large files that hang as there are workers hold the whole run up, until those calls return.
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
    /// Both must read files by means of [`FileScanner`](polyread_core::FileScanner), as those of threads and of async
    /// runtimes do. A small side that opens files in its own way keeps all of them, and a large one opens them again; and
    /// such a side keeps the limits by itself, beside the other and not together with it. Worker processes are the example.
    /// Rings of io_uring do both: on the small side they read small files by themselves, within the limits of both, and have
    /// a scanner send over what is large, which costs such a file a second opening.
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
    /// - What the small side says if it cannot start. If the large side cannot, which is started for the first file that is
    ///   its own, every file is read all the same: those that have gone over by one thread, the others by the small side.
    pub fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let run = job.start();
        let (limits, sides) = (run.limits.clone(), self.clone());
        let (begun, has_begun) = bounded(1);
        let records = Records::of(NAME, run, BATCHES_AHEAD, move |producer| sides.produce(producer, &limits, &begun))?;
        // Without an answer the small side has panicked; so will the iterator.
        has_begun.recv().unwrap_or(Ok(())).map(|()| records)
    }

    /// Reads on both sides until both have ended.
    fn produce(&self, producer: Producer<A>, limits: &Limits, begun: &Sender<Result<(), ReaderError>>) {
        let Producer { entries, context, outlet } = producer;
        let Split { small, large, crossing } = Split::of(entries, context, limits, self.config.threshold);
        scope(|scope| {
            let (landing, mut lane) = (crossing.clone(), Lane::new(&outlet, Side::Large));
            // A number that no thread of the large side has.
            let afterwards = WorkerId::Thread(limits.effective_workers());
            let thread = Builder::new().name("polyread-large".to_owned()).spawn_scoped(scope, move || {
                // Its threads are not started for nothing.
                if !landing.is_used() {
                    return Ok(Ok(()));
                }
                let mut sink = |record| lane.take(record);
                let read = catch_unwind(AssertUnwindSafe(|| self.large.read(large, &mut sink).map(drop)));
                // Nothing, unless that ended before its time.
                let _ = landing.read_rest(afterwards).try_for_each(&mut sink);
                read
            });
            // What is to go over must find somebody who takes it.
            if thread.is_err() {
                crossing.close();
            }

            let small = small.when_begun({
                let begun = begun.clone();
                move || drop(begun.send(Ok(())))
            });
            let mut lane = Lane::new(&outlet, Side::Small);
            let small_read = catch_unwind(AssertUnwindSafe(|| self.small.read(small, &mut |record| lane.take(record))));
            crossing.close();
            let large_read = thread.map(|thread| thread.join().and_then(|read| read));

            match small_read {
                Ok(Ok(_)) => {}
                // It has read nothing, and says so before the first record is waited for.
                Ok(Err(error)) => drop(begun.send(Err(error))),
                Err(panic) => resume_unwind(panic),
            }
            match large_read {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::warn!(%error, "the large files were read without the large side"),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(error) => tracing::warn!(%error, "the large files were read without the large side"),
            }
        });
    }
}

/// One side's way to the one consumer.
#[derive(Debug)]
struct Lane<T> {
    outlet: Outlet<FileResult<T>>,
    side: Side,
    /// Records that others follow at once: none is kept while its reader waits for the next.
    batch: Vec<FileResult<T>>,
}

impl<T> Lane<T> {
    fn new(outlet: &Outlet<FileResult<T>>, side: Side) -> Self {
        Self { outlet: outlet.clone(), side, batch: Vec::new() }
    }

    fn take(&mut self, mut record: FileResult<T>) -> ControlFlow<()> {
        record.side = Some(self.side);
        let is_followed = record.is_followed && self.batch.len() < MOST_AT_ONCE;
        self.batch.push(record);
        if is_followed || self.send() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Whether there still is a consumer.
    fn send(&mut self) -> bool {
        self.outlet.send(std::mem::take(&mut self.batch))
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        // Kept only if the reader has panicked in the middle of a batch.
        self.send();
    }
}

impl<A: Analysis> FileReader<A> for HybridReader<A> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
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
