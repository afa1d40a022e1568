//! Worker processes, to be kept for several runs.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use polyread_core::join_in_time;

use crate::config::Config;
use crate::process::{Newborn, Process, Receiving, START};
use crate::protocol::{Answer, Order, Shared};
use crate::reader::LOOK;
use crate::worker;

/// Between two looks at whether a process has sent half a message.
const WATCH: Duration = Duration::from_millis(500);

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
    idle: Mutex<Vec<Process>>,
    watched: Arc<Mutex<Vec<Weak<Receiving>>>>,
    /// Asks the nursery for a process.
    births: Option<Sender<Birth>>,
    nursery: Option<JoinHandle<()>>,
}

type Birth = Sender<io::Result<Newborn>>;

/// Makes what a process must hear first.
pub(crate) type Begin<'a> = dyn Fn() -> (Order, Shared) + 'a;

impl Pool {
    /// A pool without processes: they are started by the first run, as many as it wants.
    ///
    /// # Errors
    ///
    /// The system's, if its one thread cannot be started; and in a process that is itself a worker, which must not start
    /// workers of its own: [`Worker::run`](crate::Worker::run) has not been called early enough there.
    pub fn start(config: Config) -> io::Result<Self> {
        if worker::is_worker() {
            let reason =
                "this process was itself started as a worker: call polyread_multiprocess::Worker::run early in main";
            return Err(io::Error::other(reason));
        }
        let watched = Arc::<Mutex<Vec<Weak<Receiving>>>>::default();
        let (births, asked) = bounded::<Birth>(0);
        let (program, watching) = (config.program.clone(), Arc::clone(&watched));
        // A thread that lives as long as the pool: a child that wants to die with its parent dies with the thread that
        // started it.
        let nursery = std::thread::Builder::new().name("polyread-nursery".to_owned()).spawn(move || {
            loop {
                match asked.recv_timeout(WATCH) {
                    Ok(birth) => {
                        // The channel panics where it cannot make the file it needs; this thread must not end over that,
                        // for its children would end with it.
                        let born = catch_unwind(AssertUnwindSafe(|| program.spawn())).unwrap_or_else(|_| {
                            let directory = std::env::temp_dir();
                            Err(io::Error::other(format!(
                                "is there a directory for temporary files at {}?",
                                directory.display()
                            )))
                        });
                        drop(birth.send(born));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        lock(&watching).retain(|process| match process.upgrade() {
                            Some(process) => {
                                process.end_if_overdue();
                                true
                            }
                            None => false,
                        });
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        let inner = Inner { config, idle: Mutex::default(), watched, births: Some(births), nursery: Some(nursery) };
        Ok(Self(Arc::new(inner)))
    }

    /// A reader whose runs use this pool.
    pub fn reader(&self) -> crate::MultiprocessReader {
        crate::MultiprocessReader::on_pool(self.clone())
    }

    /// The ids of the processes that idle at the moment.
    pub fn idle_processes(&self) -> Vec<u32> {
        lock(&self.0.idle).iter().map(Process::id).collect()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// A process that is ready for the run that `begin` speaks of, and others, at most `most` in all, that are not yet. All are
    /// started before the first is waited for.
    ///
    /// # Errors
    ///
    /// Why there is not even one.
    pub(crate) fn muster(&self, most: usize, begin: &Begin<'_>) -> Result<(Process, Vec<Recruit>), String> {
        let mut idle = lock(&self.0.idle);
        let kept = idle.len() - idle.len().min(most);
        let mut recruits: VecDeque<_> = idle.split_off(kept).into_iter().map(Recruit::Idle).collect();
        drop(idle);
        let mut refusal = String::from("no process was asked for");
        while recruits.len() < most {
            match self.give_birth() {
                Ok(newborn) => recruits.push_back(Recruit::Newborn(newborn)),
                Err(reason) => {
                    refusal = reason;
                    break;
                }
            }
        }
        // Some may have died while they idled.
        while let Some(recruit) = recruits.pop_front() {
            match self.ready(recruit, begin, &|| true) {
                Ok(process) => return Ok((process, recruits.into())),
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// Gets a process ready for a run, as long as it is wanted.
    ///
    /// # Errors
    ///
    /// Why it does not get ready; it is gone then.
    pub(crate) fn ready(
        &self,
        recruit: Recruit,
        begin: &Begin<'_>,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Process, String> {
        let deadline = Instant::now() + START;
        let process = match recruit {
            Recruit::Ready(process) => return Ok(process),
            Recruit::Idle(process) => process,
            Recruit::Newborn(newborn) => {
                let process = newborn.into_process(deadline, is_wanted)?;
                lock(&self.0.watched).push(Arc::downgrade(&process.receiving()));
                process
            }
        };
        let (order, shared) = begin();
        let lost = |broken| format!("a worker was lost before it was ready: {broken:?}");
        process.send(&order, shared).map_err(lost)?;
        loop {
            match process.receive(LOOK).map_err(lost)? {
                Some((Answer::Ready, _)) => return Ok(process),
                Some((Answer::Refused(reason), _)) => return Err(reason),
                None if !is_wanted() => return Err("it is not wanted any more".to_owned()),
                None if Instant::now() < deadline => {}
                _ => return Err("a worker does not get ready".to_owned()),
            }
        }
    }

    /// Takes a process back that has nothing left to do.
    pub(crate) fn take_back(&self, process: Process) {
        lock(&self.0.idle).push(process);
    }

    fn give_birth(&self) -> Result<Newborn, String> {
        let (birth, born) = bounded(1);
        let asked = self.0.births.as_ref().is_some_and(|births| births.send(birth).is_ok());
        let newborn = born.recv().ok().filter(|_| asked).ok_or("the pool's thread has ended")?;
        newborn.map_err(|error| format!("a process cannot be started: {error}"))
    }
}

/// A process on its way into a run.
pub(crate) enum Recruit {
    /// It has been told of it.
    Ready(Process),
    /// From the run before.
    Idle(Process),
    /// It has just been started.
    Newborn(Newborn),
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The processes first: the thread that started them must not end before them.
        lock(&self.idle).clear();
        self.births = None;
        let _ = self.nursery.take().map(join_in_time);
    }
}

/// What is behind a lock here stays whole whoever panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
