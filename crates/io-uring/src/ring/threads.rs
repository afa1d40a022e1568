//! The threads of a run: started when there is work for them, and joined at its end.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use polyread_core::reader::join_in_time;

type Handles = Arc<Mutex<Vec<JoinHandle<()>>>>;

/// The threads of a run, as each of them sees the others. A thread keeps its clone until it has delivered its last record.
#[derive(Clone)]
pub(crate) struct Threads {
    handles: Handles,
    most: usize,
    /// Never sent to: it tells by its end that no clone is left.
    _at_work: Sender<Infallible>,
}

/// The threads of a run, as seen by the one that waits for their end.
pub(crate) struct AllThreads {
    handles: Handles,
    at_work: Receiver<Infallible>,
}

impl Threads {
    /// No threads yet, and at most so many.
    pub(crate) fn new(most: usize) -> (Self, AllThreads) {
        let (sender, receiver) = bounded(0);
        let handles = Handles::default();
        let all = AllThreads { handles: Arc::clone(&handles), at_work: receiver };
        (Self { handles, most, _at_work: sender }, all)
    }

    /// How many threads there may be.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Starts threads until there are `wanted`, or as many as there may be, or as many as the system has to give. Returns how
    /// many there are. `work` makes what the thread of a number does.
    pub(crate) fn start<W: FnOnce() + Send + 'static>(&self, wanted: usize, work: impl Fn(usize) -> W) -> usize {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        while handles.len() < wanted.min(self.most) {
            let number = handles.len();
            let thread = Builder::new().name(format!("polyread-ring-{number}")).spawn(work(number));
            let Ok(thread) = thread else { break };
            handles.push(thread);
        }
        handles.len()
    }
}

impl AllThreads {
    /// Waits until all threads have delivered their records. One that is left with an operation that hangs is given its time,
    /// and then left to end by itself.
    ///
    /// # Panics
    ///
    /// As one of the threads did.
    pub(crate) fn join(self) {
        // An error: all senders are gone.
        let _ = self.at_work.recv();
        let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        let ended: Vec<_> = handles.into_iter().filter_map(join_in_time).collect();
        if let Some(panic) = ended.into_iter().find_map(Result::err) {
            resume_unwind(panic);
        }
    }
}
