//! How many lost processes a run may replace.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many files that were read earn one respawn.
const FILES_PER_RESPAWN: u64 = 100;

/// The respawns that a run has left, counted in files.
#[derive(Debug)]
pub(super) struct Respawns(AtomicU64);

impl Respawns {
    pub(super) fn new(respawns: u32) -> Self {
        Self(AtomicU64::new(u64::from(respawns) * FILES_PER_RESPAWN))
    }

    /// So many files were read.
    pub(super) fn earn(&self, files: u64) {
        self.0.fetch_add(files, Ordering::Relaxed);
    }

    /// Takes one respawn; `false` if there is none left.
    pub(super) fn take(&self) -> bool {
        let pay = |left: u64| left.checked_sub(FILES_PER_RESPAWN);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }
}
