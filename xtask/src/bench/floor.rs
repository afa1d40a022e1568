//! The floor: what the files cost whoever reads them with plain system calls, and counts nothing.
//!
//! It has two forms. The bare one is the loop that comes to mind: list the tree, then, on all cores, open each file, read it
//! to its end into one buffer that is used again, close it. The tuned one is as fast as such a loop could be made. Its
//! threads take work from one stack. A directory is listed by whoever takes it (`getdents64`, whose entries tell their
//! type, so that nothing is looked up twice); its files go back to the stack in batches while others are idle, or are read
//! on the spot, each by `openat` relative to the directory, `read`, `close`. A short read is the end of the file: no second
//! `read` asks for it, no `fstat` before it.
//!
//! In both, a file that fills the whole buffer is asked for its size, and if it is large it is cut into ranges, which any
//! thread reads with `pread`.
//!
//! What was tried and was slower is told in `docs/performance/floor.md`.

use std::ffi::{CStr, CString};
use std::mem::{MaybeUninit, take};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use rustix::io::{pread, read};

use super::sample::Found;

/// Of each thread, in bytes: the smallest that is as fast as any on large files, and it stays in the second-level cache.
const BUFFER: usize = 256 * 1024;

/// In bytes: what a thread reads of a large file before it looks for other work. Small enough that the threads end
/// together, large enough that taking it does not show.
const RANGE: u64 = 8 * 1024 * 1024;

/// Files that go through the stack together.
const BATCH: usize = 32;

/// Bytes of the buffer that directories are listed into.
const LISTING: usize = 64 * 1024;

/// Which form of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loop {
    /// What everybody would write.
    Bare,
    /// What could be made of it.
    Tuned,
}

/// Something to do.
enum Work {
    /// A directory to list, in its parent.
    Directory(Arc<OwnedFd>, CString),
    /// Files to read, in their directory: their names, each with its NUL.
    Files(Arc<OwnedFd>, Vec<u8>),
    /// The bytes of a large file from the first place to before the second.
    Range(Arc<OwnedFd>, u64, u64),
}

/// The work that nobody has taken, and how many threads might still add to it.
#[derive(Default)]
struct Stack {
    state: Mutex<(Vec<Work>, usize)>,
    changed: Condvar,
}

impl Stack {
    fn push(&self, work: Work) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.push(work);
        self.changed.notify_one();
    }

    fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    /// Waits for work; `None` when there will be none. Whoever has taken some calls [`Self::done`] after it.
    fn take(&self) -> Option<Work> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = state.0.pop() {
                state.1 += 1;
                return Some(work);
            }
            if state.1 == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 -= 1;
        if state.1 == 0 && state.0.is_empty() {
            self.changed.notify_all();
        }
    }
}

/// Reads every regular file below `root`, links not followed, with so many threads.
pub(crate) fn read_all(root: &Path, threads: usize, form: Loop) -> Result<Found> {
    let stack = Stack::default();
    let open = |path: &Path| {
        let path = CString::new(path.as_os_str().as_bytes()).context("a path with a NUL")?;
        openat(CWD, path.as_c_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).context("cannot open the tree")
    };
    let opened = open(root)?;
    let mut unlisted = 0;
    if FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Directory {
        let opened = Arc::new(opened);
        match form {
            Loop::Bare => unlisted = list_all(&opened, &stack),
            Loop::Tuned => stack.push(Work::Directory(opened, c".".to_owned())),
        }
    } else {
        // A single file, in its directory.
        let name = CString::new(root.file_name().context("a file without a name")?.as_bytes())?;
        let directory = root.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        stack.push(Work::Files(Arc::new(open(directory)?), name.into_bytes_with_nul()));
    }
    let work = || Worker::new(&stack, threads, form).run();
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            found += other.join().map_err(|_| anyhow!("a thread of the floor panicked"))?;
        }
        found.failed += unlisted;
        Ok(found)
    })
}

/// Lists everything below `root`, by paths from there, before the first file is read. Returns how many directories could not
/// be listed.
fn list_all(root: &Arc<OwnedFd>, stack: &Stack) -> u64 {
    let mut buffer = vec![MaybeUninit::uninit(); LISTING];
    let (mut directories, mut unlisted) = (vec![CString::from(c".")], 0);
    while let Some(path) = directories.pop() {
        if list_one(root, &path, &mut directories, stack, &mut buffer).is_err() {
            unlisted += 1;
        }
    }
    unlisted
}

/// Lists one directory: its files go to the stack, those below it to `directories`.
fn list_one(
    root: &Arc<OwnedFd>,
    path: &CStr,
    directories: &mut Vec<CString>,
    stack: &Stack,
    buffer: &mut [MaybeUninit<u8>],
) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(root, path, flags, Mode::empty())?;
    let (mut names, mut files) = (Vec::new(), 0);
    let mut entries = RawDir::new(&directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let below = [path.to_bytes(), b"/", entry.file_name().to_bytes()].concat();
        match kind_of(&directory, entry.file_name(), entry.file_type())? {
            FileType::Directory if entry.file_name() != c"." && entry.file_name() != c".." => {
                directories.extend(CString::new(below));
            }
            FileType::RegularFile => {
                names.extend(below);
                names.push(0);
                files += 1;
            }
            _ => {}
        }
        if files == BATCH {
            files = 0;
            stack.push(Work::Files(Arc::clone(root), take(&mut names)));
        }
    }
    if !names.is_empty() {
        stack.push(Work::Files(Arc::clone(root), names));
    }
    Ok(())
}

/// What the listing says of an entry, or where the file system does not say, what a look at it does.
fn kind_of(directory: &OwnedFd, name: &CStr, listed: FileType) -> rustix::io::Result<FileType> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    Ok(FileType::from_raw_mode(statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

/// One thread.
struct Worker<'a> {
    stack: &'a Stack,
    form: Loop,
    /// With more work than this waiting, nobody is idle for want of it: files are read where they are listed.
    enough: usize,
    buffer: Vec<u8>,
    found: Found,
}

impl<'a> Worker<'a> {
    fn new(stack: &'a Stack, threads: usize, form: Loop) -> Self {
        Self { stack, form, enough: 4 * threads, buffer: vec![0; BUFFER], found: Found::default() }
    }

    fn run(mut self) -> Found {
        let mut listing = vec![MaybeUninit::uninit(); LISTING];
        while let Some(work) = self.stack.take() {
            let result = match work {
                Work::Directory(parent, name) => self.list(parent, &name, &mut listing),
                Work::Files(directory, names) => {
                    self.read_files(&directory, &names);
                    Ok(())
                }
                Work::Range(file, start, end) => self.read_range(&file, start, end),
            };
            if result.is_err() {
                self.found.failed += 1;
            }
            self.stack.done();
        }
        self.found
    }

    fn list(&mut self, parent: Arc<OwnedFd>, name: &CStr, buffer: &mut [MaybeUninit<u8>]) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = Arc::new(openat(&parent, name, flags, Mode::empty())?);
        drop(parent);
        let (mut names, mut files) = (Vec::new(), 0);
        let mut entries = RawDir::new(&directory, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            match kind_of(&directory, name, entry.file_type())? {
                FileType::Directory if name != c"." && name != c".." => {
                    self.stack.push(Work::Directory(Arc::clone(&directory), name.to_owned()));
                }
                FileType::RegularFile => {
                    names.extend_from_slice(name.to_bytes_with_nul());
                    files += 1;
                }
                _ => {}
            }
            if files == BATCH {
                files = 0;
                if self.stack.len() < self.enough {
                    self.stack.push(Work::Files(Arc::clone(&directory), take(&mut names)));
                } else {
                    self.read_files(&directory, &names);
                    names.clear();
                }
            }
        }
        self.read_files(&directory, &names);
        Ok(())
    }

    fn read_files(&mut self, directory: &OwnedFd, names: &[u8]) {
        for name in names.split_inclusive(|byte| *byte == 0) {
            let read = CStr::from_bytes_with_nul(name).map_err(|_| rustix::io::Errno::INVAL);
            match read.and_then(|name| self.read_file(directory, name)) {
                Ok(()) => self.found.totals.files += 1,
                Err(_) => self.found.failed += 1,
            }
        }
    }

    fn read_file(&mut self, directory: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
        let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let first = read(&file, &mut self.buffer[..])?;
        self.found.totals.bytes += first as u64;
        let is_end = first < self.buffer.len()
            && (first == 0 || self.form == Loop::Tuned || read(&file, &mut self.buffer[first..])? == 0);
        if is_end {
            return Ok(());
        }
        let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
        let file = Arc::new(file);
        let mut start = first as u64;
        while size.saturating_sub(start) > RANGE {
            self.stack.push(Work::Range(Arc::clone(&file), start, start + RANGE));
            start += RANGE;
        }
        self.read_range(&file, start, size)
    }

    fn read_range(&mut self, file: &OwnedFd, mut start: u64, end: u64) -> rustix::io::Result<()> {
        while start < end {
            let wanted = usize::try_from(end - start).unwrap_or(BUFFER).min(BUFFER);
            let read = pread(file, &mut self.buffer[..wanted], start)?;
            if read == 0 {
                break;
            }
            start += read as u64;
            self.found.totals.bytes += read as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample::Totals;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_byte_is_read_once_whatever_the_sizes_and_links_are_left_alone() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        let edges = [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER, 16 * 1024 * 1024 + 5, 40_000_001];
        let sizes = edges.iter().copied().chain((0..3 * BATCH).map(|i| i % 7));
        let mut bytes = 0;
        let mut files = 0;
        for (index, size) in sizes.enumerate() {
            let directory = root.join(format!("{}/{}", index % 5, index % 3));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(index.to_string()), vec![b'x'; size]).unwrap();
            bytes += size as u64;
            files += 1;
        }
        symlink("/etc/passwd", root.join("link")).unwrap();
        symlink(root, root.join("0/loop")).unwrap();
        for form in [Loop::Bare, Loop::Tuned] {
            for threads in [1, 2, 7] {
                let found = read_all(root, threads, form).unwrap();
                assert_eq!(found.totals, Totals { files, bytes, ..Totals::default() }, "{form:?}, {threads} threads");
                assert_eq!(found.failed, 0);
            }
            let one = read_all(&root.join("1/0/6"), 2, form).unwrap();
            assert_eq!((one.totals.files, one.totals.bytes), (1, edges[6] as u64));
            assert!(read_all(&root.join("not-there"), 2, form).is_err());
        }
    }
}
