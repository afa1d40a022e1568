//! Who read what when: one run of a strategy, seen from the outside.

use serde::{Deserialize, Serialize};

use super::cold::Cache;

/// One run of one strategy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Timeline {
    pub(crate) strategy: String,
    pub(crate) cache: Cache,
    /// Seconds from before discovery to after the last record.
    pub(crate) elapsed_s: f64,
    /// One for each worker that read anything.
    pub(crate) lanes: Vec<Lane>,
    /// Records that have no place in it, such as those of files that failed.
    pub(crate) not_shown: u64,
}

/// What one worker did.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Lane {
    /// Such as `thread-1`, `process-4711` or `ring-0`.
    pub(crate) worker: String,
    /// In the order of time; none overlaps another.
    pub(crate) spans: Vec<Span>,
}

/// A stretch of time in which a worker read one file, or several small ones one after the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Span {
    /// Seconds since the run began, as the next.
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Of the file that took the longest; lossy where it is not UTF-8.
    pub(crate) path: String,
}
