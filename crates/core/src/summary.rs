//! What a whole run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::ErrorKind;

/// Who ended a run before its last file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The sink returned `Break`, or the stream or iterator was dropped.
    Sink,
    /// The [`CancelToken`](crate::CancelToken) was raised.
    Cancelled,
}

impl Stopped {
    /// The stable name, as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a run came to: counts, bytes, failures by kind, time, and whether it was whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Files read to the end of what their analysis wanted.
    pub read: u64,
    /// Bytes read, those of failed files included.
    pub bytes: u64,
    /// Entries without a result, by kind, skips included.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// From the start of the run to the moment at which the summary was asked for, on the monotonic clock.
    pub elapsed: Duration,
    /// Why the run is not whole, if it is not.
    pub stopped: Option<Stopped>,
}

impl Summary {
    /// Entries that failed: neither read nor skipped. Those that a stopped run had begun with are among them, as
    /// [`ErrorKind::Cancelled`].
    pub fn failed(&self) -> u64 {
        self.sum(|kind| !kind.is_skip())
    }

    /// Entries left out; see [`ErrorKind::is_skip`].
    pub fn skipped(&self) -> u64 {
        self.sum(ErrorKind::is_skip)
    }

    /// Records that stand for a file: read or failed.
    pub fn files(&self) -> u64 {
        self.read + self.failed()
    }

    fn sum(&self, wanted: impl Fn(ErrorKind) -> bool) -> u64 {
        self.errors.iter().filter(|(kind, _)| wanted(**kind)).map(|(_, count)| count).sum()
    }
}
