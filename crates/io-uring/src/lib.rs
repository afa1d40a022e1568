//! Reads every file of a tree through Linux's io_uring: one ring for each thread, many files in flight on each.
//!
//! From the top: [`IoUringReader`] is a [`FileReader`](polyread_core::FileReader) whose workers are rings.
//! [`IoUringReader::records`] gives the records as an iterator, [`FileReader::read`](polyread_core::FileReader::read) to a
//! closure. What there is to set is in [`Config`]. Not every system has io_uring, and not every one that has it lets
//! everybody use it: [`IoUringReader::available`] says why not.
//!
//! ```
//! use polyread_core::{Discovery, Job, TextStats};
//! use polyread_io_uring::IoUringReader;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! if let Err(reason) = IoUringReader::available() {
//!     println!("{reason}");
//!     return Ok(());
//! }
//! let files = Discovery::new("src").extensions(["rs"]).walk()?;
//! for record in IoUringReader::new().records(Job::new(files, TextStats::default()))? {
//!     println!("{} by {}: {:?}", record.path.display(), record.worker, record.outcome);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The rings live as long as the run: dropping the iterator ends their threads, once the kernel has let go of their buffers.

#![deny(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
#[cfg_attr(not(target_os = "linux"), path = "unsupported.rs")]
mod reader;
#[cfg(target_os = "linux")]
mod ring;
mod unavailable;

pub use config::Config;
pub use polyread_core as core;
pub use reader::IoUringReader;
pub use unavailable::Unavailable;

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
