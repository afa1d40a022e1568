//! The reader where there is no io_uring: it says so.

use polyread_core::{Analysis, FileReader, Job, ReaderError, Records, Sink, Summary};

use crate::{Config, Unavailable};

const NAME: &str = "io-uring";

/// Reads files through io_uring: not on this system.
#[derive(Clone, Debug, Default)]
pub struct IoUringReader;

impl IoUringReader {
    /// A reader with the default settings.
    pub fn new() -> Self {
        Self
    }

    /// A reader with settings of one's own.
    pub fn with_config(_: Config) -> Self {
        Self
    }

    /// Whether this system lets this program use io_uring.
    ///
    /// # Errors
    ///
    /// It does not, always.
    pub fn available() -> Result<(), Unavailable> {
        crate::available::available()
    }

    /// The records of a run as an iterator.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Unavailable`], always.
    pub fn records<A: Analysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        drop(job);
        Err(ReaderError::Unavailable { strategy: NAME, reason: Unavailable::Platform.to_string() })
    }
}

impl<A: Analysis> FileReader<A> for IoUringReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
    }
}
