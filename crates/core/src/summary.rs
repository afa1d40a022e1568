//! What a whole run came to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Reservation;
use crate::reader::Taken;
use crate::{CancelToken, ErrorKind, FileResult, Progress};

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

/// The consumer's side of a run: counts each record as it is handed over, and keeps its room in
/// [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight) taken for as long as the consumer looks at it.
///
/// For those who write a reader; its users see the [`Summary`].
#[derive(Debug)]
pub struct Tally {
    summary: Summary,
    started: Instant,
    progress: Progress,
    /// The job's token: whether somebody outside wants the run to stop.
    cancel: CancelToken,
    taken: Arc<Taken>,
    held: Option<Reservation>,
    /// The records go on to the consumer of the whole that this run is a side of, and their room with them.
    hands_on: bool,
}

impl Tally {
    pub(crate) fn new(progress: Progress, cancel: CancelToken, taken: Arc<Taken>, hands_on: bool) -> Self {
        let (summary, started) = (Summary::default(), Instant::now());
        Self { summary, started, progress, cancel, taken, held: None, hands_on }
    }

    /// Counts a record that is about to be handed over.
    pub fn admit<T>(&mut self, mut result: FileResult<T>) -> FileResult<T> {
        if !self.hands_on {
            self.held = result.reservation.take();
        }
        self.summary.bytes = self.summary.bytes.saturating_add(result.bytes);
        match &result.outcome {
            Ok(_) => self.summary.read += 1,
            Err(error) => *self.summary.errors.entry(error.kind()).or_default() += 1,
        }
        self.progress.record(&result);
        result
    }

    /// The consumer is done with the record admitted last: its room is free for others.
    ///
    /// To be called before waiting for the next one; a reader that waits while it holds room can wait for itself.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Counts a record that nobody will see, because the consumer has gone: as cancelled, whatever it was.
    pub fn discard<T>(&mut self, result: &FileResult<T>) {
        self.summary.bytes = self.summary.bytes.saturating_add(result.bytes);
        *self.summary.errors.entry(ErrorKind::Cancelled).or_default() += 1;
    }

    /// The summary as of now. Unless the records have come to their end, it is of a run that was stopped; and so it is if
    /// they are fewer than the entries, because a runtime was shut down over them. A partial run never looks whole.
    pub fn summary(&self, ended: bool) -> Summary {
        let stopped = match (self.cancel.is_cancelled(), ended) {
            (true, _) => Some(Stopped::Cancelled),
            (false, false) => Some(Stopped::Sink),
            (false, true) => {
                let records = self.summary.files() + self.summary.skipped();
                (!self.taken.are_all(records)).then_some(Stopped::Cancelled)
            }
        };
        Summary { elapsed: self.started.elapsed(), stopped, ..self.summary.clone() }
    }
}
