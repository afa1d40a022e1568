//! The threads of one run: what they share, and how each is started.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use polyread_core::{Analysis, Context, Division, Entry, FileResult, Limits, Outlet};

use crate::Config;
use crate::again::Again;
use crate::worker::Worker;

/// What all threads go by.
pub(crate) struct Plan<A: Analysis> {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) context: Context<A>,
    /// Threads at the most, each with its ring.
    pub(crate) rings: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What every thread of a run has: all it takes to work, and to start another.
pub(crate) struct Crew<A: Analysis> {
    pub(crate) plan: Arc<Plan<A>>,
    pub(crate) outlet: Outlet<FileResult<A::Output>>,
    pub(crate) batches: Receiver<Vec<Entry>>,
    pub(crate) again: Again<A>,
    /// Dropped by a thread when it has handed over its last record. Nothing is ever sent.
    pub(crate) at_work: Sender<()>,
}

impl<A: Analysis> Clone for Crew<A> {
    fn clone(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            outlet: self.outlet.clone(),
            batches: self.batches.clone(),
            again: self.again.clone(),
            at_work: self.at_work.clone(),
        }
    }
}

impl<A: Analysis> Crew<A> {
    /// Sees to it that there are so many threads, or as many as there may be and the system has to give. Returns how many
    /// there are.
    pub(crate) fn muster(&self, wanted: usize) -> usize {
        let mut threads = self.plan.threads();
        while threads.len() < wanted.min(self.plan.rings) {
            let Ok(thread) = self.start(threads.len()) else { break };
            threads.push(thread);
        }
        threads.len()
    }

    /// Asks all other threads to take part in reading a large file, also those that no file was there for yet.
    pub(crate) fn call_for_help(&self, division: &Arc<Division<A>>) {
        self.again.offer(division, self.plan.rings - 1);
        self.muster(self.plan.rings);
    }

    fn start(&self, number: usize) -> std::io::Result<JoinHandle<()>> {
        let (crew, at_work) = (self.clone(), self.at_work.clone());
        std::thread::Builder::new().name(format!("polyread-ring-{number}")).spawn(move || {
            let plan = Arc::clone(&crew.plan);
            let (ring, idle_scanner) = Worker::new(number, crew).run();
            drop((idle_scanner, plan, at_work));
            // Waits for the kernel, if it has not let go of a buffer yet.
            drop(ring);
        })
    }
}

impl<A: Analysis> Plan<A> {
    pub(crate) fn new(config: Config, limits: Limits, context: Context<A>) -> Self {
        let rings = limits.effective_workers();
        Self { config, limits, context, rings, threads: Mutex::default() }
    }

    /// Those that were started.
    pub(crate) fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
