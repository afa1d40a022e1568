//! The consumer's end: a `Stream` of records.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use futures_core::Stream;
use polyread_core::{CancelToken, FAREWELL, FileResult, Sink, Summary, Tally, join_in_time};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;

/// The records of a run, as they are finished; see [`TokioReader::stream`](crate::TokioReader::stream).
///
/// Dropping it cancels the run: no hop is started any more, and those in flight end with the chunk they are reading.
#[derive(Debug)]
pub struct RecordStream<T> {
    ready: std::vec::IntoIter<FileResult<T>>,
    batches: Receiver<Vec<FileResult<T>>>,
    feeder: Option<JoinHandle<()>>,
    tally: Tally,
    cancel: CancelToken,
    ended: bool,
}

impl<T> RecordStream<T> {
    pub(crate) fn new(
        batches: Receiver<Vec<FileResult<T>>>,
        feeder: JoinHandle<()>,
        tally: Tally,
        cancel: CancelToken,
    ) -> Self {
        Self { ready: Vec::new().into_iter(), batches, feeder: Some(feeder), tally, cancel, ended: false }
    }

    /// What the run has come to so far: stopped by its [sink](polyread_core::Stopped::Sink), until the stream has ended.
    /// A partial run never looks whole.
    pub fn summary(&self) -> Summary {
        self.tally.summary(self.ended)
    }

    /// Hands all records to a sink. It is called outside of the runtime, which is none of its business, and its panic is
    /// given back when the run has been wound up.
    pub(crate) fn deliver(mut self, runtime: &Runtime, sink: &mut Sink<'_, T>) -> std::thread::Result<Summary> {
        loop {
            // What is there already needs no runtime.
            self.tally.release();
            let record = match self.ready.next() {
                Some(record) => Some(self.tally.admit(record)),
                None => runtime.block_on(std::future::poll_fn(|cx| Pin::new(&mut self).poll_next(cx))),
            };
            let Some(record) = record else { break };
            let flow = catch_unwind(AssertUnwindSafe(|| sink(record)));
            if !matches!(flow, Ok(ControlFlow::Continue(()))) {
                runtime.block_on(self.wind_up());
                // `Break`, or the panic.
                return flow.map(|_| self.summary());
            }
        }
        Ok(self.summary())
    }

    /// Stops the run and counts what nobody will see any more.
    async fn wind_up(&mut self) {
        self.cancel.cancel();
        self.tally.release();
        let Self { ready, batches, tally, .. } = self;
        ready.for_each(|record| tally.discard(&record));
        let rest = async {
            while let Some(batch) = batches.recv().await {
                batch.iter().for_each(|record| tally.discard(record));
            }
        };
        // A hop that hangs in the kernel is not waited for.
        let _ = tokio::time::timeout(FAREWELL, rest).await;
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
            match ready!(self.batches.poll_recv(cx)) {
                Some(batch) => self.ready = batch.into_iter(),
                None if self.ended => return Poll::Ready(None),
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
