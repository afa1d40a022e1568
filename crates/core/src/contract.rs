//! The contract: what every reader takes, gives and promises.

use crate::analysis::Analysis;
use crate::error::ReaderError;
use crate::job::Job;
use crate::record::Sink;
use crate::records::Records;
use crate::summary::Summary;

/// Reads files in some concurrency model and hands over one record for each.
///
/// This is the whole contract. Every implementation passes the same conformance suite, so that one can stand in for
/// another; it is usable as `dyn FileReader<A>`. To write one, see the module [`reader`](crate::reader).
///
/// # The promises
///
/// - **Exactly one record for each entry taken from the job**, whatever happens to the file: read, failed, skipped, or
///   cancelled in the middle. Failures of files never end the run.
/// - **Records come as they are finished**, in any order. [`FileResult::index`](crate::FileResult::index) restores the order of discovery.
/// - **Everything is bounded**: entries read ahead, records waiting for the consumer, open files, bytes in flight. A slow
///   consumer slows the workers down; it does not fill the memory.
/// - **When the call returns or the iterator ends, the run is over**: no thread of the run, no descriptor is left behind,
///   unless a read call hangs in the kernel; then the worker that is inside ends with that call.
///
/// # Why a sink beside the iterator, and why on the caller's thread?
///
/// A closure is the first thing that one writes, and it can stop a run without dropping anything. That it runs on the
/// thread that made the call means that it need be neither `Send` nor `Sync`: it may fill a `Vec`, write to a locked standard
/// output or keep an `Rc`, without a lock around it.
pub trait FileReader<A: Analysis>: Send + Sync {
    /// The stable name of the strategy, as the command line and reports spell it.
    fn name(&self) -> &'static str;

    /// The records of the job's files as an iterator. Reading starts at once and goes on ahead of the consumer by a bounded
    /// amount. Dropping the iterator ends the run.
    ///
    /// # Errors
    ///
    /// - [`ReaderError::InsideRuntime`] when the model needs a runtime and this thread is already in one.
    /// - [`ReaderError::Start`] when threads, processes or a runtime cannot be started.
    /// - [`ReaderError::Unavailable`] when the system lacks what the model is made of.
    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError>;

    /// Reads all files of the job, calling `sink` for each record on this thread.
    ///
    /// `ControlFlow::Break` from the sink ends the run: no further record is handed over, and the summary says
    /// [`Stopped::Sink`](crate::Stopped::Sink). Cancelling the job's token ends it as well: files in the middle of being
    /// read end in records of kind [`Cancelled`](crate::ErrorKind::Cancelled), and the summary says
    /// [`Stopped::Cancelled`](crate::Stopped::Cancelled). A panic in the sink passes through, after the workers were
    /// stopped.
    ///
    /// # Errors
    ///
    /// As [`records`](Self::records). No record has been handed over when an error is returned.
    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
    }
}

/// A reader that was chosen at run time is one too.
impl<A: Analysis, R: FileReader<A> + ?Sized> FileReader<A> for Box<R> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        (**self).records(job)
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        (**self).read(job, sink)
    }
}
