//! One thread, one file at a time: the baseline of every comparison and the reference of every test.

use crate::{Analysis, FileReader, Job, ReaderError, Run, Sink, Summary, WorkerId};

/// Reads the files one after the other, in the order of discovery, on the caller's thread.
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
}

impl<A: Analysis> FileReader<A> for SequentialReader {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        let _span = tracing::info_span!("read", strategy = "sequential").entered();
        let Run { entries, context, mut tally, .. } = job.start();
        let mut scanner = context.scanner();
        for entry in entries {
            // Nothing to hand over before waiting: the record before this one has been consumed.
            let result = scanner.scan(entry, WorkerId::Thread(0), &mut |_| {});
            scanner.rest();
            let Some(result) = result else { continue };
            let flow = sink(tally.admit(result));
            tally.release();
            if flow.is_break() {
                return Ok(tally.summary(false));
            }
        }
        Ok(tally.summary(true))
    }
}
