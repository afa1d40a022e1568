//! What can be set on a reader that hops; how much of the machine a run takes is set by its limits.

use polyread_core::Limits;
use polyread_core::reader::AdaptiveLimit;

/// Settings of an async reader: how many hops, and how much each carries.
#[derive(Clone, Debug)]
pub struct Config {
    hops_in_flight: Option<usize>,
    files_per_hop: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { hops_in_flight: None, files_per_hop: 64 }
    }
}

impl Config {
    /// Hops to threads that may block at the same time, at least 1, and so the most threads of that pool that a run
    /// keeps busy. [`Limits::max_open_files`] bounds it too.
    ///
    /// Default: it adapts. Twice [`Limits::workers`] as long as files come from the page
    /// cache, so that while one hop reads another is on its way: fewer leave processors idle, more gain nothing. Where a
    /// device has to bring the files, as many as keep the processors busy meanwhile, up to 64.
    #[must_use]
    pub fn hops_in_flight(mut self, hops: usize) -> Self {
        self.hops_in_flight = Some(hops.max(1));
        self
    }

    /// The most files that one hop carries, at least 1. A hop ends early when it has read 8 MiB, so that large files travel
    /// alone, and, unless the number of hops is [set](Self::hops_in_flight), when it has taken a millisecond while others could
    /// read what it still carries. Default: 64; with 1 each file pays for a hop of its own, as it does with the `fs` modules
    /// of the runtimes.
    ///
    /// Under a [time limit](Limits::timeout) it is always 1, so that a file that hangs can be abandoned alone.
    #[must_use]
    pub fn files_per_hop(mut self, files: usize) -> Self {
        self.files_per_hop = files.max(1);
        self
    }

    /// Hops at the same time in a run under these limits, to begin with.
    pub(crate) fn hops_under(&self, limits: &Limits) -> usize {
        self.hops_in_flight.unwrap_or(2 * limits.effective_workers()).min(limits.open_files())
    }

    /// How their number follows what they wait for; `None` where it is set.
    pub(crate) fn adaptive_limit_under(&self, limits: &Limits) -> Option<AdaptiveLimit> {
        let least = self.hops_under(limits);
        self.hops_in_flight
            .is_none()
            .then(|| AdaptiveLimit::new(least, limits.open_files(), limits.effective_workers()))
    }

    /// Files of one hop in a run under these limits.
    pub(crate) fn files_under(&self, limits: &Limits) -> usize {
        if limits.time_limit().is_some() { 1 } else { self.files_per_hop }
    }
}
