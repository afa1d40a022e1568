//! For how long a process has been at the same file, as seen from outside.

use std::time::{Duration, Instant};

use crate::protocol::Position;

/// The position of a process when its progress page was looked at last, and since when it is there.
#[derive(Debug)]
pub(crate) struct FileClock {
    position: Position,
    since: Instant,
}

impl FileClock {
    pub(crate) fn start() -> Self {
        Self { position: Position::default(), since: Instant::now() }
    }

    /// Starts the time of the file anew: the time until now was not the process's.
    pub(crate) fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// For how long the process has been at this position.
    pub(crate) fn time_at(&mut self, position: Position) -> Duration {
        if position != self.position {
            *self = Self { position, since: Instant::now() };
        }
        self.since.elapsed()
    }
}
