//! What the threads that walk one root share.

use std::sync::Arc;

use super::filter::Filter;
use super::names::Names;
use super::options::Options;
use super::rules::Rules;
use super::work_queue::WorkQueue;
use crate::background::Outlet;
use crate::error::ReadError;
use crate::file::{FileEntry, Root};

/// What the walk yields.
pub(super) type Found = Result<FileEntry, ReadError>;

/// Device and inode, by which a directory is known whatever its path.
pub(super) type Identity = (u64, u64);

/// What every thread that walks one root shares.
pub(super) struct Walked<'a> {
    pub(super) options: &'a Options,
    pub(super) filter: &'a Filter,
    pub(super) outlet: &'a Outlet<Found>,
    pub(super) root: Arc<Root>,
    /// The one that the root lies on.
    pub(super) device: u64,
    pub(super) rules: Option<Rules>,
    pub(super) queue: WorkQueue<Share>,
}

/// Work that one thread gives to another: directories that are still to be listed, and what is known of those above.
pub(super) struct Share {
    pub(super) path: Vec<u8>,
    pub(super) depth: usize,
    pub(super) names: Names,
    pub(super) above: Vec<(Identity, usize)>,
}
