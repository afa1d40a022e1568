//! Reading one open file, and what may have become of it meanwhile.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::FileType;

use super::{CHUNK, Colleagues, FileScanner, Shared};
use crate::budget::lock;
use crate::divide::{DIVIDED_FROM, Division, FilePart, Promise};
use crate::split::Opened;
use crate::{Analysis, ErrorKind, FileEntry, Operation, Parts, ReadError, Rejection};

/// Bytes that a first read must be able to bring for it to be worth while.
const LEAST: usize = 1024;

impl<A: Analysis> FileScanner<A> {
    /// Opens the file, and asks what was opened, not what was listed, unless its content tells.
    pub(super) fn open(&mut self, entry: &FileEntry, started: Instant) -> Result<Opened, ReadError> {
        self.take_up(entry, started)?;
        self.open_and_read(entry, started).unwrap_or_else(|| self.open_and_ask(entry, started))
    }

    fn take_up(&self, entry: &FileEntry, started: Instant) -> Result<(), ReadError> {
        if self.shared.cancel.is_cancelled() {
            return Err(ReadError::new(ErrorKind::Cancelled, Operation::Open, entry.path()));
        }
        if self.shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(started);
        }
        Ok(())
    }

    fn open_and_ask(&self, entry: &FileEntry, started: Instant) -> Result<Opened, ReadError> {
        let file = entry.open(&self.shared.cancel, self.deadline(started))?;
        let promised = inspect(&file, entry)?;
        Ok(Opened { file, promised, ahead: None, spent: Duration::ZERO, place: None })
    }

    /// Opens the file and reads it, where that one read may tell all there is to know: that the file is over, and so how large
    /// it was. Everything else is asked for after it. What could be taken for a regular file then is a FIFO into which somebody
    /// has just written, and a device that gives a few bytes; but who can put either where a file was listed could have put
    /// a file there.
    ///
    /// `None` where it may not: room is taken for the file first, or the size at which it is read on the other side of a split
    /// run is so small that the read would tell nothing.
    fn open_and_read(&mut self, entry: &FileEntry, started: Instant) -> Option<Result<Opened, ReadError>> {
        let most = self.shared.route.as_ref().map_or(CHUNK, |route| route.bytes_here(CHUNK));
        if most < LEAST || self.retains() {
            return None;
        }
        let (file, root) = entry.open_paged()?;
        let buffer = &mut self.tools().1[..most];
        let ahead = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *buffer)).ok();
        let is_end = ahead.filter(|read| root.is_end(*read, buffer.len()));
        if let Some(read) = is_end {
            let promised = Promise::kept(read as u64);
            return Some(Ok(Opened { file, promised, ahead, spent: Duration::ZERO, place: None }));
        }
        // Also what cannot be read: a directory, or a device that has nothing to say.
        Some(inspect(&file, entry).and_then(|promised| {
            // What was read before it was asked for must be of the version that is promised.
            let is_of_it = |read: &usize| *read as u64 <= promised.size && !promised.is_fresh(started.elapsed());
            let kept = ahead.filter(is_of_it);
            if kept.is_none() {
                (&file).rewind().map_err(|error| ReadError::from_io(error, Operation::Read, entry.path()))?;
            }
            Ok(Opened { file, promised, ahead: kept, spent: Duration::ZERO, place: None })
        }))
    }

    /// Whether the analysis takes room for what it reads. A panic of it is the file's, later.
    fn retains(&mut self) -> bool {
        if self.retaining.is_none() {
            let asked = catch_unwind(AssertUnwindSafe(|| self.tools().0.retains(1) > 0));
            self.retaining = Some(asked.unwrap_or(true));
        }
        self.retaining == Some(true)
    }

    /// A limit too long for the clock is none.
    fn deadline(&self, started: Instant) -> Option<Instant> {
        self.shared.timeout.and_then(|timeout| started.checked_add(timeout))
    }

    /// Reads the file to its end: by itself, or where that pays together with those who are offered a part in it. `None` when
    /// they have taken it over.
    pub(super) fn read(
        &mut self,
        entry: &FileEntry,
        opened: Opened,
        started: Instant,
        before_waiting: &mut dyn FnMut(u64),
        colleagues: Option<&mut dyn Colleagues<A>>,
    ) -> Result<Option<A::Output>, ReadError> {
        let Opened { file, promised, ahead, spent, .. } = opened;
        // From its opening on, which may have been the other side's.
        let deadline = self.deadline(started.checked_sub(spent).unwrap_or(started));
        if self.shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(started);
        }
        let size = promised.size;
        if let Some(limit) = self.shared.max_file_size.filter(|limit| size > *limit) {
            return Err(too_large(entry, Operation::Open, size, "the largest size allowed is", limit));
        }
        let retained = self.tools().0.retains(size);
        let deadline = self.take_room(entry, retained, deadline, before_waiting)?;

        let may_divide = retained == 0 && size >= DIVIDED_FROM && deadline.is_none();
        let parts = A::parts().filter(|_| may_divide);
        let analysis = if let (Some(colleagues), Some(parts)) = (colleagues, parts) {
            let division = self.divide(entry, file, FilePart { of: promised, range: 0..size }, parts);
            if colleagues.offer(&division).is_break() {
                return Ok(None);
            }
            let (prototype, buffer) = self.tools();
            division.work(prototype, buffer, &mut || {
                let _ = colleagues.offer(&division);
                true
            });
            let seen = division.outcome(&|| colleagues.meanwhile())?;
            let mut file = division.file();
            // What comes after the size that it promised is read as always.
            let analysis = match seen {
                Some(analysis) => file.seek(SeekFrom::Start(size)).map(|_| analysis),
                None => {
                    self.watch.begin();
                    file.rewind().map(|()| self.begun(size))
                }
            };
            let analysis = analysis.map_err(|error| ReadError::from_io(error, Operation::Read, entry.path()))?;
            self.read_on(entry, file, promised, None, None, analysis)?
        } else {
            let analysis = self.begun(size);
            self.read_on(entry, &file, promised, ahead, deadline, analysis)?
        };
        analysis.verdict().map_err(|rejection| rejected(entry.path(), rejection))?;
        Ok(Some(analysis.finish()))
    }

    /// Reads a part of a file and nothing else of it.
    pub(super) fn read_part(&mut self, entry: &FileEntry, part: &FilePart) -> Result<A, ReadError> {
        let changed = || {
            let error = ReadError::new(ErrorKind::Changed, Operation::Read, entry.path());
            error.with_detail(was_long(part.of.size))
        };
        let started = Instant::now();
        self.take_up(entry, started)?;
        // It was a regular file when it was found to be large: whatever it is now, it is no longer that one.
        let opened =
            self.open_and_ask(entry, started).map_err(|error| if error.is_skip() { changed() } else { error })?;
        let parts = A::parts().filter(|_| opened.promised == part.of).ok_or_else(changed)?;
        let division = self.divide(entry, opened.file, part.clone(), parts);
        let (prototype, buffer) = self.tools();
        division.work(prototype, buffer, &mut || true);
        let seen = division.outcome(&|| {})?;
        let is_same = inspect(division.file(), entry)? == part.of;
        seen.filter(|_| is_same).ok_or_else(changed)
    }

    fn divide(&self, entry: &FileEntry, file: File, part: FilePart, parts: Parts<A>) -> Arc<Division<A>> {
        let (shared, watch) = (Arc::clone(&self.shared), Arc::clone(&self.watch));
        Division::new(entry.path(), file, part, parts, shared, watch)
    }

    /// The prototype of the analysis and the buffer, which are there from the first file on.
    pub(super) fn tools(&mut self) -> (&A, &mut [u8]) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; CHUNK];
        }
        let prototype = self.analysis.get_or_insert_with(|| lock(&self.prototype).clone());
        (prototype, &mut self.buffer)
    }

    /// The analysis of another file.
    fn begun(&mut self, size: u64) -> A {
        let mut analysis = self.tools().0.clone();
        analysis.begin(size);
        analysis
    }

    /// Takes room for what is retained of a file, and returns its deadline: that the consumer is slow is not the file's
    /// fault.
    fn take_room(
        &mut self,
        entry: &FileEntry,
        retained: u64,
        deadline: Option<Instant>,
        before_waiting: &mut dyn FnMut(u64),
    ) -> Result<Option<Instant>, ReadError> {
        let shared = &*self.shared;
        let capacity = shared.budget.capacity();
        if retained > capacity {
            let what = "to be held at once; the bytes in flight are limited to";
            return Err(too_large(entry, Operation::Open, retained, what, capacity));
        }
        // An analysis that only counts takes no room, and so not the lock that all workers share.
        if retained == 0 {
            return Ok(deadline);
        }
        let waiting_since = Instant::now();
        let reservation = shared.budget.try_acquire(retained).or_else(|| {
            *lock(&self.watch.reading_since) = None;
            self.waited.during(|| {
                before_waiting(retained);
                shared.budget.acquire(retained, &shared.cancel)
            })
        });
        let Some(reservation) = reservation else {
            return Err(ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path()));
        };
        lock(&self.watch.held).room = Some(reservation);
        if shared.timeout.is_some() {
            *lock(&self.watch.reading_since) = Some(Instant::now());
        }
        Ok(deadline.and_then(|deadline| deadline.checked_add(waiting_since.elapsed())))
    }

    /// Reads on from where the file stands, one chunk after the other, to its end; `ahead` bytes are in the buffer already.
    fn read_on(
        &mut self,
        entry: &FileEntry,
        mut file: &File,
        promised: Promise,
        mut ahead: Option<usize>,
        deadline: Option<Instant>,
        mut analysis: A,
    ) -> Result<A, ReadError> {
        let shared = &*self.shared;
        let size = promised.size;
        let mut bytes = self.watch.bytes();
        while !analysis.is_complete() {
            if shared.cancel.is_cancelled() {
                return Err(ReadError::new(ErrorKind::Cancelled, Operation::Read, entry.path()));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(timed_out(entry.path(), shared));
            }
            let read = match ahead.take().map_or_else(|| file.read(&mut self.buffer), Ok) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, entry.path())),
            };
            if read > 0 {
                bytes += read as u64;
                self.watch.add(read as u64);
                shared.progress.bytes(read as u64);
                analysis.update(&self.buffer[..read]);
            }
            // A read that comes back short at the promised length has seen the end; so has one that brings nothing.
            // Anything else is asked again: a short read in the middle of a file is not its end.
            let ended = read == 0 || (bytes == size && read < self.buffer.len());
            // Several reads may have seen several versions; a single one has seen one.
            let in_parts = ended && bytes > read as u64;
            if bytes > size || (ended && bytes != size) || in_parts {
                // Files in /proc say 0, those in /sys 4096, some file systems lie: that is no change. Only a promise
                // that differs from the one before is.
                if inspect(file, entry)? != promised {
                    let error = ReadError::new(ErrorKind::Changed, Operation::Read, entry.path());
                    return Err(error.with_detail(was_long(size)));
                }
                if let Some(limit) = shared.max_file_size.filter(|limit| bytes > *limit) {
                    return Err(too_large(entry, Operation::Read, bytes, "the largest size allowed is", limit));
                }
                if !self.keep_room(analysis.retains(bytes)) {
                    let what = "and growing; the bytes in flight are limited to";
                    return Err(too_large(entry, Operation::Read, bytes, what, shared.budget.capacity()));
                }
            }
            if ended {
                break;
            }
        }
        Ok(analysis)
    }

    /// Takes more room for a file that is longer than it said; `false` when it alone has outgrown the whole budget.
    fn keep_room(&self, bytes: u64) -> bool {
        bytes == 0 || lock(&self.watch.held).room.get_or_insert_with(|| self.shared.budget.none()).grow_to(bytes)
    }
}

/// What was opened, not what was listed; `Err` if it is no regular file.
fn inspect(file: &File, entry: &FileEntry) -> Result<Promise, ReadError> {
    let stat =
        rustix::fs::fstat(file).map_err(|error| ReadError::from_io(error.into(), Operation::Stat, entry.path()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Promise::of(&stat)),
        _ => Err(ReadError::new(ErrorKind::NotRegular, Operation::Open, entry.path())),
    }
}

fn was_long(size: u64) -> String {
    format!("it was {size} bytes long when it was opened")
}

fn too_large(entry: &FileEntry, operation: Operation, size: u64, what: &str, limit: u64) -> ReadError {
    let error = ReadError::new(ErrorKind::TooLarge, operation, entry.path());
    error.with_detail(format!("{size} bytes, {what} {limit}"))
}

fn timed_out(path: &Path, shared: &Shared) -> ReadError {
    let limit = shared.timeout.unwrap_or_default();
    ReadError::new(ErrorKind::Timeout, Operation::Read, path)
        .with_detail(format!("the limit is {limit:?} for each file"))
}

pub(crate) fn rejected(path: &Path, rejection: Rejection) -> ReadError {
    let (kind, detail) = match rejection {
        Rejection::InvalidUtf8 { offset } => (ErrorKind::InvalidUtf8, format!("at byte offset {offset}")),
        Rejection::OutOfMemory { bytes } => (ErrorKind::OutOfMemory, format!("{bytes} bytes could not be allocated")),
        Rejection::Other(reason) => (ErrorKind::Rejected, reason),
    };
    ReadError::new(kind, Operation::Analyse, path).with_detail(detail)
}

pub(crate) fn panicked(path: &Path, panic: &(dyn Any + Send)) -> ReadError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    ReadError::new(ErrorKind::Panicked, Operation::Analyse, path).with_detail(message)
}
