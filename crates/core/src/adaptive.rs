//! How many files are worth reading at the same time, found out from what reading them costs.
//!
//! A file in the page cache keeps a processor busy from its opening to its closing: as many readers as processors, and a few
//! on their way, are all that helps. A file that a device has to bring lets the processor go, and the device is fastest
//! when tens of requests wait for it. Neither the file system's name nor the first file tells which of the two it is, and
//! it changes in the middle of a run. The sign is how often a thread gave its processor up of its own accord while
//! it read, which the kernel counts for each thread.
//!
//! How many then? To keep one processor busy takes as many readers as the time of one contains the time that it computes
//! (Little's law: J. D. C. Little, A Proof for the Queuing Formula L = λW, 1961).

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::analysis::Analysis;
use crate::lock::lock;
use crate::reader::worker::Worker;

/// Permits for a slow device, at the most. On a virtual disk, 50,000 files took 0.81 s with 64, 1.6 s with 4 and
/// 0.95 s with 128: beyond it threads get in each other's way.
const MOST: usize = 64;

/// One file in so many must have made its thread wait for the device to be taken for slow. When it is, all of them do.
const FILES_PER_WAIT: f64 = 8.0;

/// How much of the sums so far stays with each batch: the last ten or so count.
const MEMORY: f64 = 0.9;

/// What a thread has used up so far.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// Time on a processor, in the kernel and outside.
    computing: Duration,
    /// How often it gave its processor up to wait.
    waits: u64,
}

impl Usage {
    /// Of the thread that asks; `None` where the kernel does not tell.
    fn now() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use nix::sys::resource::{UsageWho, getrusage};
            use nix::sys::time::TimeVal;
            let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
            let time = |time: TimeVal| {
                Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
            };
            let computing = time(usage.user_time()) + time(usage.system_time());
            let waits = u64::try_from(usage.voluntary_context_switches()).unwrap_or(0);
            Some(Self { computing, waits })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    fn since(self, before: Self) -> Self {
        Self {
            computing: self.computing.saturating_sub(before.computing),
            waits: self.waits.saturating_sub(before.waits),
        }
    }

    /// Without waits that were for something else.
    fn without(self, waits: u64) -> Self {
        Self { waits: self.waits.saturating_sub(waits), ..self }
    }
}

/// What to do with a permit whose holder is done, so that the number of permits follows the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitChange {
    /// Give it back, and add so many more.
    More(usize),
    /// Give it back.
    Same,
    /// Forget it: there are more than are worth having.
    Less,
}

/// A number of permits that adapts to the device: as few as keep the processors busy while files come from
/// the page cache, and more while a device has to bring them.
#[derive(Debug)]
pub struct AdaptiveLimit {
    /// While no device is waited for.
    least: usize,
    most: usize,
    workers: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Permits that there are.
    granted: usize,
    wanted: usize,
    // Sums over the last batches.
    seconds: f64,
    computing: f64,
    waits: f64,
    files: f64,
}

impl AdaptiveLimit {
    /// A limit of `least` permits, and up to `most`, but no more than 64, while a device is waited for; to keep `workers`
    /// processors busy.
    pub fn new(least: usize, most: usize, workers: usize) -> Self {
        let state = State { granted: least, wanted: least, seconds: 0.0, computing: 0.0, waits: 0.0, files: 0.0 };
        Self { least, most: MOST.min(most).max(least), workers, state: Mutex::new(state) }
    }

    /// Reads files with a worker on this thread, and takes account of what that cost. `read` returns how many files it has
    /// opened. Costs two system calls.
    pub fn measure<A: Analysis>(&self, worker: &mut Worker<A>, read: impl FnOnce(&mut Worker<A>) -> usize) {
        let (before, started) = (Usage::now(), Instant::now());
        worker.take_waited();
        let files = read(worker);
        // Waiting for room, or for the consumer, says nothing of the device.
        let waited = worker.take_waited();
        if let (Some(before), Some(after)) = (before, Usage::now()) {
            let time = started.elapsed().saturating_sub(waited.time);
            self.report(files, time, after.since(before).without(waited.times));
        }
    }

    fn report(&self, files: usize, time: Duration, usage: Usage) {
        let mut state = self.lock();
        let add = |sum: &mut f64, value: f64| *sum = *sum * MEMORY + value;
        add(&mut state.seconds, time.as_secs_f64());
        add(&mut state.computing, usage.computing.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "counts of one batch are far below 2^52")]
        {
            add(&mut state.waits, usage.waits as f64);
            add(&mut state.files, files as f64);
        }
        let is_waiting = state.waits * FILES_PER_WAIT > state.files;
        state.wanted = if is_waiting { self.enough(state.seconds / state.computing) } else { self.least };
    }

    fn enough(&self, for_each_processor: f64) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "numbers of permits are small")]
        let is_enough = |permits: &usize| *permits as f64 >= self.workers as f64 * for_each_processor;
        (self.least..self.most).find(is_enough).unwrap_or(self.most)
    }

    /// Whether there are more permits than so many.
    pub fn has_more_than(&self, in_use: usize) -> bool {
        in_use < self.lock().granted
    }

    /// What to do with a permit that comes back. To be asked for each.
    pub fn settle(&self) -> PermitChange {
        let mut state = self.lock();
        match state.wanted.checked_sub(state.granted) {
            Some(0) => PermitChange::Same,
            Some(more) => {
                state.granted = state.wanted;
                PermitChange::More(more)
            }
            None => {
                state.granted -= 1;
                PermitChange::Less
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// By a batch that computed for a millisecond.
    fn used(waits: u64) -> Usage {
        Usage { computing: MS, waits }
    }

    #[test]
    fn files_in_the_cache_want_no_more_permits_than_there_are() {
        let limit = AdaptiveLimit::new(4, 256, 2);
        // Longer than it computed: others had the processor, and it did not give it up.
        limit.report(64, 9 * MS, used(1));
        assert_eq!(limit.settle(), PermitChange::Same);
    }

    #[test]
    fn files_on_a_device_want_as_many_as_keep_the_processors_busy() {
        let limit = AdaptiveLimit::new(4, 256, 2);
        limit.report(64, 10 * MS, used(64));
        assert_eq!([limit.settle(), limit.settle()], [PermitChange::More(16), PermitChange::Same]);
        assert!(limit.has_more_than(19));
        assert!(!limit.has_more_than(20));
        limit.report(64, 1000 * MS, used(64));
        assert_eq!(limit.settle(), PermitChange::More(MOST - 20));
    }

    #[test]
    fn permits_go_one_by_one_when_the_device_has_nothing_left_to_bring() {
        let limit = AdaptiveLimit::new(2, 256, 1);
        limit.report(10, 4 * MS, used(10));
        assert_eq!(limit.settle(), PermitChange::More(2));
        for _ in 0..10 {
            limit.report(64, MS, used(0));
        }
        let settled = [limit.settle(), limit.settle(), limit.settle()];
        assert_eq!(settled, [PermitChange::Less, PermitChange::Less, PermitChange::Same]);
    }

    #[test]
    fn never_more_than_files_may_be_open() {
        let limit = AdaptiveLimit::new(4, 6, 2);
        limit.report(64, 1000 * MS, used(64));
        assert_eq!(limit.settle(), PermitChange::More(2));
    }

    #[test]
    fn a_batch_without_files_says_nothing() {
        let limit = AdaptiveLimit::new(4, 64, 2);
        limit.report(0, Duration::ZERO, Usage::default());
        assert_eq!(limit.settle(), PermitChange::Same);
    }
}
