//! The consumer's end of an async model: a `Stream` of records.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use futures_core::Stream;
use polyread_core::reader::{Run, Tally, join_in_time};
use polyread_core::{Analysis, CancelToken, FileResult, Summary};

use crate::queue::{BatchReceiver, TaskSender, queue};

/// Batches of records that may wait for the consumer, for each worker.
const BATCHES_AHEAD: usize = 4;

/// The records of a run, as they are finished: what readers of async runtimes give, inside of their runtime.
///
/// Dropping it cancels the run: no hop is started any more, and those in flight end with the chunk they are reading.
pub struct RecordStream<T> {
    ready: std::vec::IntoIter<FileResult<T>>,
    batches: BatchReceiver<FileResult<T>>,
    feeder: Option<JoinHandle<()>>,
    tally: Tally,
    cancel: CancelToken,
    ended: bool,
}

impl<T: Send + 'static> RecordStream<T> {
    /// The run's records as a stream, the run itself, and its tasks' way to the stream.
    pub(crate) fn of<A: Analysis<Output = T>>(run: Run<A>) -> (Run<A>, TaskSender<FileResult<T>>, Self) {
        let (sender, tasks, batches) = queue(BATCHES_AHEAD * run.limits().effective_workers());
        let cancel = run.cancel_token().clone();
        let deliver = {
            let cancel = cancel.clone();
            move |batch| sender.send(batch, &cancel)
        };
        let (run, tally) = run.delivering(deliver);
        let stream = Self { ready: Vec::new().into_iter(), batches, feeder: None, tally, cancel, ended: false };
        (run, tasks, stream)
    }

    /// The same stream, whose end waits for the end of the thread that feeds the run.
    #[must_use]
    pub fn fed_by(mut self, feeder: JoinHandle<()>) -> Self {
        self.feeder = Some(feeder);
        self
    }
}

impl<T> RecordStream<T> {
    /// What the run has come to so far: stopped by its [sink](polyread_core::Stopped::Sink), until the stream has ended. A
    /// partial run never looks whole.
    pub fn summary(&self) -> Summary {
        self.tally.summary(self.ended)
    }
}

impl<T> Stream for RecordStream<T> {
    type Item = FileResult<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FileResult<T>>> {
        // Before waiting: a worker may be waiting for the very room that the record before this one takes.
        self.tally.release();
        loop {
            if let Some(record) = self.ready.next() {
                return Poll::Ready(Some(self.tally.admit(record)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.batches.poll(cx)) {
                Some(batch) => self.ready = batch.into_iter(),
                None => {
                    self.ended = true;
                    // It may still be inside of the caller's iterator, if the runtime was shut down in the middle of the run.
                    if let Some(Err(panic)) = self.feeder.take().and_then(join_in_time) {
                        resume_unwind(panic);
                    }
                    self.tally.end();
                }
            }
        }
    }
}

impl<T> Unpin for RecordStream<T> {}

impl<T> Drop for RecordStream<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<T> std::fmt::Debug for RecordStream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordStream").field("summary", &self.summary()).finish_non_exhaustive()
    }
}
