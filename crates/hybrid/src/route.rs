//! The way of a large file from the small side to the large one.
//!
//! The small side opens every file. Its first read tells the size if it meets the end of the file; if not, `fstat` does. A large
//! file comes out of the small
//! side in place of a record, open ([`Job::defer_from`](polyread_core::Job::defer_from)), and goes into a queue. The large
//! side takes its entries from there. So a file that stays on the small side pays nothing for the route, and a file that
//! crosses over is opened once.
//!
//! The queue has no bound of its own: how many files may be open and unread is the small side's limit, and a worker that finds
//! one more waits. The large side never waits for the small one, so that such a wait ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};
use polyread_core::reader::{Entry, LargeFile};
use polyread_core::{FileResult, Limits};

/// Bytes of files that a worker of the large side is given at once: as much as is read in less time than handing over takes to
/// matter. Each of two larger files goes alone, so that each finds a worker of its own.
const BYTES_AT_ONCE: u64 = 1024 * 1024;

/// How a run's limits are divided between the two sides, so that both together keep them.
pub(crate) struct Shares {
    /// For the small side.
    pub(crate) small: Limits,
    /// For the large side.
    pub(crate) large: Limits,
    /// Large files that may be open at the same time, read and unread.
    pub(crate) large_open: usize,
}

impl Shares {
    /// Half of the open files for each side. `None` if only one file may be open: then there is none to hand over.
    pub(crate) fn of(limits: &Limits) -> Option<Self> {
        let open = limits.open_files();
        let large_open = open / 2;
        (large_open > 0).then(|| Self {
            small: limits.clone().max_open_files(open - large_open),
            large: limits.clone().max_open_files(large_open),
            large_open,
        })
    }
}

/// The two ends of the route.
pub(crate) fn route() -> (Departures, Arrivals) {
    let (sender, receiver) = unbounded();
    (Departures(sender), Arrivals(Arc::new(Mutex::new(Queue { receiver, waiting: VecDeque::new() }))))
}

/// The small side's end. Dropping it ends the large side's entries.
pub(crate) struct Departures(Sender<Vec<LargeFile>>);

impl Departures {
    /// Sends the large files among the records of the small side on their way, and returns the records of the others.
    pub(crate) fn take_large<T>(&self, mut batch: Vec<FileResult<T>>) -> Vec<FileResult<T>> {
        let mut large = Vec::new();
        batch.retain_mut(|record| match record.take_deferred() {
            Some(file) => {
                large.push(file);
                false
            }
            None => true,
        });
        if !large.is_empty() {
            // The other end is there as long as this one: the thread of the large side ends last.
            let _ = self.0.send(large);
        }
        batch
    }
}

/// The large side's end. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Arrivals(Arc<Mutex<Queue>>);

struct Queue {
    receiver: Receiver<Vec<LargeFile>>,
    waiting: VecDeque<LargeFile>,
}

impl Arrivals {
    /// Waits for the first file; `false` if the small side has ended without one.
    pub(crate) fn wait_for_first(&self) -> bool {
        self.lock(Queue::fill)
    }

    /// The next files, at most `most`, as far as one worker is to read them; `None` at the end.
    pub(crate) fn next_batch(&self, most: usize) -> Option<Vec<Entry>> {
        self.lock(|queue| queue.fill().then(|| queue.take(most)))
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Queue) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queue {
    /// Waits until there is a file; `false` at the end.
    fn fill(&mut self) -> bool {
        while self.waiting.is_empty() {
            let Ok(files) = self.receiver.recv() else { return false };
            self.waiting.extend(files);
        }
        true
    }

    fn take(&mut self, most: usize) -> Vec<Entry> {
        self.waiting.extend(self.receiver.try_iter().flatten());
        let (mut batch, mut bytes) = (Vec::new(), 0_u64);
        while batch.len() < most.max(1)
            && bytes < BYTES_AT_ONCE
            && let Some(file) = self.waiting.pop_front()
        {
            bytes = bytes.saturating_add(file.version().size);
            batch.push(Entry::from(file));
        }
        batch
    }
}
