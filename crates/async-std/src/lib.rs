//! Reads every file of a tree in cooperative async-std tasks.
//!
//! From the top: [`AsyncStdReader`] is a [`FileReader`](polyread_core::FileReader) whose work is done by tasks, as many at
//! once as a semaphore has permits. [`AsyncStdReader::stream`] gives the records as a [`RecordStream`] to any task;
//! [`FileReader::read`](polyread_core::FileReader::read) gives them to a closure, outside of any. What there is to set is
//! in [`Config`].
//!
//! ```
//! use async_std::stream::StreamExt;
//! use polyread_async_std::AsyncStdReader;
//! use polyread_async_std::core::{Discovery, Job, TextStats};
//!
//! # #[async_std::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! let mut records = AsyncStdReader::new().stream(Job::new(files, TextStats::default()))?;
//! while let Some(record) = records.next().await {
//!     println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! async-std is discontinued: the crate's README says why this model stays, and what to use in a new program.

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
mod reader;

pub use config::Config;
pub use polyread_core as core;
pub use polyread_hops::RecordStream;
pub use reader::AsyncStdReader;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
