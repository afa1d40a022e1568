//! The consumer's side of a run.

use std::sync::Arc;
use std::time::Instant;

use super::entries::Taken;
use crate::budget::Reservation;
use crate::cancel::CancelToken;
use crate::error::ErrorKind;
use crate::progress::Progress;
use crate::record::FileResult;
use crate::summary::{Stopped, Summary};

/// The consumer's side of a run, for a reader that hands records over by itself: counts each, and keeps its room in
/// [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight) taken for as long as the consumer looks at it.
#[derive(Debug)]
pub struct Tally {
    summary: Summary,
    started: Instant,
    progress: Progress,
    /// The job's token: whether somebody outside wants the run to stop.
    cancel: CancelToken,
    taken: Arc<Taken>,
    reservation: Option<Reservation>,
}

impl Tally {
    pub(crate) fn new(progress: Progress, cancel: CancelToken, taken: Arc<Taken>) -> Self {
        Self { summary: Summary::default(), started: Instant::now(), progress, cancel, taken, reservation: None }
    }

    /// Counts a record that is about to be handed over.
    pub fn admit<T>(&mut self, mut result: FileResult<T>) -> FileResult<T> {
        self.reservation = result.take_reservation();
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
        self.reservation = None;
    }

    /// Counts a record that is not handed over because the consumer has gone: as cancelled, even if the file was read.
    pub fn discard<T>(&mut self, result: &FileResult<T>) {
        self.summary.bytes = self.summary.bytes.saturating_add(result.bytes);
        *self.summary.errors.entry(ErrorKind::Cancelled).or_default() += 1;
    }

    /// The records have come to their end.
    ///
    /// # Panics
    ///
    /// As the job's iterator of files did, if it did: it is the caller's own code, and its panic the caller's to see.
    pub fn end(&mut self) {
        self.release();
        self.taken.resume_panic();
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
