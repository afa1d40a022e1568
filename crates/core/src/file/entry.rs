//! A file to be read, and how it is opened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::Mode;

use super::descriptors::when_free;
use super::links::Links;
use super::root::{FLAGS, Root};
use crate::cancel::CancelToken;
use crate::error::{ErrorKind, Operation, ReadError};

/// A file to be read: its path and, when [`Discovery`](crate::Discovery) found it, the root to open it from.
#[derive(Clone, Debug)]
pub struct FileEntry {
    path: PathBuf,
    root: Option<Arc<Root>>,
    size_hint: Option<u64>,
}

impl FileEntry {
    /// A file named by its path, to be opened from the current directory, links followed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::named(path, None)
    }

    pub(crate) fn named(path: impl Into<PathBuf>, size_hint: Option<u64>) -> Self {
        Self { path: path.into(), root: None, size_hint }
    }

    /// A file below a root, to be opened from there. `path` starts with the root's.
    pub fn below(root: Arc<Root>, path: PathBuf, size_hint: Option<u64>) -> Self {
        Self { path, root: Some(root), size_hint }
    }

    /// The path: the root as it was given, continued by what discovery found below it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root that it was found below; `None` for a file that was named.
    pub fn root(&self) -> Option<&Arc<Root>> {
        self.root.as_ref()
    }

    /// The size in bytes when it was listed, if it was asked for. A hint: files change, and those in `/proc` say 0.
    pub fn size_hint(&self) -> Option<u64> {
        self.size_hint
    }

    /// The path, without a copy of it.
    pub fn into_path(self) -> PathBuf {
        self.path
    }

    /// Opens the file without ever blocking on it.
    ///
    /// Waits for a free descriptor, `until` or for as long as it takes to call that a lack.
    pub(crate) fn open(&self, cancel: &CancelToken, until: Option<Instant>) -> Result<File, ReadError> {
        let opened = when_free(cancel, until, || match &self.root {
            Some(root) => root.open_below(root.relative(&self.path), FLAGS),
            None => rustix::fs::open(&self.path, FLAGS, Mode::empty()),
        });
        opened.map(File::from).map_err(|error| self.open_error(error.into()))
    }

    /// Opens the file if it lies on its root's own file system, and that is one where [`Root::is_end`] tells the end. `None`
    /// for any other file, and for any error: [`open`](Self::open) tells which.
    pub(crate) fn open_paged(&self) -> Option<(File, &Root)> {
        let root = self.root.as_deref().filter(|root| root.is_paged())?;
        Some((File::from(root.open_staying(root.relative(&self.path))?), root))
    }

    /// What the error code means here: for a file that discovery had seen, or for one that somebody named.
    fn open_error(&self, error: io::Error) -> ReadError {
        let error = ReadError::from_io(error, Operation::Open, &self.path);
        let kind = match (error.kind(), &self.root) {
            (ErrorKind::Vanished, None) => ErrorKind::NotFound,
            // With O_NOFOLLOW: a link stands where a file was listed.
            (ErrorKind::Loop, Some(root)) if root.links() == Links::NotFollowed => ErrorKind::SymbolicLink,
            // Loops of links were found when they were followed to be listed: this is a magic link, as those in /proc.
            (ErrorKind::Loop, Some(root)) if root.links() == Links::FollowedWithin => ErrorKind::EscapesRoot,
            (kind, _) => kind,
        };
        error.with_kind(kind)
    }
}
