//! The options of a discovery, as its builder has collected them.

use std::path::PathBuf;

use crate::cancel::CancelToken;
use crate::file::Links;

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) roots: Vec<PathBuf>,
    pub(super) extensions: Vec<String>,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) skip_hidden: bool,
    pub(super) ignore_files: bool,
    pub(super) max_depth: Option<usize>,
    pub(super) follow_links: bool,
    pub(super) confined: bool,
    pub(super) same_file_system: bool,
    pub(super) min_size: Option<u64>,
    pub(super) max_size: Option<u64>,
    pub(super) sizes: bool,
    pub(super) threads: usize,
    pub(super) cancel: CancelToken,
}

impl Options {
    pub(super) fn links(&self) -> Links {
        match (self.follow_links, self.confined) {
            (false, _) => Links::NotFollowed,
            (true, false) => Links::Followed,
            (true, true) => Links::FollowedWithin,
        }
    }
}

/// Threads that a walk takes by default at the most: directories are few compared with files, and locks in the kernel's
/// directory cache eat what more threads would gain.
pub(super) const MOST_THREADS: usize = 8;
