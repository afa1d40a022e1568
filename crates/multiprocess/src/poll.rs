//! How often threads that wait look around.

use std::time::Duration;

/// How often a thread that waits looks at the clock, at the run's cancel token and at the progress page of its process.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
