//! Worker processes, to be kept for several runs.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::config::Config;
use crate::lock::lock;
use crate::poll::POLL_INTERVAL;
use crate::process::{Process, START_TIMEOUT, Spawner, StartingWorker};
use crate::protocol::{Answer, Opening, is_worker};

/// Worker processes that idle between runs: those of a run go back to it when they are done, and the next run spares the
/// milliseconds that starting them takes. Without a pool each run starts its own.
///
/// Clones share the processes. They end when the last clone and the last run are gone, and when this process ends, however
/// it does. A run that is cancelled or dropped kills those it is using, and several runs at once have different ones.
///
/// ```no_run
/// # use polyread_multiprocess::{Config, Pool, Worker};
/// use polyread_core::{Discovery, FileReader, Job, TextStats};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Worker::new().run();
/// let pool = Pool::start(Config::default())?;
/// for root in ["src", "tests"] {
///     for record in pool.reader().records(Job::new(Discovery::new(root).walk()?, TextStats::default()))? {
///         println!("{} by {}", record.path.display(), record.worker);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Dropped before the spawner: processes end with the thread that started them.
    idle: Mutex<Vec<Process>>,
    spawner: Spawner,
}

/// A process that may join a run.
pub(crate) enum Candidate {
    /// It is ready for the run.
    Ready(Process),
    /// It is left over from an earlier run.
    Idle(Process),
    /// It has just been started.
    Starting(StartingWorker),
}

impl Pool {
    /// A pool without processes: the first run starts as many as it wants.
    ///
    /// # Errors
    ///
    /// The system's, if its one thread cannot be started; and in a process that is itself a worker, which must not start
    /// workers of its own: [`Worker::run`](crate::Worker::run) has not been called early enough there.
    pub fn start(config: Config) -> io::Result<Self> {
        if is_worker() {
            let reason =
                "this process was itself started as a worker: call polyread_multiprocess::Worker::run early in main";
            return Err(io::Error::other(reason));
        }
        let spawner = Spawner::start(config.program.clone())?;
        Ok(Self(Arc::new(Inner { config, idle: Mutex::default(), spawner })))
    }

    /// The ids of the processes that idle at the moment.
    pub fn idle_processes(&self) -> Vec<u32> {
        lock(&self.0.idle).iter().map(Process::id).collect()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// A process that is ready for a run, and candidates that are not ready yet; at most `most` in all. All are started
    /// before the first is waited for.
    ///
    /// # Errors
    ///
    /// Why not a single process could be made ready, in words.
    pub(crate) fn start_processes(&self, most: usize, opening: &Opening) -> Result<(Process, Vec<Candidate>), String> {
        let mut idle = lock(&self.0.idle);
        let kept = idle.len() - idle.len().min(most);
        let mut candidates: VecDeque<_> = idle.split_off(kept).into_iter().map(Candidate::Idle).collect();
        drop(idle);
        let mut refusal = String::from("no process was asked for");
        while candidates.len() < most {
            match self.0.spawner.spawn() {
                Ok(starting) => candidates.push_back(Candidate::Starting(starting)),
                Err(reason) => {
                    refusal = reason;
                    break;
                }
            }
        }
        // Idle processes may have died meanwhile.
        while let Some(candidate) = candidates.pop_front() {
            match self.make_ready(candidate, opening, &|| true) {
                Ok(process) => return Ok((process, candidates.into())),
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// Makes a candidate ready for a run, as long as it is wanted.
    ///
    /// # Errors
    ///
    /// Why it does not get ready, in words; it is killed then.
    pub(crate) fn make_ready(
        &self,
        candidate: Candidate,
        opening: &Opening,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Process, String> {
        let deadline = Instant::now() + START_TIMEOUT;
        let process = match candidate {
            Candidate::Ready(process) => return Ok(process),
            Candidate::Idle(process) => process,
            Candidate::Starting(starting) => {
                let process = starting.into_process(deadline, is_wanted)?;
                self.0.spawner.watch(&process);
                process
            }
        };
        let (order, shared) = opening.order();
        let lost = |error| format!("a worker was lost before it was ready: {error:?}");
        process.send(&order, shared).map_err(lost)?;
        loop {
            match process.receive(POLL_INTERVAL).map_err(lost)? {
                Some((Answer::Ready, _)) => return Ok(process),
                Some((Answer::Refused(reason), _)) => return Err(reason),
                None if !is_wanted() => return Err("it is not wanted any more".to_owned()),
                None if Instant::now() < deadline => {}
                _ => return Err("a worker does not get ready".to_owned()),
            }
        }
    }

    /// Keeps a process that has nothing left to do, for the next run.
    pub(crate) fn keep(&self, process: Process) {
        lock(&self.0.idle).push(process);
    }
}
