//! How many hops are worth having under way at once, found out from what they cost.
//!
//! A file in the page cache keeps a processor busy from its opening to its closing: as many hops as processors, and a few
//! on their way, are all that helps. A file that a device has to bring lets the processor go, and the device is fastest
//! when tens of requests wait for it. Neither the file system's name nor the first file tells which of the two it is, and
//! it changes in the middle of a run. What tells is how often a thread gave its processor up of its own accord while it
//! read, which the kernel counts for each thread.
//!
//! How many then? To keep one processor busy takes as many hops as the time of one contains the time that it computes
//! (Little's law: J. D. C. Little, A Proof for the Queuing Formula L = λW, 1961).

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::budget::lock;

/// Hops under way on a slow device, at the most. On a virtual disk, 50,000 files took 0.81 s with 64, 1.6 s with 4 and
/// 0.95 s with 128: beyond it threads get in each other's way.
const MOST: usize = 64;

/// One file in so many must have made its thread wait for the device to be taken for slow. When it is, all of them do.
const FILES_PER_WAIT: f64 = 8.0;

/// How much of what was known before stays with each hop that comes back: the last ten or so count.
const MEMORY: f64 = 0.9;

/// What the thread of a hop has used up so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Time on a processor, in the kernel and outside.
    computing: Duration,
    /// How often it gave its processor up to wait.
    waits: u64,
    /// Blocks that a device brought for it. Not every file system counts them.
    blocks: u64,
}

impl Usage {
    /// Of the thread that asks; `None` where the kernel does not tell.
    pub(super) fn now() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use nix::sys::resource::{UsageWho, getrusage};
            use nix::sys::time::TimeVal;
            let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
            let time = |time: TimeVal| {
                Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
            };
            let computing = time(usage.user_time()) + time(usage.system_time());
            let count = |count| u64::try_from(count).unwrap_or(0);
            let (waits, blocks) = (count(usage.voluntary_context_switches()), count(usage.block_reads()));
            Some(Self { computing, waits, blocks })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            computing: self.computing.saturating_sub(before.computing),
            waits: self.waits.saturating_sub(before.waits),
            blocks: self.blocks.saturating_sub(before.blocks),
        }
    }

    /// Without waits that were for something else.
    pub(super) fn without(self, waits: u64) -> Self {
        Self { waits: self.waits.saturating_sub(waits), ..self }
    }
}

/// What is to become of the permit of a hop that has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It goes back, and so many more with it.
    More(usize),
    /// It goes back.
    Same,
    /// It is forgotten: there are more than are worth having.
    Less,
}

/// The number of hops that are worth having under way.
#[derive(Debug)]
pub(super) struct Pace {
    /// While the device is not waited for.
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
    // Sums over the last hops.
    seconds: f64,
    computing: f64,
    waits: f64,
    blocks: f64,
    files: f64,
}

impl Pace {
    /// `least` hops, and where they wait up to `open_files`, for `workers` processors.
    pub(super) fn new(least: usize, open_files: usize, workers: usize) -> Self {
        let state =
            State { granted: least, wanted: least, seconds: 0.0, computing: 0.0, waits: 0.0, blocks: 0.0, files: 0.0 };
        Self { least, most: MOST.min(open_files).max(least), workers, state: Mutex::new(state) }
    }

    /// Takes account of a hop that has read so many files in this time. Returns how many hops are worth having now, if it is
    /// certain that they wait for a device, and not for what an analysis does.
    pub(super) fn report(&self, files: usize, time: Duration, usage: Usage) -> Option<usize> {
        let mut state = self.lock();
        let add = |sum: &mut f64, value: f64| *sum = *sum * MEMORY + value;
        add(&mut state.seconds, time.as_secs_f64());
        add(&mut state.computing, usage.computing.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "counts of one hop are far below 2^52")]
        {
            add(&mut state.waits, usage.waits as f64);
            add(&mut state.blocks, usage.blocks as f64);
            add(&mut state.files, files as f64);
        }
        let is_waiting = state.waits * FILES_PER_WAIT > state.files;
        state.wanted = if is_waiting { self.enough(state.seconds / state.computing) } else { self.least };
        let is_device = state.blocks * FILES_PER_WAIT > state.files;
        (is_waiting && is_device).then_some(state.wanted)
    }

    fn enough(&self, for_each_processor: f64) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "numbers of hops are small")]
        let is_enough = |hops: &usize| *hops as f64 >= self.workers as f64 * for_each_processor;
        (self.least..self.most).find(is_enough).unwrap_or(self.most)
    }

    /// Whether another hop would find a permit, when so many are under way.
    pub(super) fn has_place_for_more(&self, under_way: usize) -> bool {
        under_way < self.lock().granted
    }

    /// To be asked for each permit that comes back.
    pub(super) fn settle(&self) -> Settlement {
        let mut state = self.lock();
        match state.wanted.checked_sub(state.granted) {
            Some(0) => Settlement::Same,
            Some(more) => {
                state.granted = state.wanted;
                Settlement::More(more)
            }
            None => {
                state.granted -= 1;
                Settlement::Less
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

    /// By a hop that computed for a millisecond.
    fn used(waits: u64) -> Usage {
        Usage { computing: MS, waits, blocks: 8 * waits }
    }

    #[test]
    fn files_in_the_cache_want_no_more_hops_than_there_are() {
        let pace = Pace::new(4, 256, 2);
        // Longer than it computed: others had the processor, and it did not give it up.
        assert_eq!(pace.report(64, 9 * MS, used(1)), None);
        assert_eq!(pace.settle(), Settlement::Same);
    }

    #[test]
    fn files_on_a_device_want_as_many_as_keep_the_processors_busy() {
        let pace = Pace::new(4, 256, 2);
        assert_eq!(pace.report(64, 10 * MS, used(64)), Some(20));
        assert_eq!([pace.settle(), pace.settle()], [Settlement::More(16), Settlement::Same]);
        assert!(pace.has_place_for_more(19));
        assert!(!pace.has_place_for_more(20));
        assert_eq!(pace.report(64, 1000 * MS, used(64)), Some(MOST));
    }

    #[test]
    fn permits_go_one_by_one_when_the_device_has_nothing_left_to_bring() {
        let pace = Pace::new(2, 256, 1);
        pace.report(10, 4 * MS, used(10));
        assert_eq!(pace.settle(), Settlement::More(2));
        for _ in 0..10 {
            pace.report(64, MS, used(0));
        }
        let settled = [pace.settle(), pace.settle(), pace.settle()];
        assert_eq!(settled, [Settlement::Less, Settlement::Less, Settlement::Same]);
    }

    #[test]
    fn an_analysis_that_waits_is_not_taken_for_a_device() {
        let pace = Pace::new(4, 256, 2);
        assert_eq!(pace.report(64, 10 * MS, Usage { blocks: 0, ..used(64) }), None);
        assert_eq!(pace.settle(), Settlement::More(16), "hops are another matter");
    }

    #[test]
    fn never_more_than_files_may_be_open() {
        let pace = Pace::new(4, 6, 2);
        assert_eq!(pace.report(64, 1000 * MS, used(64)), Some(6));
    }

    #[test]
    fn a_hop_without_files_says_nothing() {
        let pace = Pace::new(4, 64, 2);
        assert_eq!(pace.report(0, Duration::ZERO, Usage::default()), None);
    }
}
