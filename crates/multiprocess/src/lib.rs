//! Reads every file of a tree in worker processes.
//!
//! From the top: [`MultiprocessReader`] is a [`FileReader`](polyread_core::FileReader) whose workers are processes, this
//! very program started again. [`Worker::run`] belongs early into `main`: in a worker it is where the work is done, in the
//! program itself it returns at once. [`MultiprocessReader::records`] gives the records as an iterator,
//! [`FileReader::read`](polyread_core::FileReader::read) to a closure; a [`Pool`] keeps processes for several runs. What
//! there is to set is in [`Config`].
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
// What to print, and whether to end, is the program's to decide; but that a worker ends is this crate's.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod board;
mod config;
#[cfg(test)]
mod garbage;
mod parts;
mod pool;
mod process;
mod protocol;
mod reader;
mod supervisor;
mod work;
mod worker;

pub use config::Config;
pub use polyread_core as core;
pub use pool::Pool;
pub use reader::MultiprocessReader;
pub use worker::Worker;

use polyread_core::Analysis;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An [`Analysis`] that can cross to another process: it and its outputs are plain data to serde. Whatever fulfils the
/// bounds is one.
///
/// Outputs that are a `Vec<u8>` or a `String` cross at the speed of a copy, and through shared memory if they are large;
/// others are encoded by bincode. Workers know an analysis by the name of its type, after it was registered with
/// [`Worker::with`]; those of `polyread-core` are.
pub trait PortableAnalysis: Analysis<Output: Serialize + DeserializeOwned> + Serialize + DeserializeOwned {}

impl<A> PortableAnalysis for A where A: Analysis<Output: Serialize + DeserializeOwned> + Serialize + DeserializeOwned {}

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
