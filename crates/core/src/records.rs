//! The records of a run, for a consumer who pulls.

use crate::background::Background;
use crate::reader::tally::Tally;
use crate::record::{FileResult, Sink};
use crate::summary::Summary;

/// The records of a run, as they are finished.
///
/// Reading starts at once, on other threads, and goes on ahead of the consumer by a bounded amount. Dropping the iterator ends
/// the run, and with it its threads and descriptors.
#[derive(Debug)]
pub struct Records<T> {
    background: Background<FileResult<T>>,
    tally: Tally,
    ended: bool,
}

impl<T: Send + 'static> Records<T> {
    pub(crate) fn new(background: Background<FileResult<T>>, tally: Tally) -> Self {
        Self { background, tally, ended: false }
    }

    /// Hands all records to a sink: how the blocking call is made of the iterator.
    pub fn deliver(mut self, sink: &mut Sink<'_, T>) -> Summary {
        while let Some(record) = self.next() {
            if sink(record).is_break() {
                let Self { background, tally, .. } = &mut self;
                tally.release();
                background.wind_up(|record| tally.discard(&record));
                break;
            }
        }
        self.summary()
    }

    /// What the run has come to so far: stopped by its [sink](crate::Stopped::Sink), until the iterator has ended. A
    /// partial run never looks whole.
    pub fn summary(&self) -> Summary {
        self.tally.summary(self.ended)
    }
}

impl<T> Iterator for Records<T> {
    type Item = FileResult<T>;

    fn next(&mut self) -> Option<FileResult<T>> {
        // Before waiting: a worker may be waiting for the very room that the record before this one takes.
        self.tally.release();
        let record = self.background.next().map(|record| self.tally.admit(record));
        if record.is_none() && !self.ended {
            self.ended = true;
            self.tally.end();
        }
        record
    }
}
