//! Writing a reader: a concurrency model of one's own behind [`FileReader`](crate::FileReader).
//!
//! From the top: [`Job::start`](crate::Job::start) gives a [`Run`]. Its [`next_batch`](Run::next_batch) gives entries, each
//! [`Worker`] reads them and delivers their records, and [`Run::records`] makes an iterator of these. Which worker reads
//! which batch, on which thread, and when, is the model. A whole reader over plain threads:
//!
//! ```
#![doc = include_str!("../examples/own_reader.rs")]
//! ```
//!
//! A model that does something about large files [scans](Worker::scan) entries one by one: a scan ends in a record or in a
//! [`LargeFile`], which is open. It can be read alone, [shared](Worker::share) between workers, or given to another reader.
//!
//! A model whose files are read elsewhere than in a [`Worker`] makes records of its own with [`FileResult::new`], takes room
//! for their contents with [`Run::reserve`] and hands them over with [`Run::deliver`]. It may open files from their [`Root`](custom::Root): see [`custom`].
//!
//! [`FileResult::new`]: crate::FileResult::new

mod buffer;
pub(crate) mod deferral;
pub(crate) mod entries;
mod failures;
pub(crate) mod large;
mod open;
mod partial_results;
pub(crate) mod run;
mod scanner;
mod shared_file;
pub(crate) mod state;
pub(crate) mod tally;
mod watch;
pub(crate) mod worker;

pub use crate::adaptive::{AdaptiveLimit, PermitChange};
pub use crate::background::{SHUTDOWN_TIMEOUT, join_in_time};
pub use entries::Entry;
pub use large::LargeFile;
pub use run::Run;
pub use shared_file::SharedFile;
pub use tally::Tally;
pub use worker::{Scanned, Worker};

/// For models that open, read or supervise files in a way of their own.
pub mod custom {
    pub use super::buffer::ReadBuffer;
    pub use super::partial_results::PartialResults;
    pub use super::watch::Watch;
    pub use crate::budget::Reservation;
    pub use crate::file::{FileVersion, Links, Root};
}
