//! A file that was found, and how it is opened without being led astray.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::budget::lock;
use crate::split::Opened;
use crate::{CancelToken, ErrorKind, Operation, ReadError};

/// How every file is opened. `NONBLOCK` so that a FIFO that took a file's place cannot block the open, `NOCTTY` so that
/// a terminal cannot become the program's own.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory that discovery started from, held open: what is below it is opened relative to its descriptor, so that
/// renaming the root or a directory above it changes nothing.
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// Device and inode: another process that opens it by its path asks whether it is still the same.
    identity: (u64, u64),
    /// `None` where so many roots are read at once that holding each would use the descriptors up: then the root is
    /// opened anew for each file.
    descriptor: Option<OwnedFd>,
    links: Links,
    is_paged: bool,
}

/// The least page size in bytes; those of other machines are multiples of it.
const PAGE: usize = 4096;

/// What a path below a root may pass through.
///
/// For those who write a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub enum Links {
    /// No link in the last place, none that leads out of the root before it.
    NotFollowed,
    /// Links are followed, wherever they lead.
    Followed,
    /// Links are followed as long as they stay below the root.
    FollowedWithin,
}

impl Root {
    /// The root at `path`, as it stands in front of the paths of its entries.
    pub(crate) fn open(path: &Path, links: Links, held: bool) -> rustix::io::Result<Self> {
        let descriptor = open_directory(rustix::fs::CWD, path, OFlags::empty())?;
        let identity = identity(&descriptor)?;
        let is_paged = is_paged(&descriptor);
        Ok(Self { path: path.to_path_buf(), identity, descriptor: held.then_some(descriptor), links, is_paged })
    }

    /// The same root in another process, opened through `descriptor`, a path to the descriptor of the process that found
    /// it, or else by its own path.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or something else stands there now.
    pub fn reopen(
        path: PathBuf,
        identity_there: (u64, u64),
        links: Links,
        descriptor: Option<&Path>,
    ) -> io::Result<Self> {
        let same = |path: &Path| {
            let descriptor = open_directory(rustix::fs::CWD, path, OFlags::empty())?;
            if identity(&descriptor)? == identity_there { Ok(descriptor) } else { Err(rustix::io::Errno::STALE) }
        };
        let opened = descriptor.map(same).and_then(Result::ok);
        let descriptor = opened.map_or_else(|| same(&path), Ok)?;
        let is_paged = is_paged(&descriptor);
        Ok(Self { path, identity: identity_there, descriptor: Some(descriptor), links, is_paged })
    }

    /// The path as it stands in front of the paths of its entries.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// What a path below it may pass through.
    pub fn links(&self) -> Links {
        self.links
    }

    /// Its descriptor, if it is held open.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Whether a read that brought so many of the bytes that it was `asked` for has come to the end of the file.
    ///
    /// On file systems that read from the page cache, a read comes back short only at the end of the file, or before a page
    /// that cannot be had; and then what it brought ends at a page's edge. This holds for files on the root's own file system
    /// alone, so that it takes `RESOLVE_NO_XDEV` to open them. `false` means that one does not know.
    pub fn is_end(&self, read: usize, asked: usize) -> bool {
        self.is_paged && read < asked && !read.is_multiple_of(PAGE)
    }

    /// Whether this root is on such a file system.
    pub fn is_paged(&self) -> bool {
        self.is_paged
    }

    /// The part of `path` below this root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        let prefix = self.path.as_os_str().len();
        let below = path.as_os_str().as_bytes().get(prefix..).unwrap_or_default();
        let slashes = below.iter().take_while(|byte| **byte == b'/').count();
        Path::new(std::ffi::OsStr::from_bytes(&below[slashes..]))
    }

    /// Whether following the link at this path leads out of the root, where links must stay below it.
    pub(crate) fn is_left_by(&self, link: &Path) -> bool {
        let directory = FLAGS | OFlags::DIRECTORY;
        self.links == Links::FollowedWithin
            && self.open_below(self.relative(link), directory).err() == Some(rustix::io::Errno::XDEV)
    }

    /// Opens what lies at `relative`, or the root itself if that is empty. The system takes no path of `PATH_MAX` bytes or
    /// more: a longer one is opened in pieces, each from the directory that the one before it led to.
    pub(crate) fn open_below(&self, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let reopened;
        let root = match &self.descriptor {
            Some(descriptor) => descriptor,
            None => {
                reopened = open_directory(rustix::fs::CWD, &self.path, OFlags::empty())?;
                &reopened
            }
        };
        if relative.as_os_str().is_empty() {
            return self.open_piece(root, Path::new("."), flags);
        }
        let mut reached = None;
        let mut rest = relative;
        while let Some((piece, remaining)) = cut_too_long(rest) {
            reached = Some(self.open_piece(reached.as_ref().unwrap_or(root), piece, TO_OPEN_FROM)?);
            rest = remaining;
        }
        self.open_piece(reached.as_ref().unwrap_or(root), rest, flags)
    }

    fn open_piece(&self, from: &OwnedFd, piece: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        match self.links {
            Links::NotFollowed => open_beneath(from, piece, flags | OFlags::NOFOLLOW, self.links),
            Links::Followed => rustix::fs::openat(from, piece, flags, Mode::empty()),
            // A link in a later piece that leads above where that piece starts is refused, though it may stay below the
            // root: nobody but the kernel can tell, and it is asked for one piece at a time.
            Links::FollowedWithin => open_beneath(from, piece, flags, self.links),
        }
    }
}

/// The longest piece of a path that can be opened at once, and what comes after it; `None` for a path that is short
/// enough, and for a name that is longer than any can be.
fn cut_too_long(path: &Path) -> Option<(&Path, &Path)> {
    /// `PATH_MAX` counts the byte that ends the path.
    const LONGEST: usize = if cfg!(target_os = "linux") { 4095 } else { 1023 };
    let bytes = path.as_os_str().as_bytes();
    let slash = bytes.get(..=LONGEST)?.iter().rposition(|byte| *byte == b'/')?;
    let path = |bytes| Path::new(std::ffi::OsStr::from_bytes(bytes));
    Some((path(&bytes[..slash]), path(&bytes[slash + 1..])))
}

/// Whether this is on a file system that reads from the page cache.
#[cfg(target_os = "linux")]
fn is_paged(directory: &OwnedFd) -> bool {
    /// ext2 to ext4, XFS, Btrfs, tmpfs and F2FS, as `statfs` names them.
    const PAGED: [u64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010];
    let kind = rustix::fs::fstatfs(directory).ok().and_then(|told| u64::try_from(told.f_type).ok());
    kind.is_some_and(|kind| PAGED.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_paged(_: &OwnedFd) -> bool {
    false
}

fn identity(directory: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// How a directory is opened that is there to open others from. With `O_PATH`, where there is such a thing, it takes no
/// permission to list it.
#[cfg(target_os = "linux")]
const TO_OPEN_FROM: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const TO_OPEN_FROM: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn open_directory(at: impl AsFd, path: &Path, more: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, path, TO_OPEN_FROM | more, Mode::empty())
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

/// What no path below a root may do.
#[cfg(target_os = "linux")]
const BENEATH: rustix::fs::ResolveFlags =
    rustix::fs::ResolveFlags::BENEATH.union(rustix::fs::ResolveFlags::NO_MAGICLINKS);

/// Whether the kernel (before 5.6) or a sandbox refuses `openat2` altogether.
#[cfg(target_os = "linux")]
static OPENAT2_IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// `openat2` with `RESOLVE_BENEATH`: no link in the middle of the path, however freshly swapped in, leads out.
#[cfg(target_os = "linux")]
fn open_beneath(root: &OwnedFd, relative: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::openat2;
    use rustix::io::Errno;
    /// EAGAIN means that a rename raced with the resolution of a `..`; the manual says to try again. Who never gets
    /// through is answered with EAGAIN: any other way to open the file would follow what must not be followed.
    const TRIES: u32 = 100;

    if OPENAT2_IS_REFUSED.load(Ordering::Relaxed) {
        return open_step_by_step(root, relative, flags, links);
    }
    let open = |path: &Path| openat2(root, path, flags, Mode::empty(), BENEATH);
    let mut result = open(relative);
    for _ in 0..TRIES {
        match result {
            Err(Errno::AGAIN | Errno::INTR) => std::thread::yield_now(),
            // Old sandboxes refuse calls that they do not know with EPERM; then even the root itself is refused.
            Err(Errno::PERM) if open(Path::new(".")).err() != Some(Errno::PERM) => break,
            Err(Errno::NOSYS | Errno::PERM) => {
                OPENAT2_IS_REFUSED.store(true, Ordering::Relaxed);
                return open_step_by_step(root, relative, flags, links);
            }
            _ => break,
        }
        result = open(relative);
    }
    result
}

#[cfg(not(target_os = "linux"))]
use open_step_by_step as open_beneath;

/// What can be had without the kernel's help: each directory on the way is opened without following a link.
fn open_step_by_step(root: &OwnedFd, relative: &Path, flags: OFlags, links: Links) -> rustix::io::Result<OwnedFd> {
    if links == Links::FollowedWithin {
        // A link that leads out cannot be told from one that does not.
        return Err(rustix::io::Errno::XDEV);
    }
    let mut directory =
        root.try_clone().map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?;
    for component in relative.parent().into_iter().flat_map(Path::components) {
        let step = open_directory(&directory, Path::new(component.as_os_str()), OFlags::NOFOLLOW);
        directory = step.map_err(|error| match error {
            // A link stands where a directory was: with O_DIRECTORY and O_NOFOLLOW this is what it is called.
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => rustix::io::Errno::XDEV,
            error => error,
        })?;
    }
    rustix::fs::openat(&directory, relative.file_name().map_or(relative, Path::new), flags, Mode::empty())
}

/// How to open a file that was listed as a regular one, for a worker that makes the call by itself: with `openat2`, from
/// `root`'s descriptor, which stays open for as long as `root` is kept.
///
/// For those who write a reader.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Where the path starts.
    pub root: &'a Arc<Root>,
    /// The way from there.
    pub path: &'a Path,
    /// The flags of the call.
    pub flags: OFlags,
    /// What the path must not pass through.
    pub resolve: rustix::fs::ResolveFlags,
}

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
        let root = self.root.as_ref().filter(|root| root.descriptor.is_some() && self.opened.is_none())?;
        let flags = match root.links {
            Links::NotFollowed => FLAGS | OFlags::NOFOLLOW,
            Links::FollowedWithin => FLAGS,
            Links::Followed => return None,
        };
        let path = root.relative(&self.path);
        (!path.as_os_str().is_empty()).then_some(Opening { root, path, flags, resolve: BENEATH })
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
        let Opening { root, path, flags, resolve } = self.opening().filter(|opening| opening.root.is_paged)?;
        if OPENAT2_IS_REFUSED.load(Ordering::Relaxed) {
            return None;
        }
        let resolve = resolve | rustix::fs::ResolveFlags::NO_XDEV;
        let opened = rustix::fs::openat2(root.descriptor.as_ref()?, path, flags, Mode::empty(), resolve);
        Some((File::from(opened.ok()?), root))
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
            (ErrorKind::Loop, Some(root)) if root.links == Links::NotFollowed => ErrorKind::SymbolicLink,
            // Loops of links were found when they were followed to be listed: this is a magic link, as those in /proc.
            (ErrorKind::Loop, Some(root)) if root.links == Links::FollowedWithin => ErrorKind::EscapesRoot,
            (kind, _) => kind,
        };
        error.with_kind(kind)
    }
}
