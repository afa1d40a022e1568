//! A file that was found, and how it is opened without being led astray.

mod beneath;
mod root;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use root::FLAGS;
#[cfg(target_os = "linux")]
pub use root::Opening;
pub use root::{Links, Root};
use rustix::fs::Mode;

use crate::budget::lock;
use crate::split::Opened;
use crate::{CancelToken, ErrorKind, Operation, ReadError};

/// A file to be read: its path and, when [`Discovery`](crate::Discovery) found it, the root to open it from.
#[derive(Clone, Debug)]
pub struct FileEntry {
    path: PathBuf,
    root: Option<Arc<Root>>,
    size_hint: Option<u64>,
    /// It was opened on the small side of a split run. Clones share it, and the first to be read takes it.
    opened: Option<Arc<Mutex<Option<Opened>>>>,
}

impl FileEntry {
    /// A file named by its path, to be opened from the current directory, links followed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::named(path, None)
    }

    pub(crate) fn named(path: impl Into<PathBuf>, size_hint: Option<u64>) -> Self {
        Self { path: path.into(), root: None, size_hint, opened: None }
    }

    /// A file below a root, to be opened from there. `path` starts with the root's.
    ///
    /// For those who write a reader.
    pub fn below(root: Arc<Root>, path: PathBuf, size_hint: Option<u64>) -> Self {
        Self { path, root: Some(root), size_hint, opened: None }
    }

    /// The path: the root as it was given, continued by what discovery found below it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root that it was found below.
    ///
    /// For those who write a reader.
    pub fn root(&self) -> Option<&Arc<Root>> {
        self.root.as_ref()
    }

    /// The size in bytes when it was listed, if it was asked for. A hint: files change, and those in `/proc` say 0.
    pub fn size_hint(&self) -> Option<u64> {
        self.size_hint
    }

    /// The same file, open already.
    pub(crate) fn with_opened(self, opened: Opened) -> Self {
        Self { opened: Some(Arc::new(Mutex::new(Some(opened)))), ..self }
    }

    /// Closes the file if it came open from the other side of a [split](crate::Split) run: for a worker that opens files in
    /// its own way.
    ///
    /// For those who write a reader.
    pub fn close(&mut self) {
        drop(self.take_opened());
    }

    /// How to open it by one's own call. `None` where that would be less than what a [`FileScanner`](crate::FileScanner)
    /// does: the file was not listed as a regular one but named, or may be reached through links that lead anywhere, its
    /// root is not held open, or it is open already.
    ///
    /// For those who write a reader.
    #[cfg(target_os = "linux")]
    pub fn opening(&self) -> Option<Opening<'_>> {
        self.root.as_ref().filter(|_| self.opened.is_none())?.opening(&self.path)
    }

    pub(crate) fn take_opened(&mut self) -> Option<Opened> {
        lock(&*self.opened.take()?).take()
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

    /// Opens the file if it lies on its root's own file system, one where [`Root::is_end`] tells. `None` for any other, and
    /// where anything else is to be said about it, which [`open`](Self::open) does.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_paged(&self) -> Option<(File, &Root)> {
        let opening = self.opening().filter(|opening| opening.root.is_paged())?;
        Some((File::from(beneath::open_staying(&opening)?), opening.root))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open_paged(&self) -> Option<(File, &Root)> {
        None
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

/// What `open` comes to, tried again while no descriptor is free: others give theirs back. Ends with the lack itself when
/// the wait is over: at `until`, when `cancel` is raised, or after as long as it takes to call that a lack.
pub(crate) fn when_free<T>(
    cancel: &CancelToken,
    until: Option<Instant>,
    mut open: impl FnMut() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    use rustix::io::Errno;

    /// Others close theirs within microseconds when they read, within seconds when a disk is slow.
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut pause = Duration::from_micros(100);
    let mut waited = Duration::ZERO;
    loop {
        let lack = match open() {
            Err(Errno::INTR) => continue,
            Err(lack @ (Errno::MFILE | Errno::NFILE)) => lack,
            opened => return opened,
        };
        let out_of_time = until.is_some_and(|until| Instant::now() >= until);
        if waited > PATIENCE || out_of_time || cancel.is_cancelled() {
            return Err(lack);
        }
        std::thread::sleep(pause);
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
