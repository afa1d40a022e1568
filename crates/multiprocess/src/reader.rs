//! The model: worker processes that read batches of files, and for each process a thread that supervises it.
//!
//! ```text
//!  discovery ──► this run's thread: takes entries, queues files        (bounded)
//!                        │
//!          ┌─────────────┼──────────────┐  supervisors: one thread for each process
//!          ▼             ▼              ▼
//!   ─ ─ ─ orders: batches of up to 128 files ─ ─ ─ ─ ─ ─ ─ ─ ─ process boundary ─ ─
//!          ▼             ▼              ▼
//!     process-4711  process-4712   process-4713      each: reads, analyses, collects records
//!          │             │              │
//!   ─ ─ ─ answers: records, a few dozen at once; large contents in shared memory ─ ─
//!          ▼             ▼              ▼
//!          └─────────────┼──────────────┘  supervisors: make records of the answers
//!                        ▼ bounded channel
//!                     consumer
//! ```
//!
//! This file is the life of a file, from top to bottom:
//!
//! 1. *queued*: `queue_files`. The queue is bounded.
//! 2. *handed to a process* in a batch: `Supervisor::turn`. The supervisor keeps a list of the files that its process has.
//! 3. *begun*: the process writes into shared memory which file it has begun; `Supervisor::look` reads it.
//! 4. *recorded*: `Supervisor::take`, and the list is one file shorter.
//! 5. If the process is lost before (killed, stopped, hung, or talking garbage): `Supervisor::recover`. Files that were not
//!    begun go back to the queue. Files that were begun are *retried*, each alone. A file that has cost two processes is
//!    *poison*: it fails.
//! 6. If the file is large and its analysis can be combined: `Supervisor::record` puts its *parts* into the queue, and the
//!    last part makes the record.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::thread::{Builder, scope};
use std::time::Duration;

use polyread_core::{Analysis, ErrorKind, FileReader, FileResult, Job, Operation, ReaderError, Records};

use crate::config::Config;
use crate::pool::{Candidate, Pool};
use crate::portable_analysis::PortableAnalysis;
use crate::process::Process;
use crate::protocol::{Answer, ChannelError, Opening, Outcome, SentRecord, SharedMemory};
use crate::run::{
    BATCHES_IN_HAND, Connection, FileClock, InHand, PartResult, RunState, Task, decode_outcome, this_process,
};

const NAME: &str = "multiprocess";

/// Entries taken from discovery at once.
const ENTRIES: usize = 64;

/// The most tries of one file. A second one, because a worker may be lost for any reason; no third, because by then the
/// file is the reason.
const MOST_TRIES: u32 = 2;

/// The longest time, under a time limit, until a worker begins a batch: no file is to blame that none has been begun.
const SLOW_START: Duration = Duration::from_secs(5);

/// Reads files in worker processes.
///
/// A record's worker is the process that read it, `process-4711`, one of
/// [`Limits::workers`](polyread_core::Limits::workers) at the most; its [`attempts`](FileResult::attempts) are 2 if a worker
/// was lost over it. Whatever a file does to its worker costs that file alone: a crash, an abort or a call that hangs ends
/// in a record of kind [`WorkerDied`](ErrorKind::WorkerDied) or, under
/// [`Limits::timeout`](polyread_core::Limits::timeout), [`Timeout`](ErrorKind::Timeout).
///
/// The workers are this very program, started again: [`Worker::run`](crate::Worker::run) belongs early into its `main`.
#[derive(Clone, Debug, Default)]
pub struct MultiprocessReader {
    config: Config,
    /// `None`: each run starts its own.
    pool: Option<Pool>,
}

impl MultiprocessReader {
    /// A reader whose workers are this program, with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config, pool: None }
    }

    /// A reader whose workers are another program; see [`Config::worker`].
    pub fn with_worker(program: impl Into<PathBuf>) -> Self {
        Self::with_config(Config::default().worker(program))
    }

    /// The records of a run as an iterator. Reading starts at once, in other processes, and goes on ahead of the consumer
    /// by a bounded amount. Dropping the iterator ends the run: its processes are killed and reaped.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if not even one process can be started and made ready: the program does not run a
    /// [`Worker`](crate::Worker), or one that does not know this analysis, or the system refuses. If only some can, the run
    /// makes do with those.
    pub fn records<A: PortableAnalysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let start_error = |reason| ReaderError::Start { strategy: NAME, reason };
        let pool = match &self.pool {
            Some(pool) => pool.clone(),
            None => Pool::start(self.config.clone()).map_err(|error| start_error(error.to_string()))?,
        };
        let run = job.start();
        let opening = Opening::of(&run).map_err(start_error)?;
        let workers = run.limits().effective_workers();
        let (first, others) = pool.start_processes(workers, &opening).map_err(start_error)?;
        let (config, is_kept) = (self.config.clone(), self.pool.is_some());
        run.records(NAME, move |run| {
            let state = RunState::new(run, config, opening, (pool, is_kept), 1 + others.len());
            read(&state, first, others);
        })
    }
}

impl Pool {
    /// A reader whose runs use this pool.
    pub fn reader(&self) -> MultiprocessReader {
        MultiprocessReader { config: self.config().clone(), pool: Some(self.clone()) }
    }
}

impl<A: PortableAnalysis> FileReader<A> for MultiprocessReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}

/// Reads all files of a run. It begins with the first process, which is ready; the others join when they are.
fn read<A: PortableAnalysis>(state: &RunState<A>, first: Process, others: Vec<Candidate>) {
    scope(|scope| {
        for candidate in std::iter::once(Candidate::Ready(first)).chain(others) {
            let supervisor = move || {
                let supervised = catch_unwind(AssertUnwindSafe(|| supervise(state, candidate)));
                supervised.unwrap_or_else(|panic| {
                    state.queue.abort();
                    resume_unwind(panic)
                });
            };
            let thread = Builder::new().name("polyread-supervisor".to_owned());
            if thread.spawn_scoped(scope, supervisor).is_err() {
                state.queue.remove_process();
            }
        }
        queue_files(state);
    });
    state.deliver_unread(state.queue.take_unread());
}

/// Queues all files that discovery finds.
fn queue_files<A: Analysis>(state: &RunState<A>) {
    while let Some(batch) = state.run.next_batch(ENTRIES) {
        let (mut tasks, mut failed) = (Vec::with_capacity(batch.len()), Vec::new());
        for entry in batch {
            match Task::new(entry) {
                Ok(task) => tasks.push(task),
                // A failure of discovery needs no worker.
                Err((index, error)) => failed.push(FileResult::failed(index, error, this_process())),
            }
        }
        state.run.deliver(failed);
        state.deliver_unread(state.queue.add(tasks, state.run.cancel_token()));
    }
    state.queue.close();
}

/// Supervises one process after the other until there is nothing left to read, or no process to read it.
fn supervise<A: PortableAnalysis>(state: &RunState<A>, candidate: Candidate) {
    let mut process = state.make_ready(candidate);
    while let Some(ready) = process {
        process = Supervisor::new(state, ready).run();
    }
    state.queue.remove_process();
}

/// Supervises one process: gives it batches, makes records of its answers, watches the file that it is at, and decides what
/// happens to the files that it had when it is lost.
struct Supervisor<'a, A: Analysis> {
    state: &'a RunState<A>,
    process: Connection<'a, A>,
    in_hand: InHand,
    clock: FileClock,
}

/// Why a process is given up.
enum Loss {
    /// It died, or it does not speak the protocol.
    Broken(ChannelError),
    /// The file that it is at takes too long.
    Late,
    /// It was stopped from outside.
    Stopped,
}

impl<'a, A: PortableAnalysis> Supervisor<'a, A> {
    fn new(state: &'a RunState<A>, process: Process) -> Self {
        let process = Connection::new(&state.run, process);
        Self { state, process, in_hand: InHand::default(), clock: FileClock::start() }
    }

    /// Supervises the process until it has nothing left to do, or is lost. Then returns its replacement, if there is one.
    fn run(mut self) -> Option<Process> {
        let ended = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(loss) => break Err(loss),
            }
        };
        match ended {
            // A process can be killed whatever it is doing: it is never asked to stop.
            _ if self.state.is_cancelled() => self.cancel(),
            Ok(()) => self.state.keep(self.process.into_process()),
            Err(loss) => return self.recover(loss),
        }
        None
    }

    /// Gives the process work and takes one answer; `false` when there is nothing left to do.
    fn turn(&mut self) -> Result<bool, Loss> {
        let (state, cancel) = (self.state, self.state.run.cancel_token());
        while self.in_hand.batches() < BATCHES_IN_HAND {
            let tasks = match self.in_hand.is_empty() {
                true => state.queue.take(state.config.batch, cancel),
                false => state.queue.take_ahead(state.config.batch),
            };
            if tasks.is_empty() {
                break;
            }
            let tasks = self.drop_parts_of_failed_files(tasks);
            if !tasks.is_empty() {
                self.hand_over(tasks)?;
            }
        }
        if self.in_hand.is_empty() || cancel.is_cancelled() {
            return Ok(false);
        }
        match self.process.receive().map_err(Loss::Broken)? {
            Some((answer, shared)) => {
                self.take(answer, &shared).map_err(Loss::Broken)?;
                // Delivering records waits for the consumer: that time is not the process's.
                self.clock.restart();
            }
            None => self.look()?,
        }
        Ok(true)
    }

    /// Records the parts of files that have failed already: another part is not worth a worker, and may cost one.
    fn drop_parts_of_failed_files(&self, tasks: Vec<Task>) -> Vec<Task> {
        let (failed, tasks): (Vec<_>, _) = tasks.into_iter().partition(|task| self.state.divided.has_failed(task));
        let records = failed.iter().filter_map(|task| {
            let error = task.error(ErrorKind::Cancelled, Operation::Read);
            self.state.failed(task, error, self.process.worker())
        });
        self.state.deliver(failed.len(), records.collect());
        tasks
    }

    fn hand_over(&mut self, tasks: Vec<Task>) -> Result<(), Loss> {
        if self.in_hand.is_empty() {
            self.clock.restart();
        }
        let (number, tasks) = self.in_hand.add(tasks);
        self.process.send_batch(number, tasks).map_err(Loss::Broken)
    }

    /// Looks at the progress of a silent process: how far it has come, and whether its file takes too long.
    fn look(&mut self) -> Result<(), Loss> {
        let (position, bytes) = self.process.position();
        let file = self.in_hand.at(position);
        let is_at_a_file = file.is_some();
        if let Some(task) = file {
            task.report(bytes, &self.state.run);
        }
        let time = self.clock.time_at(position);
        let Some(patience) = self.state.patience else { return Ok(()) };
        let patience = if is_at_a_file { patience } else { patience.max(SLOW_START) };
        match time {
            time if time < patience => Ok(()),
            _ if self.process.is_stopped() || !is_at_a_file => Err(Loss::Stopped),
            _ => Err(Loss::Late),
        }
    }

    /// Takes an answer. One that does not fit the batches that the process has is garbage.
    fn take(&mut self, answer: Answer, shared: &SharedMemory) -> Result<(), ChannelError> {
        match answer {
            Answer::Records { batch, records } => {
                let (mut count, mut done) = (0, Vec::with_capacity(records.len()));
                let recorded = records.into_iter().try_for_each(|sent| {
                    done.extend(self.record(batch, sent, shared)?);
                    count += 1;
                    Ok(())
                });
                self.state.deliver(count, done);
                recorded
            }
            Answer::Done { batch, taken } => {
                self.state.queue.put_back(self.in_hand.finish(batch, taken)?);
                self.process.take_back_room();
                Ok(())
            }
            Answer::NeedsRoom(bytes) => self.process.grant_room(bytes),
            Answer::Ready | Answer::Refused(_) => Err(ChannelError::invalid("it answers what it was not asked")),
        }
    }

    /// Makes the record of a file. There is none yet for a file that is to be read in parts, and for a part that is not the
    /// last one.
    fn record(
        &mut self,
        batch: u32,
        sent: SentRecord,
        shared: &SharedMemory,
    ) -> Result<Option<FileResult<A::Output>>, ChannelError> {
        let SentRecord { place, outcome, bytes, elapsed, room } = sent;
        let Self { state, process, in_hand, .. } = self;
        let not_given = || ChannelError::invalid("it records what it was not given");
        let is_possible = room <= state.run.limits().bytes_held();
        let task = in_hand.get(batch, place).filter(|_| is_possible).ok_or_else(not_given)?;
        let attempts = task.tries + 1;
        let payload = match outcome {
            Ok(Outcome::Large(version)) => {
                let parts = state.divided.divide(task, version);
                let parts = parts.ok_or_else(|| ChannelError::invalid("it finds too large what cannot be divided"))?;
                state.queue.add_parts(parts);
                in_hand.take(batch, place);
                return Ok(None);
            }
            Ok(Outcome::Read(payload)) => Ok(payload),
            Err(error) => Err(error),
        };
        if task.part.is_some() {
            let outcome = decode_outcome(payload, shared, task.file.path(), bytes)?;
            task.report(bytes, &state.run);
            let part = PartResult { outcome, bytes, elapsed, attempts };
            let record = state.divided.put(task, part, process.worker());
            in_hand.take(batch, place);
            return Ok(record);
        }
        let outcome = decode_outcome(payload, shared, task.file.path(), bytes)?;
        task.report(bytes, &state.run);
        let task = in_hand.take(batch, place).ok_or_else(not_given)?;
        // A failed file holds nothing.
        let reservation = process.take_room(if outcome.is_ok() { room } else { 0 });
        let record = FileResult::new(task.index, task.file.into_path(), outcome, process.worker());
        let mut record = record.holding(reservation);
        (record.bytes, record.elapsed, record.attempts) = (bytes, elapsed, attempts);
        Ok(Some(record))
    }

    /// Kills a process that is lost and decides for each file that it had: back to the queue, retried alone, or failed.
    /// Returns the process that takes its place.
    fn recover(self, loss: Loss) -> Option<Process> {
        let (state, worker) = (self.state, self.process.worker());
        let unrecorded = self.in_hand.into_unrecorded(self.process.position());
        let fate = self.process.end();
        let is_late = matches!(loss, Loss::Late);
        let (kind, reason) = match loss {
            Loss::Late => {
                (ErrorKind::Timeout, "its worker process was killed over a call that does not return".to_owned())
            }
            Loss::Stopped => (ErrorKind::WorkerDied, "it was stopped and took too long".to_owned()),
            Loss::Broken(ChannelError::Closed) => (ErrorKind::WorkerDied, fate),
            Loss::Broken(ChannelError::Invalid(reason)) => (ErrorKind::Protocol, reason),
        };
        let operation = if is_late { Operation::Read } else { Operation::Analyse };
        let (mut back, mut failed, mut records) = (Vec::new(), 0, Vec::new());
        for mut file in unrecorded {
            // A file behind the one at hand was never begun: this loss does not count against it.
            file.task.tries += u32::from(file.is_begun);
            let is_timed_out = is_late && file.bytes_at_hand.is_some();
            if is_timed_out || file.task.tries >= MOST_TRIES {
                let error = file.task.error(kind, operation).with_detail(reason.clone());
                records.extend(state.give_up(file, error, worker));
                failed += 1;
            } else {
                back.push(file.task);
            }
        }
        state.deliver(failed, records);
        state.queue.put_back(back);
        // A file that takes too long costs its time, and no respawn.
        state.replace(is_late)
    }

    /// The run was cancelled: kills the process, and records the files that it had as cancelled.
    fn cancel(self) {
        let (state, worker) = (self.state, self.process.worker());
        let unrecorded = self.in_hand.into_unrecorded(self.process.position());
        self.process.end();
        let cancelled = unrecorded.len();
        let records = unrecorded.into_iter().filter_map(|file| {
            let error = file.task.error(ErrorKind::Cancelled, Operation::Read);
            state.give_up(file, error, worker)
        });
        state.deliver(cancelled, records.collect());
    }
}
