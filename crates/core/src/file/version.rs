//! Which version of a file was opened.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// Identity, size and modification time of a file when it was opened. A different version means that somebody wrote to the
/// file or replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct FileVersion {
    /// Its size in bytes.
    pub size: u64,
    /// Device and inode.
    file: (u64, u64),
    /// The last modification, in seconds and nanoseconds since 1970.
    modified: (i64, i64),
}

impl FileVersion {
    /// The version of a file that a single read has read to its end: nothing else is known of it, and need not be.
    pub(crate) fn read_at_once(size: u64) -> Self {
        Self { size, file: (0, 0), modified: (0, 0) }
    }

    pub(crate) fn of(stat: &Stat) -> Self {
        // The types differ between targets.
        let modified = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
        Self { size: u64::try_from(stat.st_size).unwrap_or(0), file: (stat.st_dev, stat.st_ino), modified }
    }

    /// The device that the file is on.
    pub fn device(&self) -> u64 {
        self.file.0
    }

    /// Whether the file was written to within the last `within`, or seems to have been.
    pub(crate) fn is_fresh(&self, within: Duration) -> bool {
        // Whole seconds: when in doubt it was.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let written = u64::try_from(self.modified.0).unwrap_or(0);
        Duration::from_secs(written).saturating_add(within) + Duration::from_secs(1) > now
    }
}
