//! What can be set on the reader itself; how much of the machine a run takes is set by its limits.

use polyread_core::Limits;

/// Settings of a [`TokioReader`](crate::TokioReader).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) hops_in_flight: Option<usize>,
    pub(crate) files_per_hop: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { hops_in_flight: None, files_per_hop: 64 }
    }
}

impl Config {
    /// Hops to the blocking pool at the same time, at least 1, and so the most threads of that pool that a run keeps
    /// busy. [`Limits::max_open_files`] bounds it too. Default: twice [`Limits::workers`], so that while one hop reads
    /// another is on its way; on a warm cache fewer leave processors idle and more gain nothing. A device that answers
    /// slowly and many at once wants tens.
    #[must_use]
    pub fn hops_in_flight(mut self, hops: usize) -> Self {
        self.hops_in_flight = Some(hops.max(1));
        self
    }

    /// The most files that one hop carries, at least 1. A hop ends early when it has read half a megabyte, so that large
    /// files travel alone. Default: 64; with 1 each file pays for a hop of its own, as it does with `tokio::fs`.
    ///
    /// Under a [time limit](Limits::timeout) it is always 1, so that a file that hangs can be abandoned alone.
    #[must_use]
    pub fn files_per_hop(mut self, files: usize) -> Self {
        self.files_per_hop = files.max(1);
        self
    }

    pub(crate) fn hops_under(&self, limits: &Limits) -> usize {
        self.hops_in_flight.unwrap_or(2 * limits.effective_workers()).min(limits.open_files())
    }
}
