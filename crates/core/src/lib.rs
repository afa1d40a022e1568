//! Reads files below some roots and hands over one record for each, in a concurrency model of the program's choice.
//!
//! From the top: a [`Discovery`] finds the files, an [`Analysis`] says what to compute from the bytes of each, and a
//! [`FileReader`] takes both as a [`Job`] and hands over one [`FileResult`] for each file. This crate has one reader, the
//! [`SequentialReader`]; each concurrency model is a crate of its own. To write another, see the module [`reader`].
//!
//! ```
//! use polyread_core::{Discovery, Job, SequentialReader, TextStats};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! for record in SequentialReader::new().records(Job::new(files, TextStats::default()))? {
//!     match record.outcome {
//!         Ok(counts) => println!("{:>8} words  {}", counts.words, record.path.display()),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A file that fails is a record with a [`ReadError`], never an early return. A [`DiscoveryError`] or a [`ReaderError`] keeps
//! a run from starting at all.

// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod adaptive;
mod analysis;
mod background;
mod budget;
mod cancel;
mod contract;
mod discovery;
mod error;
mod escape;
mod file;
mod job;
mod limits;
mod lock;
mod progress;
pub mod reader;
mod record;
mod records;
mod sequential;
mod summary;

pub use analysis::{
    Analysis, Annotated, ByteCount, Combine, Contents, InvalidUtf8, Parts, Rejection, Text, TextCounts, TextStats,
};
pub use cancel::CancelToken;
pub use contract::FileReader;
pub use discovery::{Discovery, Walk};
pub use error::{DiscoveryError, ErrorKind, Operation, ReadError, ReaderError};
pub use escape::Escaped;
pub use file::FileEntry;
pub use job::Job;
pub use limits::Limits;
pub use progress::{Progress, ProgressSnapshot};
pub use record::{FileResult, Sink, WorkerId};
pub use records::Records;
pub use sequential::SequentialReader;
pub use summary::{Stopped, Summary};

/// For the benches and the fuzz target of this crate: what they compare. It may change with any version.
#[doc(hidden)]
pub mod internals {
    pub use crate::analysis::{Level, text_counts};
}
