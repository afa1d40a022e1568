//! A directory that files were found below, and how they are opened from there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::beneath::{TO_OPEN_FROM, open_beneath, open_directory, open_staying};
use super::links::Links;

/// How every file is opened. `NONBLOCK` so that a FIFO that took a file's place cannot block the open, `NOCTTY` so that
/// a terminal cannot become the program's own.
pub(super) const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory that discovery started from, held open: what is below it is opened relative to its descriptor, so that
/// renaming the root or a directory above it changes nothing.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// Device and inode: a process that opens the root by its path asks whether it is still the same.
    identity: (u64, u64),
    /// `None` where so many roots are read at once that holding each would use the descriptors up: then the root is
    /// opened anew for each file.
    descriptor: Option<OwnedFd>,
    links: Links,
    is_paged: bool,
}

/// The least page size in bytes; those of other machines are multiples of it.
const PAGE: usize = 4096;

impl Root {
    /// The root at `path`, as it stands in front of the paths of its entries.
    pub(crate) fn open(path: &Path, links: Links, held: bool) -> rustix::io::Result<Self> {
        let descriptor = open_directory(rustix::fs::CWD, path, OFlags::empty())?;
        let identity = identity(&descriptor)?;
        let is_paged = is_paged(&descriptor);
        Ok(Self { path: path.to_path_buf(), identity, descriptor: held.then_some(descriptor), links, is_paged })
    }

    /// The root at `path` whose directory is open already: for a reader whose workers are elsewhere and are sent the
    /// directory.
    ///
    /// # Errors
    ///
    /// The system does not tell which directory it is.
    pub fn of_directory(path: PathBuf, directory: OwnedFd, links: Links) -> std::io::Result<Self> {
        let identity = identity(&directory)?;
        let is_paged = is_paged(&directory);
        Ok(Self { path, identity, descriptor: Some(directory), links, is_paged })
    }

    /// The path as it stands in front of the paths of its entries.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Which links a path below it may pass through.
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

    /// The part of `path` below this root; empty for the root itself. `path` starts with the root's.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        let prefix = self.path.as_os_str().len();
        let below = path.as_os_str().as_bytes().get(prefix..).unwrap_or_default();
        let slashes = below.iter().take_while(|byte| **byte == b'/').count();
        Path::new(std::ffi::OsStr::from_bytes(&below[slashes..]))
    }

    /// Opens a file that was listed as a regular one, if no mount point lies between it and the root. `None` if one does, if
    /// links may lead anywhere, if the root is not held open, and for any error.
    pub(crate) fn open_staying(&self, relative: &Path) -> Option<OwnedFd> {
        let flags = match self.links {
            Links::NotFollowed => FLAGS | OFlags::NOFOLLOW,
            Links::FollowedWithin => FLAGS,
            Links::Followed => return None,
        };
        let root = self.descriptor.as_ref().filter(|_| !relative.as_os_str().is_empty())?;
        open_staying(root, relative, flags)
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
