//! The consumer's end of an async model: a `Stream` of records.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_core::Stream;

use crate::{CancelToken, FAREWELL, FileResult, Sink, Summary, Tally, join_in_time};

/// What the runtime is to drive to its end.
pub type Step<'a> = Pin<&'a mut dyn Future<Output = ()>>;

type Poller<T> = dyn FnMut(&mut Context<'_>) -> Poll<Option<Vec<FileResult<T>>>> + Send;

/// The records of a run, as they are finished: what readers of async runtimes give, inside of their runtime.
///
/// Dropping it cancels the run: no hop is started any more, and those in flight end with the chunk they are reading.
pub struct RecordStream<T> {
    ready: std::vec::IntoIter<FileResult<T>>,
    poll_batch: Box<Poller<T>>,
    feeder: Option<JoinHandle<()>>,
    tally: Tally,
    cancel: CancelToken,
    ended: bool,
}

impl<T> RecordStream<T> {
    /// A stream of what `poll_batch` brings, until that has no more; `feeder` is the thread that the entries came from.
    ///
    /// For those who write a reader.
    pub fn new(
        poll_batch: impl FnMut(&mut Context<'_>) -> Poll<Option<Vec<FileResult<T>>>> + Send + 'static,
        feeder: JoinHandle<()>,
        tally: Tally,
        cancel: CancelToken,
    ) -> Self {
        let poll_batch = Box::new(poll_batch);
        Self { ready: Vec::new().into_iter(), poll_batch, feeder: Some(feeder), tally, cancel, ended: false }
    }

    /// What the run has come to so far: stopped by its [sink](crate::Stopped::Sink), until the stream has ended. A partial
    /// run never looks whole.
    pub fn summary(&self) -> Summary {
        self.tally.summary(self.ended)
    }

    /// Hands all records to a sink: how the blocking call is made of the stream. `drive` has the runtime drive a step to
    /// its end, or for the time given at the most. The sink is called outside of it, being none of the runtime's business;
    /// its panic is given back when the run has been wound up.
    ///
    /// For those who write a reader.
    ///
    /// # Errors
    ///
    /// The sink's panic.
    pub fn deliver(
        mut self,
        mut drive: impl FnMut(Step<'_>, Option<Duration>),
        sink: &mut Sink<'_, T>,
    ) -> std::thread::Result<Summary> {
        loop {
            // What is there already needs no runtime.
            self.tally.release();
            let mut record = self.next_ready();
            if record.is_none() {
                let next = async { record = std::future::poll_fn(|cx| Pin::new(&mut self).poll_next(cx)).await };
                drive(pin!(next), None);
            }
            let Some(record) = record else { break };
            let flow = catch_unwind(AssertUnwindSafe(|| sink(record)));
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                // A hop that hangs in the kernel is not waited for.
                drive(pin!(self.wind_up()), Some(FAREWELL));
                // `Break`, or the panic.
                return flow.map(|_| self.summary());
            }
        }
        Ok(self.summary())
    }

    /// The next record of a batch that has come already.
    fn next_ready(&mut self) -> Option<FileResult<T>> {
        let mut record = self.tally.admit(self.ready.next()?);
        record.is_followed = self.ready.len() > 0;
        Some(record)
    }

    /// Stops the run and counts what nobody will see any more.
    async fn wind_up(&mut self) {
        self.cancel.cancel();
        self.tally.release();
        let Self { ready, poll_batch, tally, .. } = self;
        ready.for_each(|record| tally.discard(&record));
        while let Some(batch) = std::future::poll_fn(&mut *poll_batch).await {
            batch.iter().for_each(|record| tally.discard(record));
        }
    }
}

impl<T> Stream for RecordStream<T> {
    type Item = FileResult<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FileResult<T>>> {
        // Before waiting: a worker may be waiting for the very room that the record before this one takes.
        self.tally.release();
        loop {
            if let Some(record) = self.next_ready() {
                return Poll::Ready(Some(record));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!((self.poll_batch)(cx)) {
                Some(batch) => self.ready = batch.into_iter(),
                None => {
                    self.ended = true;
                    // The iterator of files is the caller's own code, and its panic the caller's to see. It may still be
                    // inside of it, if the runtime was shut down in the middle of the run.
                    if let Some(Err(panic)) = self.feeder.take().and_then(join_in_time) {
                        resume_unwind(panic);
                    }
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
