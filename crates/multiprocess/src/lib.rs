//! Reads every file of a tree in worker processes.
//!
//! From the top: [`MultiprocessReader`] is a [`FileReader`](polyread_core::FileReader) whose workers are processes, this
//! very program started again. [`Worker::run`] belongs early into `main`: in a worker it is where the work is done, in the
//! program itself it returns at once. [`MultiprocessReader::records`] gives the records as an iterator,
//! [`FileReader::read`](polyread_core::FileReader::read) to a closure; a [`Pool`] keeps processes for several runs. Settings are
//! in [`Config`].
//!
//! ```no_run
//! use polyread_multiprocess::core::{Discovery, Job, TextStats};
//! use polyread_multiprocess::{MultiprocessReader, Worker};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     Worker::new().run();
//!     let files = Discovery::new("src").extensions(["rs"]).walk()?;
//!     for record in MultiprocessReader::new().records(Job::new(files, TextStats::default()))? {
//!         println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! An analysis crosses to the workers by serde, and so do its outputs: see [`PortableAnalysis`].

#![deny(unsafe_code)]
// The program decides what to print and when to end. This crate only ends processes that were started as workers.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
#[cfg(test)]
mod fake_worker;
mod lock;
mod poll;
mod pool;
mod portable_analysis;
mod process;
mod protocol;
mod reader;
mod run;
mod worker;

pub use config::Config;
pub use polyread_core as core;
pub use pool::Pool;
pub use portable_analysis::PortableAnalysis;
pub use reader::MultiprocessReader;
pub use worker::Worker;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
