//! Fan-in: the records of many workers for one consumer, who pulls.

use crate::background::Background;
use crate::{Analysis, Context, Entries, FileResult, Outlet, ReaderError, Run, Sink, Summary, Tally};

/// The records of a run, as they are finished: what readers of threads and processes give to those who would rather
/// iterate than be called.
///
/// Dropping it ends the run, and with it its threads and descriptors.
#[derive(Debug)]
pub struct Records<T> {
    background: Background<FileResult<T>>,
    tally: Tally,
    ended: bool,
}

/// What the thread behind [`Records`] works with.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Producer<A: Analysis> {
    /// The entries to be read.
    pub entries: Entries,
    /// What each worker needs.
    pub context: Context<A>,
    /// Where finished records go.
    pub outlet: Outlet<FileResult<A::Output>>,
}

impl<T: Send + 'static> Records<T> {
    /// Starts a run whose records `produce` sends, from a thread named after the strategy. At most `batches_ahead`
    /// batches wait for the consumer.
    ///
    /// When `produce` returns and the last clone of its outlet is gone, the run is over: threads of its own must have
    /// ended before.
    ///
    /// For those who write a reader.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if the thread cannot be started.
    pub fn of<A: Analysis<Output = T>>(
        strategy: &'static str,
        run: Run<A>,
        batches_ahead: usize,
        produce: impl FnOnce(Producer<A>) + Send + 'static,
    ) -> Result<Self, ReaderError> {
        let Run { entries, context, tally, cancel, .. } = run;
        let background = Background::spawn(&format!("polyread-{strategy}"), batches_ahead, cancel, move |outlet| {
            let _span = tracing::info_span!("read", strategy).entered();
            produce(Producer { entries, context, outlet });
        });
        let background = background.map_err(|error| ReaderError::Start { strategy, reason: error.to_string() })?;
        Ok(Self { background, tally, ended: false })
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
        self.ended |= record.is_none();
        record.map(|record| FileResult { is_followed: self.background.has_ready(), ..record })
    }
}
