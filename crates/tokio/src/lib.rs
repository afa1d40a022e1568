//! Reads every file of a tree in cooperative tokio tasks.
//!
//! From the top: [`TokioReader`] is a [`FileReader`](polyread_core::FileReader) whose work is done by tasks, as many at
//! once as a semaphore has permits. [`TokioReader::stream`] gives the records as a [`RecordStream`] inside of the
//! caller's runtime; [`FileReader::read`](polyread_core::FileReader::read) gives them to a closure, outside of any. What
//! there is to set is in [`Config`].
//!
//! ```
//! use futures_util::StreamExt;
//! use polyread_tokio::TokioReader;
//! use polyread_tokio::core::{Discovery, Job, TextStats};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! let mut records = TokioReader::new().stream(Job::new(files, TextStats::default()))?;
//! while let Some(record) = records.next().await {
//!     println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
mod reader;

pub use config::Config;
pub use polyread_core as core;
pub use polyread_hops::RecordStream;
pub use reader::TokioReader;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
