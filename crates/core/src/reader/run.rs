//! A job that has been started.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::deferral::Deferral;
use super::entries::{Entries, Entry, Source, Taken};
use super::state::{Outlet, RunState};
use super::tally::Tally;
use super::worker::Worker;
use crate::analysis::Analysis;
use crate::background::Background;
use crate::budget::{Budget, Reservation};
use crate::cancel::CancelToken;
use crate::error::ReaderError;
use crate::limits::Limits;
use crate::lock::lock;
use crate::progress::Progress;
use crate::record::{FileResult, WorkerId};
use crate::records::Records;

/// Batches of records that may wait for the consumer, for each worker: enough that a worker need not wait while the consumer
/// looks at another's.
const BATCHES_AHEAD: usize = 4;

/// A job that has been started, as its reader sees it: gives entries, makes workers, takes records.
///
/// The run is over when this is dropped: records that a worker delivers later are dropped. A reader must read every entry that
/// it takes, and keep the run until its workers have delivered.
pub struct Run<A: Analysis> {
    state: Arc<RunState<A>>,
    entries: Arc<Mutex<Entries>>,
    /// For the consumer, until there is one.
    tally: Option<Tally>,
    is_part: bool,
}

impl<A: Analysis> Run<A> {
    /// A run of the job's own.
    pub(crate) fn new(
        source: Source,
        analysis: A,
        limits: Limits,
        cancel: CancelToken,
        progress: Progress,
        deferral: Option<Arc<Deferral>>,
    ) -> Self {
        let own = cancel.child();
        if let Source::Walk(walk) = &source {
            walk.end_with(&own);
        }
        let state = RunState {
            prototype: Arc::new(Mutex::new(analysis)),
            budget: Budget::new(limits.bytes_in_flight),
            limits,
            cancel: own,
            progress: progress.clone(),
            deferral,
            outlet: Outlet::new(None),
            before_waiting: None,
        };
        Self::over(source, state, cancel, progress, false)
    }

    /// A run that is a part of another one, whose records go straight to `outlet`.
    pub(crate) fn of_part(
        whole: &Arc<RunState<A>>,
        source: Source,
        limits: Limits,
        outlet: Outlet<A::Output>,
        deferral: Option<Arc<Deferral>>,
    ) -> Self {
        let cancel = whole.cancel.child();
        let state = RunState {
            prototype: Arc::clone(&whole.prototype),
            budget: Arc::clone(&whole.budget),
            limits,
            cancel: cancel.clone(),
            progress: whole.progress.clone(),
            deferral,
            outlet,
            before_waiting: None,
        };
        // Its entries are counted by the whole.
        Self::over(source, state, cancel, Progress::new(), true)
    }

    /// `cancel` is the consumer's token, and `progress` counts the entries.
    fn over(source: Source, state: RunState<A>, cancel: CancelToken, progress: Progress, is_part: bool) -> Self {
        let taken = Arc::new(Taken::default());
        let entries = Entries::new(source, state.cancel.clone(), progress.clone(), Arc::clone(&taken));
        let tally = Some(Tally::new(progress, cancel, taken));
        Self { state: Arc::new(state), entries: Arc::new(Mutex::new(entries)), tally, is_part }
    }

    pub(crate) fn state(&self) -> &Arc<RunState<A>> {
        &self.state
    }

    /// Takes the next entries, at least one and at most `most`; `None` at the end, and when the run is cancelled. Waits while
    /// discovery has found none. Workers may call it at the same time: one is served after the other.
    ///
    /// No entry ever waits for others to make a batch of them; see [`Job::new`](crate::Job::new). A panic of the job's
    /// iterator ends the entries here, and reaches the consumer after the records.
    pub fn next_batch(&self, most: usize) -> Option<Vec<Entry>> {
        lock(&self.entries).next_batch(most)
    }

    /// [`next_batch`](Self::next_batch) as a function, for a thread of its own: discovery may block, and the function may outlive
    /// the run.
    pub fn batches(&self) -> impl FnMut(usize) -> Option<Vec<Entry>> + Send + 'static + use<A> {
        let entries = Arc::clone(&self.entries);
        move |most| lock(&entries).next_batch(most)
    }

    /// A worker. Its buffer is allocated and its clone of the analysis made when it reads its first file.
    pub fn worker(&self, id: WorkerId) -> Worker<A> {
        Worker::new(Arc::clone(&self.state), id)
    }

    /// Hands records over that no [`Worker`] has made, waiting while the consumer is behind.
    pub fn deliver(&self, records: Vec<FileResult<A::Output>>) {
        self.state.outlet.deliver(records);
    }

    /// The job's bounds.
    pub fn limits(&self) -> &Limits {
        &self.state.limits
    }

    /// The token of this run, a child of the job's: to stop its workers, or to see whether they must stop.
    pub fn cancel_token(&self) -> &CancelToken {
        &self.state.cancel
    }

    /// Whether this is a [part](crate::Job::part_of) of another run, whose consumer has the records.
    pub(crate) fn is_part(&self) -> bool {
        self.is_part
    }

    /// A clone of the job's analysis. Panics if cloning it does.
    pub fn analysis(&self) -> A {
        lock(&self.state.prototype).clone()
    }

    /// Counts bytes of files that no [`Worker`] of this run has read, for the job's progress.
    pub fn has_read(&self, bytes: u64) {
        self.state.progress.bytes(bytes);
    }

    /// Takes bytes of [`Limits::bytes_in_flight`], for a record that no [`Worker`] makes. Waits until so many are free; `None`
    /// if they are more than there are, or the run is cancelled meanwhile.
    pub fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let budget = &self.state.budget;
        (bytes <= budget.capacity()).then(|| budget.acquire(bytes, &self.state.cancel)).flatten()
    }

    /// The same, if so many are free at once.
    pub fn try_reserve(&self, bytes: u64) -> Option<Reservation> {
        self.state.budget.try_acquire(bytes)
    }

    /// Has `call` called whenever a worker is about to wait for bytes in flight, with their number, after its records were
    /// delivered.
    ///
    /// # Panics
    ///
    /// If there are workers already.
    #[must_use]
    pub fn before_waiting(mut self, call: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let state = Arc::get_mut(&mut self.state).expect("a run without workers");
        state.before_waiting = Some(Box::new(call));
        self
    }

    /// Starts reading: `read` is given the run on a thread named after the strategy, and the records are the caller's. When
    /// `read` returns and drops the run, there are no more.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if the thread cannot be started.
    ///
    /// # Panics
    ///
    /// If the run [delivers](Self::delivering) already.
    pub fn records(
        mut self,
        strategy: &'static str,
        read: impl FnOnce(Self) + Send + 'static,
    ) -> Result<Records<A::Output>, ReaderError> {
        let tally = self.tally.take().expect("the run has no consumer yet");
        let (cancel, ahead) = (self.state.cancel.clone(), BATCHES_AHEAD * self.state.limits.effective_workers());
        let background = Background::spawn(&format!("polyread-{strategy}"), ahead, cancel, move |outlet| {
            let _span = tracing::info_span!("read", strategy).entered();
            // The records of a part go to the consumer of the whole.
            if !self.is_part {
                self.state.outlet.open(Arc::new(move |batch| _ = outlet.send(batch)));
            }
            read(self);
        });
        let background = background.map_err(|error| ReaderError::Start { strategy, reason: error.to_string() })?;
        Ok(Records::new(background, tally))
    }

    /// For a reader with a way of its own to the consumer: `deliver` takes batches of records there, on any thread. It may block
    /// while the consumer is behind, as long as the run is not cancelled. The consumer has the [`Tally`]. In a
    /// [part](crate::Job::part_of) neither is used: its records go where the part says.
    ///
    /// # Panics
    ///
    /// If the run delivers already.
    #[must_use]
    pub fn delivering(mut self, deliver: impl Fn(Vec<FileResult<A::Output>>) + Send + Sync + 'static) -> (Self, Tally) {
        let tally = self.tally.take().expect("the run has no consumer yet");
        if !self.is_part {
            self.state.outlet.open(Arc::new(deliver));
        }
        (self, tally)
    }
}

impl<A: Analysis> Drop for Run<A> {
    fn drop(&mut self) {
        // A worker that hangs or waits must not go on when its records reach no consumer.
        self.state.cancel.cancel();
        self.state.outlet.close();
    }
}

impl<A: Analysis> fmt::Debug for Run<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("limits", &self.state.limits).finish_non_exhaustive()
    }
}
