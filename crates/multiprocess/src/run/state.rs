//! What the supervisors of one run share.

use std::time::Duration;

use polyread_core::reader::Run;
use polyread_core::{Analysis, ErrorKind, FileResult, Operation, ReadError, WorkerId};

use super::connection::this_process;
use super::divided_files::{DividedFiles, PartResult};
use super::in_hand::Unrecorded;
use super::respawns::Respawns;
use super::work_queue::{Task, WorkQueue};
use crate::config::Config;
use crate::poll::POLL_INTERVAL;
use crate::pool::{Candidate, Pool};
use crate::process::Process;
use crate::protocol::Opening;

/// Batches that a process has: one that it reads, and one so that it need not wait for the next.
pub(crate) const BATCHES_IN_HAND: usize = 2;

/// How long after its time limit a file is left to its worker, which looks at the clock after each chunk: its own record
/// says more.
const GRACE: Duration = Duration::from_millis(250);

/// What the supervisors of one run share.
pub(crate) struct RunState<A: Analysis> {
    pub(crate) run: Run<A>,
    pub(crate) config: Config,
    pub(crate) queue: WorkQueue,
    pub(crate) divided: DividedFiles<A>,
    /// The time after which a silent process is killed over its file, if there is a time limit.
    pub(crate) patience: Option<Duration>,
    pool: Pool,
    /// Whether the pool outlives the run.
    is_pool_kept: bool,
    opening: Opening,
    respawns: Respawns,
}

impl<A: Analysis> RunState<A> {
    pub(crate) fn new(
        run: Run<A>,
        config: Config,
        opening: Opening,
        (pool, is_pool_kept): (Pool, bool),
        processes: usize,
    ) -> Self {
        Self {
            queue: WorkQueue::new(config.batch * BATCHES_IN_HAND * processes, processes),
            divided: DividedFiles::default(),
            patience: run.limits().time_limit().map(|limit| limit.saturating_add(GRACE)),
            respawns: Respawns::new(config.respawns),
            run,
            config,
            pool,
            is_pool_kept,
            opening,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.run.cancel_token().is_cancelled()
    }

    /// Waits until a candidate is ready. `None` if it was lost, and if there is nothing left to read before.
    pub(crate) fn make_ready(&self, candidate: Candidate) -> Option<Process> {
        // A pool that is kept needs the process for the next run, if not for this one.
        let is_wanted = || !self.is_cancelled() && (self.is_pool_kept || !self.queue.is_over());
        let ready = self.pool.make_ready(candidate, &self.opening, &is_wanted);
        ready.inspect_err(|reason| tracing::debug!(reason, "the run goes on with fewer processes")).ok()
    }

    /// Another process in place of a lost one; `None` if the run has no respawn left. A replacement that is free takes no
    /// respawn.
    pub(crate) fn replace(&self, mut is_free: bool) -> Option<Process> {
        while !self.is_cancelled() {
            if !is_free && !self.respawns.take() {
                return None;
            }
            if let Ok((process, _)) = self.pool.start_processes(1, &self.opening) {
                return Some(process);
            }
            // A process that dies before it is ready counts as one more lost worker. The system may refuse a process now
            // and give one later.
            is_free = false;
            std::thread::sleep(POLL_INTERVAL);
        }
        None
    }

    /// Gives a process that has nothing left to do back to the pool.
    pub(crate) fn keep(&self, process: Process) {
        self.pool.keep(process);
    }

    /// Delivers records, and counts so many tasks as done that processes had.
    pub(crate) fn deliver(&self, done: usize, records: Vec<FileResult<A::Output>>) {
        let read = records.iter().filter(|record| record.outcome.is_ok()).count();
        self.respawns.earn(read as u64);
        self.run.deliver(records);
        self.queue.done(done);
    }

    /// The record of a task that cannot be read. A part has none, unless it is the last part of its file.
    pub(crate) fn failed(&self, task: &Task, error: ReadError, worker: WorkerId) -> Option<FileResult<A::Output>> {
        if task.part.is_some() {
            let (bytes, elapsed) = (error.bytes_read(), Duration::ZERO);
            let part = PartResult { outcome: Err(error), bytes, elapsed, attempts: task.tries };
            return self.divided.put(task, part, worker);
        }
        let mut record = FileResult::failed(task.index, error, worker);
        record.attempts = task.tries.max(1);
        Some(record)
    }

    /// The record of a file that a process had when it ended, and that is not tried again.
    pub(crate) fn give_up(
        &self,
        mut file: Unrecorded,
        error: ReadError,
        worker: WorkerId,
    ) -> Option<FileResult<A::Output>> {
        let bytes = file.bytes_at_hand.unwrap_or(0);
        file.task.report(bytes, &self.run);
        self.failed(&file.task, error.with_bytes_read(bytes), worker)
    }

    /// Delivers the records of tasks that no process has read: the run was cancelled, or no process is left.
    pub(crate) fn deliver_unread(&self, tasks: Vec<Task>) {
        for task in tasks {
            let error = if self.is_cancelled() {
                task.error(ErrorKind::Cancelled, Operation::Open)
            } else {
                let error = task.error(ErrorKind::WorkerDied, Operation::Open);
                error.with_detail("no worker process is left to read it")
            };
            self.run.deliver(self.failed(&task, error, this_process()).into_iter().collect());
        }
    }
}
