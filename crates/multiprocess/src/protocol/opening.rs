//! The order that a process needs before it can read for a run.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use polyread_core::reader::Run;
use rustix::process::{Resource, getrlimit};

use super::messages::{Begin, Order};
use super::packet::{MOST_SHARED, SharedMemory};
use super::values::encode;
use crate::portable_analysis::PortableAnalysis;

/// The first order of a run, to be made anew for each of its processes.
#[derive(Debug)]
pub(crate) struct Opening {
    analysis: &'static str,
    prototype: Vec<u8>,
    directory: Option<PathBuf>,
    bytes_in_flight: u64,
    max_file_size: Option<u64>,
    timeout: Option<Duration>,
    divides: bool,
    pieces: u32,
}

impl Opening {
    /// # Errors
    ///
    /// Why the analysis cannot be encoded, in words.
    pub(crate) fn of<A: PortableAnalysis>(run: &Run<A>) -> Result<Self, String> {
        let prototype = catch_unwind(AssertUnwindSafe(|| encode(&run.analysis())));
        let prototype = prototype.unwrap_or_else(|_| Err("it panicked".to_owned()));
        let limits = run.limits();
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // At most a quarter of the descriptors for all workers together: each sends messages of its own.
        let pieces = descriptors / 4 / limits.effective_workers() as u64;
        Ok(Self {
            analysis: type_name::<A>(),
            prototype: prototype.map_err(|error| format!("the analysis cannot be encoded: {error}"))?,
            // A worker that was started for an earlier run may be in another directory.
            directory: std::env::current_dir().ok(),
            bytes_in_flight: limits.bytes_held(),
            max_file_size: limits.largest_file(),
            timeout: limits.time_limit(),
            // Under a time limit one worker has the whole file, and with it the clock.
            divides: limits.effective_workers() > 1 && limits.time_limit().is_none() && A::parts().is_some(),
            pieces: u32::try_from(pieces.clamp(1, MOST_SHARED as u64)).unwrap_or(1),
        })
    }

    pub(crate) fn order(&self) -> (Order, SharedMemory) {
        let mut shared = SharedMemory::default();
        let begin = Begin {
            analysis: self.analysis.to_owned(),
            prototype: shared.payload(&self.prototype),
            directory: self.directory.as_deref().map(Into::into),
            bytes_in_flight: self.bytes_in_flight,
            max_file_size: self.max_file_size,
            timeout: self.timeout,
            divides: self.divides,
            pieces: self.pieces,
            parent: std::process::id(),
        };
        (Order::Begin(begin), shared)
    }
}
