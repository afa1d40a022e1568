//! Reads every file of a tree on work-stealing threads.
//!
//! From the top: [`RayonReader`] is a [`FileReader`](polyread_core::FileReader) whose workers are the threads of a
//! [rayon](https://docs.rs/rayon) pool of its own. [`RayonReader::records`] gives the records as an iterator,
//! [`FileReader::read`](polyread_core::FileReader::read) to a closure. What there is to set is in [`Config`].
//!
//! ```
//! use polyread_core::{Discovery, Job, TextStats};
//! use polyread_rayon::RayonReader;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! for record in RayonReader::new().records(Job::new(files, TextStats::default()))? {
//!     println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The pool lives as long as the run: dropping the iterator ends its threads. The global pool of the program is never
//! touched, and calling from inside of another pool is fine.

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
mod reader;

pub use config::Config;
pub use polyread_core as core;
pub use reader::RayonReader;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
