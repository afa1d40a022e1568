//! The contract: what every reader takes, gives and promises.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::budget::Budget;
use crate::scan::Shared;
use crate::split::{Crossed, Gate, Route};
use crate::{
    Analysis, CancelToken, FileEntry, FileResult, FileScanner, Limits, Progress, ReadError, ReaderError, Summary,
    Tally, Walk,
};

/// Reads files in some concurrency model and hands over one record for each.
///
/// This is the whole contract. Every implementation passes the same conformance suite, so that one can stand in for
/// another; it is usable as `dyn FileReader<A>`.
///
/// # The promises
///
/// - **Exactly one record for each entry taken from the job**, whatever happens to the file: read, failed, skipped, or
///   cancelled in the middle. Failures of files never end the run.
/// - **Records come as they are finished**, in any order. [`FileResult::index`] restores the order of discovery.
/// - **Everything is bounded**: entries read ahead, records waiting for the sink, open files, bytes in flight. A slow
///   sink slows the workers down; it does not fill the memory.
/// - **When the call returns, the run is over**: no thread of the run, no descriptor is left behind, unless a read call
///   hangs in the kernel; then the worker that is inside ends with that call.
///
/// # Why a sink, and why on the caller's thread?
///
/// Pushing records into a closure lets the reader decide when it waits for work and when it delivers, and costs nothing
/// for each record. That the closure runs on the thread that made the call means that it need be neither `Send` nor
/// `Sync`: it may fill a `Vec`, write to a locked standard output or keep an `Rc`, without a lock around it. Who would
/// rather pull uses the iterator or the stream that the readers of threads and of async runtimes offer beside it.
pub trait FileReader<A: Analysis>: Send + Sync {
    /// The stable name of the strategy, as the command line and reports spell it.
    fn name(&self) -> &'static str;

    /// Reads all files of the job, calling `sink` for each record on this thread.
    ///
    /// `ControlFlow::Break` from the sink ends the run: no further record is handed over, and the summary says
    /// [`Stopped::Sink`](crate::Stopped::Sink). Cancelling the job's token ends it as well: files in the middle of being
    /// read end in records of kind [`Cancelled`](crate::ErrorKind::Cancelled), and the summary says
    /// [`Stopped::Cancelled`](crate::Stopped::Cancelled). A panic in the sink passes through, after the workers were
    /// stopped.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::InsideRuntime`] when the model needs a runtime and this thread is already in one.
    /// - [`ReaderError::Start`] when threads or a runtime cannot be started.
    /// - [`ReaderError::Unavailable`] when the system lacks what the model is made of.
    ///
    /// No record has been handed over when an error is returned.
    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError>;
}

/// A reader that was chosen at run time is one too.
impl<A: Analysis, R: FileReader<A> + ?Sized> FileReader<A> for Box<R> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        (**self).read(job, sink)
    }
}

/// The consumer of a run; see [`FileReader::read`].
pub type Sink<'a, T> = dyn FnMut(FileResult<T>) -> ControlFlow<()> + 'a;

/// The files of a job as they come: the result of a discovery, or a list.
pub type Files = Box<dyn Iterator<Item = Result<FileEntry, ReadError>> + Send>;

/// What to read and how: files, analysis, limits, cancel token, progress.
///
/// ```
/// use polyread_core::{CancelToken, Job, Limits, TextStats};
///
/// let cancel = CancelToken::new();
/// let job = Job::of_paths(["a.txt", "b.txt"], TextStats::default())
///     .limits(Limits::default().workers(4))
///     .cancel_token(cancel.clone());
/// ```
pub struct Job<A> {
    files: Source,
    analysis: Arc<Mutex<A>>,
    limits: Limits,
    cancel: CancelToken,
    progress: Progress,
    when_begun: Option<Box<dyn FnOnce() + Send>>,
    part: Option<Part>,
}

/// What the side of a [split](crate::Split) run has from the whole.
pub(crate) struct Part {
    pub(crate) whole: Arc<Shared>,
    pub(crate) gate: Arc<Gate>,
    /// Where files leave this side.
    pub(crate) route: Option<Route>,
}

impl<A: Analysis> Job<A> {
    /// A job over discovered files. The iterator may block: no reader waits for it on a thread that has other work.
    ///
    /// How many entries travel together depends on what the iterator is. A [`Walk`] gives what it has found, and the end
    /// of the run ends it. One that knows how many items are left, as a list does, is taken to have them. Of any other
    /// entries are taken one by one: it may wait for a record of the same run before it goes on.
    pub fn new<I>(files: I, analysis: A) -> Self
    where
        I: IntoIterator<Item = Result<FileEntry, ReadError>>,
        I::IntoIter: Send + 'static,
    {
        let mut files = Some(files.into_iter());
        let walk = (&mut files as &mut dyn Any).downcast_mut::<Option<Walk>>().and_then(Option::take);
        let files = match (walk, files) {
            (Some(walk), _) => Source::Walk(walk),
            (None, Some(files)) => Source::Other(Box::new(files.fuse())),
            (None, None) => Source::Other(Box::new(std::iter::empty())),
        };
        Self {
            files,
            analysis: Arc::new(Mutex::new(analysis)),
            limits: Limits::default(),
            cancel: CancelToken::new(),
            progress: Progress::new(),
            when_begun: None,
            part: None,
        }
    }

    /// One side of a run. Its records are counted by the whole alone: this progress is shown to nobody.
    pub(crate) fn part(files: Source, analysis: Arc<Mutex<A>>, limits: Limits, part: Part) -> Self {
        let (cancel, progress) = (part.whole.cancel.clone(), Progress::new());
        Self { files, analysis, limits, cancel, progress, when_begun: None, part: Some(part) }
    }

    /// A job over files that are named, not discovered. Links are followed; a file that does not exist is a failure of
    /// kind [`NotFound`](crate::ErrorKind::NotFound).
    pub fn of_paths<I>(paths: I, analysis: A) -> Self
    where
        I: IntoIterator<Item: Into<PathBuf>>,
        I::IntoIter: Send + 'static,
    {
        Self::new(paths.into_iter().map(|path| Ok(FileEntry::new(path))), analysis)
    }

    /// Bounds of the run. Default: what the machine allows.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The token that stops the run, and the walk that it reads from. A run never raises it itself.
    #[must_use]
    pub fn cancel_token(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Counters to be raised while the run goes on.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Called once, on some thread of the reader's, when the first entry is asked for: the reader has started and returns no
    /// error any more. Dropped without a call by one that never gets there.
    #[must_use]
    pub fn when_begun(mut self, call: impl FnOnce() + Send + 'static) -> Self {
        self.when_begun = Some(Box::new(call));
        self
    }

    /// Takes the job apart for a run: the clock starts.
    ///
    /// For those who write a reader.
    pub fn start(self) -> Run<A> {
        let cancel = self.cancel.child();
        if let Source::Walk(walk) = &self.files {
            walk.end_with(&cancel);
        }
        let taken = Arc::new(Taken::default());
        let is_part = self.part.is_some();
        let (budget, progress, gate, route) = match self.part {
            None => (Budget::new(self.limits.bytes_in_flight), self.progress.clone(), None, None),
            Some(Part { whole, gate, route }) => (Arc::clone(&whole.budget), whole.progress.clone(), Some(gate), route),
        };
        let shared = Arc::new(Shared {
            cancel: cancel.clone(),
            progress,
            budget,
            max_file_size: self.limits.max_file_size,
            timeout: self.limits.timeout,
            gate,
            route,
        });
        Run {
            entries: Entries {
                files: self.files,
                next_index: 0,
                when_begun: self.when_begun,
                panic: None,
                cancel: cancel.clone(),
                progress: self.progress.clone(),
                taken: Arc::clone(&taken),
            },
            context: Context { analysis: self.analysis, shared },
            tally: Tally::new(self.progress, self.cancel, taken, is_part),
            limits: self.limits,
            cancel,
        }
    }
}

impl<A: std::fmt::Debug> std::fmt::Debug for Job<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("analysis", &self.analysis).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A job that has been started, in the parts that a reader puts in different places.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Run<A> {
    /// The entries, numbered: for whoever feeds the workers.
    pub entries: Entries,
    /// What a worker needs: cloned once for each.
    pub context: Context<A>,
    /// The consumer's side: counts what is handed over.
    pub tally: Tally,
    /// The job's bounds.
    pub limits: Limits,
    /// The token of this run, a child of the job's: what the reader itself raises to stop its workers.
    pub cancel: CancelToken,
}

/// One entry with its place in the order of discovery.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position in the order of discovery, from 0.
    pub index: u64,
    /// The file, or what discovery has to say instead.
    pub found: Result<FileEntry, ReadError>,
}

/// Where a job's files come from.
pub(crate) enum Source {
    /// Tells what it has without waiting, and ends when it is told to.
    Walk(Walk),
    /// Anybody's iterator.
    Other(Files),
    /// Those of the whole run, for the side that opens them; numbered and counted there.
    Whole(Box<Entries>),
    /// What that side has sent over. A raised token does not end it: each of these must have its record.
    Crossed(Crossed),
}

/// How many entries were taken from discovery: what the number of records must come to.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    entries: AtomicU64,
    all: AtomicBool,
}

impl Taken {
    /// Whether discovery has come to its end and this is the number of its entries.
    pub(crate) fn are_all(&self, records: u64) -> bool {
        self.all.load(Ordering::Acquire) && self.entries.load(Ordering::Acquire) == records
    }
}

/// The entries of a run in the order of discovery. Ends early when the run is cancelled.
pub struct Entries {
    files: Source,
    next_index: u64,
    when_begun: Option<Box<dyn FnOnce() + Send>>,
    /// A panic of the iterator, kept until what came before it has been handed over.
    panic: Option<Box<dyn Any + Send>>,
    cancel: CancelToken,
    progress: Progress,
    taken: Arc<Taken>,
}

impl Entries {
    /// The next entries, at least one and at most `most`; empty at the end.
    ///
    /// No entry ever waits for others to make a batch of them; see [`Job::new`].
    ///
    /// # Panics
    ///
    /// When the job's iterator of files does; the entries before come first.
    pub fn next_batch(&mut self, most: usize) -> Vec<Entry> {
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        self.begin();
        let found = match &mut self.files {
            Source::Crossed(crossed) => return crossed.next_batch(most),
            _ if self.cancel.is_cancelled() => Vec::new(),
            Source::Whole(entries) => return entries.next_batch(most),
            Source::Walk(walk) => walk.next_batch(most),
            Source::Other(files) => {
                let (least, most_left) = files.size_hint();
                let wanted = if Some(least) == most_left { most.max(1) } else { 1 };
                let mut found = Vec::new();
                let gathered = catch_unwind(AssertUnwindSafe(|| found.extend(files.by_ref().take(wanted))));
                match gathered {
                    Err(panic) if found.is_empty() => resume_unwind(panic),
                    gathered => self.panic = gathered.err(),
                }
                found
            }
        };
        if found.is_empty() {
            self.end();
        }
        found.into_iter().map(|found| self.number(found)).collect()
    }

    fn begin(&mut self) {
        if let Some(call) = self.when_begun.take() {
            call();
        }
    }

    fn number(&mut self, found: Result<FileEntry, ReadError>) -> Entry {
        self.progress.discovered();
        let index = self.next_index;
        self.next_index += 1;
        self.taken.entries.store(self.next_index, Ordering::Release);
        Entry { index, found }
    }

    /// Discovery has come to its end; unless it was the run that ended, over a walk that had more to give.
    fn end(&self) {
        if !self.cancel.is_cancelled() {
            self.progress.discovery_ended();
            self.taken.all.store(true, Ordering::Release);
        }
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.begin();
        let found = match &mut self.files {
            Source::Crossed(crossed) => return crossed.next_batch(1).pop(),
            _ if self.cancel.is_cancelled() => None,
            Source::Whole(entries) => return entries.next(),
            Source::Walk(walk) => walk.next(),
            Source::Other(files) => files.next(),
        };
        if found.is_none() {
            self.end();
        }
        found.map(|found| self.number(found))
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("next_index", &self.next_index).finish_non_exhaustive()
    }
}

/// What a worker needs to read files for a run.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Context<A> {
    pub(crate) analysis: Arc<Mutex<A>>,
    pub(crate) shared: Arc<Shared>,
}

impl<A> Clone for Context<A> {
    fn clone(&self) -> Self {
        Self { analysis: Arc::clone(&self.analysis), shared: Arc::clone(&self.shared) }
    }
}

impl<A: Analysis> Context<A> {
    /// A scanner. Its buffer is allocated and its prototype of the analysis cloned when it is first used.
    pub fn scanner(&self) -> FileScanner<A> {
        FileScanner::new(Arc::clone(&self.analysis), Arc::clone(&self.shared))
    }

    /// In a split run: seats for so many files, since they are waited for.
    pub(crate) fn seat(&self, files: Option<usize>) {
        if let Some(gate) = &self.shared.gate {
            gate.resize(files);
        }
    }

    /// Whether the run is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancel.is_cancelled()
    }
}
