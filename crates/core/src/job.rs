//! What to read and how.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::Analysis;
use crate::cancel::CancelToken;
use crate::discovery::Walk;
use crate::error::ReadError;
use crate::file::FileEntry;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::reader::deferral::Deferral;
use crate::reader::entries::{Entry, Source};
use crate::reader::run::Run;
use crate::reader::state::{Outlet, RunState};
use crate::record::FileResult;

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
pub struct Job<A: Analysis> {
    source: Source,
    limits: Limits,
    deferral: Option<Arc<Deferral>>,
    of: Of<A>,
}

/// Whether the job is a run of its own or a part of one.
enum Of<A: Analysis> {
    Itself {
        analysis: A,
        cancel: CancelToken,
        progress: Progress,
    },
    /// A run of which it reads some entries.
    Run {
        state: Arc<RunState<A>>,
        outlet: Outlet<A::Output>,
    },
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
        let source = match (walk, files) {
            (Some(walk), _) => Source::Walk(walk),
            (None, Some(files)) => Source::Files(Box::new(files.fuse())),
            (None, None) => Source::Files(Box::new(std::iter::empty())),
        };
        let of = Of::Itself { analysis, cancel: CancelToken::new(), progress: Progress::new() };
        Self { source, limits: Limits::default(), deferral: None, of }
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

    /// A job over some of the entries of a run, for a reader that is composed of others. `next_batch` gives them: it is asked
    /// for at most so many, waits while there are none, and returns `None` at the end. Each is numbered by the run.
    ///
    /// The part has the run's analysis, limits, bytes in flight, progress, and a child of its token; setting the token or the
    /// progress of a part does nothing. Its records go to
    /// `deliver`, batch by batch, on the thread of the worker that has them, and not to the sink or iterator that its reader
    /// is called with. Cancelling the run does not end the part's entries: each that is given must have a record.
    pub fn part_of(
        run: &Run<A>,
        next_batch: impl FnMut(usize) -> Option<Vec<Entry>> + Send + 'static,
        deliver: impl Fn(Vec<FileResult<A::Output>>) + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::clone(run.state());
        let (limits, deferral) = (state.limits.clone(), state.deferral.clone());
        let outlet = Outlet::new(Some(Arc::new(deliver)));
        Self { source: Source::Part(Box::new(next_batch)), limits, deferral, of: Of::Run { state, outlet } }
    }

    /// Bounds of the run. Default: what the machine allows. A [part](Self::part_of) shares the
    /// bytes in flight of the whole run.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The token that stops the run, and the walk that it reads from. A run never raises it itself.
    #[must_use]
    pub fn cancel_token(mut self, token: CancelToken) -> Self {
        if let Of::Itself { cancel, .. } = &mut self.of {
            *cancel = token;
        }
        self
    }

    /// Counters to be raised while the run goes on.
    #[must_use]
    pub fn progress(mut self, counters: Progress) -> Self {
        if let Of::Itself { progress, .. } = &mut self.of {
            *progress = counters;
        }
        self
    }

    /// Leaves files of `bytes` or more to another reader. They are opened, and then their records
    /// [carry them](FileResult::take_deferred): the consumer of the records gives the files to the other reader, as entries of
    /// a [part](Self::part_of).
    ///
    /// At most `most_open` of them are open and not yet read, beside the files that this job's own limits allow; a worker
    /// that finds one more waits. If the file is not taken out of its record, the record is an error of kind
    /// [`Cancelled`](crate::ErrorKind::Cancelled).
    #[must_use]
    pub fn defer_from(mut self, bytes: u64, most_open: usize) -> Self {
        // A nested part must not keep files that the outer run defers.
        let outer = self.deferral.as_ref().map_or(u64::MAX, |outer| outer.from());
        self.deferral = Some(Deferral::new(bytes.min(outer), most_open));
        self
    }

    /// Starts the job, for its reader: the clock runs.
    pub fn start(self) -> Run<A> {
        let Self { source, limits, deferral, of } = self;
        match of {
            Of::Itself { analysis, cancel, progress } => Run::new(source, analysis, limits, cancel, progress, deferral),
            Of::Run { state, outlet } => Run::of_part(&state, source, limits, outlet, deferral),
        }
    }
}

impl<A: Analysis> fmt::Debug for Job<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("limits", &self.limits).finish_non_exhaustive()
    }
}
