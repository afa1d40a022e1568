//! Opening a file, and what its first read tells of it.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use super::large::OpenFile;
use crate::cancel::CancelToken;
use crate::error::{ErrorKind, Operation, ReadError};
use crate::file::{FileEntry, FileVersion};

/// Bytes that a first read must be able to bring for it to be worth while.
const LEAST: usize = 1024;

/// A file that has been opened.
pub(super) struct Opened {
    pub(super) open: OpenFile,
    /// Bytes of its beginning that are in the buffer.
    pub(super) ahead: Option<usize>,
}

/// Opens the file and asks what was opened, not what was listed. Waits for a free descriptor, until `until`.
pub(super) fn open_and_ask(
    entry: &FileEntry,
    cancel: &CancelToken,
    until: Option<Instant>,
) -> Result<Opened, ReadError> {
    let file = entry.open(cancel, until)?;
    let version = inspect(&file, entry.path())?;
    Ok(opened(file, version, None))
}

/// Opens the file and reads its beginning, where that one read may tell that it is the whole file. Only if it does not is the
/// file asked for its size. Instead of a regular file this may read a FIFO that was swapped in with data in it, or a device
/// that gives a few bytes: a program that can put either where a file was listed could have put a file there.
///
/// `None` where it does not apply: the file must be opened and asked.
pub(super) fn open_and_read(
    entry: &FileEntry,
    buffer: &mut [u8],
    started: Instant,
) -> Option<Result<Opened, ReadError>> {
    if buffer.len() < LEAST {
        return None;
    }
    let (file, root) = entry.open_paged()?;
    let ahead = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *buffer));
    if let Ok(read) = ahead
        && root.is_end(read, buffer.len())
    {
        return Some(Ok(opened(file, FileVersion::read_at_once(read as u64), Some(read))));
    }
    // Also for a file that cannot be read: a directory, or a device without data.
    Some(inspect(&file, entry.path()).and_then(|version| {
        // Bytes that were read before `fstat` must be of the version that `fstat` told.
        let is_of_it = |read: &usize| *read as u64 <= version.size && !version.is_fresh(started.elapsed());
        match ahead.ok().filter(is_of_it) {
            Some(read) => Ok(opened(file, version, Some(read))),
            None => {
                rewind(&file, entry.path())?;
                Ok(opened(file, version, None))
            }
        }
    }))
}

fn opened(file: File, version: FileVersion, ahead: Option<usize>) -> Opened {
    let open = OpenFile { file, version, position: ahead.unwrap_or(0) as u64, spent: Duration::ZERO, permit: None };
    Opened { open, ahead }
}

/// The version of an open file; an error if it is not a regular file.
pub(super) fn inspect(file: &File, path: &Path) -> Result<FileVersion, ReadError> {
    let stat = rustix::fs::fstat(file).map_err(|error| ReadError::from_io(error.into(), Operation::Stat, path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(FileVersion::of(&stat)),
        _ => Err(ReadError::new(ErrorKind::NotRegular, Operation::Open, path)),
    }
}

/// Goes back to the beginning of a file.
pub(super) fn rewind(file: &File, path: &Path) -> Result<(), ReadError> {
    seek(file, 0, path)
}

/// Goes to a position in a file.
pub(super) fn seek(mut file: &File, position: u64, path: &Path) -> Result<(), ReadError> {
    let sought = std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(position));
    sought.map(drop).map_err(|error| ReadError::from_io(error, Operation::Read, path))
}
