//! How far a run has come, to be asked from any thread while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::record::FileResult;

/// Counters that a run raises and anybody may read. Clones share the counters.
///
/// Bytes rise with each chunk, so that a single large file moves them too; the other counters rise when a record is
/// handed over.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    discovered: AtomicU64,
    discovery_ended: AtomicBool,
    read: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    bytes: AtomicU64,
}

/// The counters at one moment. Each is exact; together they may be a few records apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressSnapshot {
    /// Entries taken from discovery so far.
    pub discovered: u64,
    /// Whether `discovered` is final.
    pub discovery_ended: bool,
    /// Files read to their end.
    pub read: u64,
    /// Entries that failed.
    pub failed: u64,
    /// Entries skipped.
    pub skipped: u64,
    /// Bytes read so far, unfinished files included.
    pub bytes: u64,
}

impl Progress {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let counters = &*self.0;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressSnapshot {
            discovered: get(&counters.discovered),
            discovery_ended: counters.discovery_ended.load(Ordering::Relaxed),
            read: get(&counters.read),
            failed: get(&counters.failed),
            skipped: get(&counters.skipped),
            bytes: get(&counters.bytes),
        }
    }

    pub(crate) fn discovered(&self) {
        self.0.discovered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn discovery_ended(&self) {
        self.0.discovery_ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn record<T>(&self, result: &FileResult<T>) {
        let counter = match &result.outcome {
            Ok(_) => &self.0.read,
            Err(error) if error.is_skip() => &self.0.skipped,
            Err(_) => &self.0.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
