//! The reader under test, or where the system has no io_uring the one that all are compared with: a test that cannot be run
//! says so, and does not fail.

use polyread_core::{Analysis, FileReader, SequentialReader};
use polyread_io_uring::{Config, IoUringReader};

pub(crate) fn reader<A: Analysis>() -> Box<dyn FileReader<A>> {
    reader_with(Config::default())
}

pub(crate) fn reader_with<A: Analysis>(config: Config) -> Box<dyn FileReader<A>> {
    match IoUringReader::available() {
        Ok(()) => Box::new(IoUringReader::with_config(config)),
        Err(reason) => {
            println!("skipped: {reason}");
            Box::new(SequentialReader::new())
        }
    }
}
