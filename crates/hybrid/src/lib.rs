//! Reads every file of a tree with two readers at once: small files with the one, large files with the other.
//!
//! From the top: [`HybridReader`] is a [`FileReader`](polyread_core::FileReader) with two of them inside, by default
//! [`TokioReader`](polyread_tokio::TokioReader) for files below 10,000 bytes and
//! [`RayonReader`](polyread_rayon::RayonReader) from there on. [`HybridReader::records`] gives the records of both as one
//! iterator, [`FileReader::read`](polyread_core::FileReader::read) to a closure; the
//! [worker](polyread_core::FileResult::worker) of each tells which side read its file. What there is to set is in [`Config`];
//! [`HybridReader::calibrate`] measures which threshold suits a tree and the machine.
//!
//! ```
//! use polyread_core::{Discovery, Job, TextStats};
//! use polyread_hybrid::HybridReader;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! for record in HybridReader::new().records(Job::new(files, TextStats::default()))? {
//!     assert_eq!(record.worker.kind() == "thread", record.bytes >= 10_000);
//!     println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod calibrate;
mod config;
mod reader;
mod route;

pub use calibrate::{CalibrateError, Calibration, Measurement, Trial};
pub use config::Config;
pub use polyread_core as core;
pub use reader::HybridReader;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
