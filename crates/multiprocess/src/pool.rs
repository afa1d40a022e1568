//! Worker processes, to be kept for several runs.

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

    /// As many processes as can be had, at most `most`, ready for the run that `begin` speaks of.
    ///
    /// # Errors
    ///
    /// Why there is not even one.
    pub(crate) fn muster(&self, most: usize, begin: &dyn Fn() -> (Order, Shared)) -> Result<Vec<Process>, String> {
        let mut idle = lock(&self.0.idle);
        let kept = idle.len() - idle.len().min(most);
        let idle = idle.split_off(kept);
        let deadline = Instant::now() + START;
        let mut refusal = String::from("no process was asked for");
        // Some may have died while they idled.
        let mut ready = make_ready(idle, begin, deadline, &mut refusal);
        // All are started before the first is waited for.
        let mut born = Vec::new();
        for _ in ready.len()..most {
            match self.give_birth() {
                Ok(newborn) => born.push(newborn),
                Err(reason) => {
                    refusal = reason;
                    break;
                }
            }
        }
        let mut grown = Vec::with_capacity(born.len());
        for newborn in born {
            match newborn.into_process(deadline) {
                Ok(process) => {
                    lock(&self.0.watched).push(Arc::downgrade(&process.receiving()));
                    grown.push(process);
                }
                Err(reason) => refusal = reason,
            }
        }
        ready.extend(make_ready(grown, begin, deadline, &mut refusal));
        if ready.is_empty() { Err(refusal) } else { Ok(ready) }
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

/// Tells processes of a run; those that are ready for it.
fn make_ready(
    processes: Vec<Process>,
    begin: &dyn Fn() -> (Order, Shared),
    deadline: Instant,
    refusal: &mut String,
) -> Vec<Process> {
    let told = |process: &Process| {
        let (order, shared) = begin();
        process.send(&order, shared).map_err(|broken| format!("a worker was lost before it was ready: {broken:?}"))
    };
    let told: Vec<_> = processes.into_iter().map(|process| told(&process).map(|()| process)).collect();
    let ready = |process: Process| wait_until_ready(&process, deadline).map(|()| process);
    let ready = told.into_iter().map(|process| process.and_then(ready));
    ready.filter_map(|process| process.map_err(|reason| *refusal = reason).ok()).collect()
}

fn wait_until_ready(process: &Process, deadline: Instant) -> Result<(), String> {
    loop {
        match process.receive(Duration::from_millis(100)) {
            Ok(Some((Answer::Ready, _))) => return Ok(()),
            Ok(Some((Answer::Refused(reason), _))) => return Err(reason),
            Ok(None) if Instant::now() < deadline => {}
            Ok(_) => return Err("a worker does not get ready".to_owned()),
            Err(broken) => return Err(format!("a worker was lost before it was ready: {broken:?}")),
        }
    }
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
