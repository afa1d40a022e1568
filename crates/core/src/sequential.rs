//! One thread, one file at a time: the baseline of every comparison and the reference of every test.

use crate::analysis::Analysis;
use crate::contract::FileReader;
use crate::error::ReaderError;
use crate::job::Job;
use crate::reader::run::Run;
use crate::record::{Sink, WorkerId};
use crate::records::Records;
use crate::summary::Summary;

const NAME: &str = "sequential";

/// Reads the files one after the other, in the order of discovery: on the caller's thread, or for an iterator on one of its
/// own.
///
/// There is nothing to configure. Of the [`Limits`](crate::Limits), those on workers and open files hold by themselves.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SequentialReader;

impl SequentialReader {
    /// The reader; [`Default`] gives the same.
    pub fn new() -> Self {
        Self
    }

    /// The records of a run as an iterator. Dropping it ends the run.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if the thread cannot be started.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        job.start().records(NAME, |run| read_all(&run))
    }
}

fn read_all<A: Analysis>(run: &Run<A>) {
    let mut worker = run.worker(WorkerId::new("thread", 0));
    while let Some(batch) = run.next_batch(1) {
        worker.read(batch);
    }
}

impl<A: Analysis> FileReader<A> for SequentialReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        let _span = tracing::info_span!("read", strategy = NAME).entered();
        let run = job.start();
        if run.is_part() {
            return Ok(run.records(NAME, |run| read_all(&run))?.deliver(sink));
        }
        // No record is delivered: each is consumed here before the next file is read.
        let (run, mut tally) = run.delivering(drop);
        let mut worker = run.worker(WorkerId::new("thread", 0));
        while let Some(batch) = run.next_batch(1) {
            for entry in batch {
                let flow = sink(tally.admit(worker.read_one(entry)));
                tally.release();
                if flow.is_break() {
                    return Ok(tally.summary(false));
                }
            }
        }
        tally.end();
        Ok(tally.summary(true))
    }
}
