//! The reader on systems that have no io_uring: every call says so.

use polyread_core::{Analysis, FileReader, Job, ReaderError, Records};

use crate::config::Config;
use crate::unavailable::Unavailable;

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
        Err(Unavailable::Platform)
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

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Self::records(self, job)
    }
}
