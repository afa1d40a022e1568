//! One directory, listed part by part: never more of it in memory than one buffer.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::FileType;

/// Bytes for one part of a listing: some thousand names. A directory of a few files takes two calls whatever the size,
/// and one of a million is not listed faster with more.
#[cfg(target_os = "linux")]
const PART: usize = 32 * 1024;

/// A directory that is open, with the place where its listing goes on.
pub(super) struct Listing {
    #[cfg(target_os = "linux")]
    directory: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    directory: rustix::fs::Dir,
}

/// Where a part of a listing is put: each thread has one and uses it again.
#[derive(Default)]
pub(super) struct Buffer {
    #[cfg(target_os = "linux")]
    bytes: Vec<u8>,
}

#[cfg(target_os = "linux")]
impl Listing {
    pub(super) fn new(directory: OwnedFd) -> rustix::io::Result<Self> {
        Ok(Self { directory })
    }

    pub(super) fn descriptor(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        Ok(std::os::fd::AsFd::as_fd(&self.directory))
    }

    /// Calls `each` with the names of the next part and what the file system says they are, which may be nothing. Returns
    /// whether there may be more.
    pub(super) fn next_part(
        &mut self,
        buffer: &mut Buffer,
        mut each: impl FnMut(BorrowedFd<'_>, &CStr, FileType),
    ) -> rustix::io::Result<bool> {
        use rustix::fs::RawDir;
        use rustix::io::Errno;
        use std::os::fd::AsFd;

        buffer.bytes.reserve_exact(PART);
        let mut part = RawDir::new(&self.directory, buffer.bytes.spare_capacity_mut());
        loop {
            match part.next() {
                Some(Ok(entry)) => each(self.directory.as_fd(), entry.file_name(), entry.file_type()),
                Some(Err(Errno::INTR)) => continue,
                // So the kernel says that the directory was removed since it was opened: it is empty.
                None | Some(Err(Errno::NOENT)) => return Ok(false),
                Some(Err(error)) => return Err(error),
            }
            if part.is_buffer_empty() {
                return Ok(true);
            }
        }
    }
}

/// What can be had elsewhere: the system's own reading of directories, which keeps a buffer for each.
#[cfg(not(target_os = "linux"))]
impl Listing {
    pub(super) fn new(directory: OwnedFd) -> rustix::io::Result<Self> {
        Ok(Self { directory: rustix::fs::Dir::new(directory)? })
    }

    pub(super) fn descriptor(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        self.directory.fd()
    }

    /// Calls `each` with the names of the next part and what the file system says they are, which may be nothing. Returns
    /// whether there may be more.
    pub(super) fn next_part(
        &mut self,
        _: &mut Buffer,
        mut each: impl FnMut(BorrowedFd<'_>, &CStr, FileType),
    ) -> rustix::io::Result<bool> {
        const NAMES: usize = 1024;
        for _ in 0..NAMES {
            match self.directory.next() {
                Some(Ok(entry)) => each(self.directory.fd()?, entry.file_name(), entry.file_type()),
                None => return Ok(false),
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(true)
    }
}
