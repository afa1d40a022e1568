//! The clock of the files in flight.

use std::time::{Duration, Instant};

/// Measures the time that counts against the time limit of files in flight. It is paused while the thread does anything
/// else than wait for its ring: a completion that the thread has not looked at is not the file's delay.
pub(crate) struct Clock {
    /// The longest time for one file.
    pub(super) limit: Option<Duration>,
    paused: Duration,
}

/// When a file began.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    /// On the clock of the system.
    pub(crate) at: Instant,
    /// How long the thread's own clock had been paused by then.
    paused: Duration,
}

impl Clock {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, paused: Duration::ZERO }
    }

    pub(crate) fn start(&self) -> Start {
        Start { at: Instant::now(), paused: self.paused }
    }

    /// Does something else than wait for the ring.
    pub(crate) fn pause_while<T>(&mut self, work: impl FnOnce() -> T) -> T {
        // Without a limit nobody asks the clock.
        let began = self.limit.map(|_| Instant::now());
        let result = work();
        self.paused += began.map_or(Duration::ZERO, |began| began.elapsed());
        result
    }

    /// The time limit, if a file that began then has exceeded it.
    pub(super) fn exceeded(&self, start: Start) -> Option<Duration> {
        self.limit.filter(|limit| start.at.elapsed().saturating_sub(self.paused - start.paused) > *limit)
    }
}
