//! A file that is open and large: what a scan gives back in place of a record.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::deferral::DeferralPermit;
use crate::file::{FileEntry, FileVersion};

/// Bytes from which a file is large: below, reading it takes less time than waking others up to help.
pub(crate) const LARGE_FROM: u64 = 8 * 1024 * 1024;

/// A file that a [scan](super::worker::Worker::scan) found to be large, open and with nothing read of it.
///
/// Its owner owes the entry a record: by [reading on](super::worker::Worker::read_large), by
/// [sharing](super::worker::Worker::share) it, or by making it an [`Entry`](super::entries::Entry) again, for another worker
/// or another reader. Dropping it closes the file.
#[derive(Debug)]
pub struct LargeFile {
    pub(crate) index: u64,
    pub(crate) entry: FileEntry,
    pub(crate) open: Box<OpenFile>,
}

impl LargeFile {
    /// Position of its entry in the order of discovery.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.entry.path()
    }

    /// The version that was opened, and with it the size in bytes.
    pub fn version(&self) -> FileVersion {
        self.open.version
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    // In this order: the file is closed before its permit goes back.
    pub(crate) file: File,
    pub(crate) version: FileVersion,
    /// Where its next read begins.
    pub(crate) position: u64,
    /// Time that workers have spent on it so far.
    pub(crate) spent: Duration,
    /// Permission to have it open while no worker of its own run reads it.
    pub(crate) permit: Option<DeferralPermit>,
}
