//! A file that was found, and how it is opened without being led astray.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::{CancelToken, ErrorKind, Operation, ReadError};

/// How every file is opened. `NONBLOCK` so that a FIFO that took a file's place cannot block the open, `NOCTTY` so that
/// a terminal cannot become the program's own.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory that discovery started from, held open: what is below it is opened relative to its descriptor, so that
/// renaming the root or a directory above it changes nothing.
#[derive(Debug)]
pub(crate) struct Root {
    descriptor: OwnedFd,
    /// Length in bytes of the root's path as it stands in front of the paths of its entries.
    prefix: usize,
    links: Links,
}

/// What a path below a root may pass through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// No link in the last place, none that leads out of the root before it.
    NotFollowed,
    /// Links are followed, wherever they lead.
    Followed,
    /// Links are followed as long as they stay below the root.
    FollowedWithin,
}

impl Root {
    pub(crate) fn open(path: &Path, links: Links) -> io::Result<Self> {
        // O_PATH, where there is one: holding a directory takes no permission to list it.
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { descriptor: rustix::fs::open(path, flags, Mode::empty())?, prefix: path.as_os_str().len(), links })
    }

    /// The part of `path` below this root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        let below = path.as_os_str().as_bytes().get(self.prefix..).unwrap_or_default();
        let slashes = below.iter().take_while(|byte| **byte == b'/').count();
        Path::new(std::ffi::OsStr::from_bytes(&below[slashes..]))
    }

    fn open_below(&self, relative: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = match self.links {
            Links::NotFollowed => FLAGS | OFlags::NOFOLLOW,
            Links::Followed => return rustix::fs::openat(&self.descriptor, relative, FLAGS, Mode::empty()),
            Links::FollowedWithin => FLAGS,
        };
        open_beneath(&self.descriptor, relative, flags, self.links)
    }
}

/// `openat2` with `RESOLVE_BENEATH`: no link in the middle of the path, however freshly swapped in, leads out.
#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, relative: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    use rustix::io::Errno;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the kernel (before 5.6) or a sandbox refuses the call altogether.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    /// EAGAIN means that a rename raced with the resolution of a `..`; the manual says to try again.
    const TRIES: u32 = 8;

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        if REFUSED.load(Ordering::Relaxed) {
            break;
        }
        match rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => REFUSED.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    if links == Links::FollowedWithin {
        // Without the kernel's help a link that leads out cannot be told from one that does not.
        return Err(Errno::XDEV);
    }
    rustix::fs::openat(root, relative, flags, Mode::empty())
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(root: &OwnedFd, relative: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
    if links == Links::FollowedWithin {
        return Err(rustix::io::Errno::XDEV);
    }
    rustix::fs::openat(root, relative, flags, Mode::empty())
}

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
        Self { path: path.into(), root: None, size_hint: None }
    }

    pub(crate) fn below(root: Arc<Root>, path: PathBuf, size_hint: Option<u64>) -> Self {
        Self { path, root: Some(root), size_hint }
    }

    /// The path: the root as it was given, continued by what discovery found below it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was listed, if it was asked for. A hint: files change, and those in `/proc` say 0.
    pub fn size_hint(&self) -> Option<u64> {
        self.size_hint
    }

    pub(crate) fn into_path(self) -> PathBuf {
        self.path
    }

    /// Opens the file without ever blocking on it.
    ///
    /// Waits for a free descriptor, `until` or for as long as it takes to call that a lack.
    pub(crate) fn open(&self, cancel: &CancelToken, until: Option<std::time::Instant>) -> Result<File, ReadError> {
        /// Others close theirs within microseconds when they read, within seconds when a disk is slow.
        const PATIENCE: Duration = Duration::from_secs(10);
        let mut pause = Duration::from_micros(100);
        let mut waited = Duration::ZERO;
        loop {
            let opened = match &self.root {
                Some(root) => root.open_below(root.relative(&self.path)),
                None => rustix::fs::open(&self.path, FLAGS, Mode::empty()),
            };
            let error = match opened {
                Ok(descriptor) => return Ok(File::from(descriptor)),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => self.open_error(error.into()),
            };
            let out_of_time = until.is_some_and(|until| std::time::Instant::now() >= until);
            if error.kind() != ErrorKind::TooManyOpenFiles || waited > PATIENCE || out_of_time || cancel.is_cancelled()
            {
                return Err(error);
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// What the error code means here: for a file that discovery had seen, or for one that somebody named.
    fn open_error(&self, error: io::Error) -> ReadError {
        let error = ReadError::from_io(error, Operation::Open, &self.path);
        let kind = match (error.kind(), &self.root) {
            (ErrorKind::Vanished, None) => ErrorKind::NotFound,
            // With O_NOFOLLOW: a link stands where a file was listed.
            (ErrorKind::Loop, Some(root)) if root.links == Links::NotFollowed => ErrorKind::SymbolicLink,
            (kind, _) => kind,
        };
        error.with_kind(kind)
    }
}
