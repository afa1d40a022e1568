//! What all models of polyread have in common: what is read, what is computed from it, and what comes out.
//!
//! From the top: a [`Discovery`] finds the files below some roots, an [`Analysis`] says what to compute from the bytes
//! of each, and a [`FileReader`] takes both as a [`Job`] and hands over one [`FileResult`] for each file, in whichever
//! concurrency model it stands for. This crate knows no such model but the one that needs none,
//! [`SequentialReader`]; the others are crates of their own.
//!
//! ```
//! use std::ops::ControlFlow;
//! use polyread_core::{Discovery, FileReader, Job, SequentialReader, TextStats};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! let summary = SequentialReader::new().read(Job::new(files, TextStats::default()), &mut |result| {
//!     match result.outcome {
//!         Ok(counts) => println!("{:>8} words  {}", counts.words, result.path.display()),
//!         Err(error) => eprintln!("{error}"),
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(summary.failed(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Every failure of a file is a record in the place of its result, never an early return: see [`ReadError`] for what
//! can happen to one file, [`DiscoveryError`] and [`ReaderError`] for what keeps a run from starting at all.

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
