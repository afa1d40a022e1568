//! The calls that open something below a directory, so that nothing leads out of it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};

use super::links::Links;

/// How a directory is opened that is there to open others from. With `O_PATH`, where there is such a thing, it takes no
/// permission to list it.
#[cfg(target_os = "linux")]
pub(super) const TO_OPEN_FROM: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(super) const TO_OPEN_FROM: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(super) fn open_directory(at: impl AsFd, path: &Path, more: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(at, path, TO_OPEN_FROM | more, Mode::empty())
}

/// Rules that every path below a root must keep.
#[cfg(target_os = "linux")]
const BENEATH: rustix::fs::ResolveFlags =
    rustix::fs::ResolveFlags::BENEATH.union(rustix::fs::ResolveFlags::NO_MAGICLINKS);

/// Whether the kernel (before 5.6) or a sandbox refuses `openat2` altogether.
#[cfg(target_os = "linux")]
static OPENAT2_IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// `openat2` with `RESOLVE_BENEATH`: no link in the middle of the path, however freshly swapped in, leads out.
#[cfg(target_os = "linux")]
pub(super) fn open_beneath(
    root: &OwnedFd,
    relative: &Path,
    flags: OFlags,
    links: Links,
) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::openat2;
    use rustix::io::Errno;
    /// EAGAIN means that a rename raced with the resolution of a `..`; the manual says to try again. After the last
    /// try the answer is EAGAIN: any other way to open the file would follow links that must not be followed.
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

/// The same, if that passes no mount point either. `None` where it does, where the kernel is not asked, and for any error.
#[cfg(target_os = "linux")]
pub(super) fn open_staying(root: &OwnedFd, relative: &Path, flags: OFlags) -> Option<OwnedFd> {
    if OPENAT2_IS_REFUSED.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = BENEATH | rustix::fs::ResolveFlags::NO_XDEV;
    rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve).ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open_staying(_: &OwnedFd, _: &Path, _: OFlags) -> Option<OwnedFd> {
    None
}

/// The fallback where there is no `openat2`.
#[cfg(not(target_os = "linux"))]
pub(super) fn open_beneath(
    root: &OwnedFd,
    relative: &Path,
    flags: OFlags,
    links: Links,
) -> rustix::io::Result<OwnedFd> {
    open_step_by_step(root, relative, flags, links)
}

/// Without the kernel's help: each directory on the way is opened without following a link.
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
