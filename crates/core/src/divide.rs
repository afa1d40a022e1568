//! One large file, read in ranges by several workers at once.
//!
//! ```text
//!  file   ├──────┬──────┬──────┬──────┬──────┬──────┤     ranges are taken from the front, by whoever is free
//!          owner  owner  helper owner  helper helper
//!         └─────┬──────┘                                   neighbours of one worker: one state goes on
//!               └──────► states are combined as they come to lie beside each other
//! ```
//!
//! The worker that opened the file owns it: it makes its record. Others are offered a part in it and help as long as there
//! are ranges; one that comes too late finds none and goes. So nobody waits for a helper that never came, and the owner
//! waits for those alone that are in the middle of a range. Under a time limit no file is divided: one that hangs would hold
//! them all.
//!
//! Ranges are taken in order, and not one half each: a helper may come late, a neighbour may be slow, and a device is read
//! best in one direction. States of ranges that lie side by side are combined at once, so that there are never more of them
//! than workers, however large the file is.

mod pieces;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use pieces::Pieces;
use rustix::fs::Stat;

use crate::budget::lock;
use crate::scan::{Shared, Watch, panicked};
use crate::{Analysis, ErrorKind, Operation, Parts, ReadError};

/// Bytes of a range: some tenths of a millisecond for a counting analysis, a thousand times what taking one costs, and
/// little enough that at the end nobody waits for long.
const RANGE: u64 = 2 * 1024 * 1024;

/// Files from this size on are divided: below, a helper that has to be woken gains too little.
pub(crate) const DIVIDED_FROM: u64 = 4 * RANGE;

/// What was seen of a file when it was opened: whoever sees something else later sees another version.
///
/// For those who write a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Promise {
    /// Its size in bytes.
    pub size: u64,
    /// Device and inode: which file it is.
    file: (u64, u64),
    /// When it was written to last, in seconds and nanoseconds.
    modified: (i64, i64),
}

impl Promise {
    /// What a single read has seen from the beginning to the end of a file is all that there was of it.
    pub(crate) fn kept(size: u64) -> Self {
        Self { size, file: (0, 0), modified: (0, 0) }
    }

    pub(crate) fn of(stat: &Stat) -> Self {
        // The types differ between targets.
        let modified = (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
        Self { size: u64::try_from(stat.st_size).unwrap_or(0), file: (stat.st_dev, stat.st_ino), modified }
    }

    /// The device that it is on.
    pub fn device(&self) -> u64 {
        self.file.0
    }

    /// Whether it was written to within so much time, or seems to have been.
    pub(crate) fn is_fresh(&self, within: Duration) -> bool {
        // Whole seconds: when in doubt it was.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let written = u64::try_from(self.modified.0).unwrap_or(0);
        Duration::from_secs(written).saturating_add(within) + Duration::from_secs(1) > now
    }
}

/// A part of a file, for a worker in another process.
///
/// For those who write a reader.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct FilePart {
    /// What was promised of the file when it was found to be large.
    pub of: Promise,
    /// The bytes, which are within its size.
    pub range: Range<u64>,
}

/// A file that several workers read: see [`FileScanner::scan_with`](crate::FileScanner::scan_with).
///
/// For those who write a reader.
#[derive(Debug)]
pub struct Division<A> {
    path: PathBuf,
    file: File,
    part: FilePart,
    parts: Parts<A>,
    shared: Arc<Shared>,
    /// Where the bytes are counted that have been read of the file.
    watch: Arc<Watch>,
    /// Where the first range begins that nobody has taken.
    next: AtomicU64,
    state: Mutex<State<A>>,
    /// Notified when the last of those at work has left.
    left: Condvar,
}

#[derive(Debug)]
struct State<A> {
    pieces: Pieces<A>,
    at_work: usize,
}

impl<A: Analysis> Division<A> {
    pub(crate) fn new(
        path: &Path,
        file: File,
        part: FilePart,
        parts: Parts<A>,
        shared: Arc<Shared>,
        watch: Arc<Watch>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { pieces: Pieces::new(path, parts), at_work: 0 });
        Arc::new(Self {
            path: path.to_path_buf(),
            file,
            next: AtomicU64::new(part.range.start),
            part,
            parts,
            shared,
            watch,
            state,
            left: Condvar::new(),
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// What was seen of the file when it was opened.
    pub fn promise(&self) -> Promise {
        self.part.of
    }

    /// Whether there is no range left to be taken.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.part.range.end
    }

    /// Reads ranges until there are none left, or `goes_on` is false before one. A panic of the analysis is the file's failure.
    pub(crate) fn work(&self, prototype: &A, buffer: &mut [u8], goes_on: &mut dyn FnMut() -> bool) {
        lock(&self.state).at_work += 1;
        let worked = catch_unwind(AssertUnwindSafe(|| self.read_ranges(prototype, buffer, goes_on)));
        let worked = worked.unwrap_or_else(|panic| Err(panicked(&self.path, &*panic)));
        let mut state = lock(&self.state);
        if let Err(failure) = worked {
            // Nobody needs to begin another range.
            self.next.store(self.part.range.end, Ordering::Relaxed);
            state.pieces.fail(failure);
        }
        state.at_work -= 1;
        if state.at_work == 0 {
            self.left.notify_all();
        }
    }

    /// What has come of the whole file, when all who are at work have left: the state after all of its bytes; `None` if it
    /// has turned out to have less.
    ///
    /// To be called by the owner, after it found no range any more. It calls `meanwhile` every now and then while it waits.
    pub(crate) fn outcome(&self, meanwhile: &dyn Fn()) -> Result<Option<A>, ReadError> {
        const PAUSE: Duration = Duration::from_micros(200);
        let mut state = lock(&self.state);
        while state.at_work > 0 {
            drop(state);
            meanwhile();
            state = lock(&self.state);
            if state.at_work > 0 {
                state = self.left.wait_timeout(state, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.pieces.whole(&self.part.range)
    }

    fn read_ranges(
        &self,
        prototype: &A,
        buffer: &mut [u8],
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), ReadError> {
        let mut current: Option<(u64, u64, A)> = None;
        loop {
            let begin = if goes_on() { self.next.fetch_add(RANGE, Ordering::Relaxed) } else { u64::MAX };
            let is_over = begin >= self.part.range.end;
            if let Some((start, end, analysis)) = current.take_if(|(_, end, _)| is_over || *end != begin) {
                lock(&self.state).pieces.put(start..end, analysis);
            }
            if is_over {
                return Ok(());
            }
            let (_, end, analysis) = current.get_or_insert_with(|| {
                let mut analysis = prototype.clone();
                match begin {
                    0 => analysis.begin(self.part.of.size),
                    _ => self.parts.begin(&mut analysis),
                }
                (begin, begin, analysis)
            });
            *end = self.read_range(begin, analysis, buffer)?;
        }
    }

    /// Reads one range, and returns where it has come to its end.
    fn read_range(&self, begin: u64, analysis: &mut A, buffer: &mut [u8]) -> Result<u64, ReadError> {
        let fail = |kind| ReadError::new(kind, Operation::Read, &self.path);
        let end = self.part.range.end.min(begin.saturating_add(RANGE));
        let mut at = begin;
        while at < end {
            if self.shared.cancel.is_cancelled() {
                return Err(fail(ErrorKind::Cancelled));
            }
            let wanted = usize::try_from(end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            match self.file.read_at(&mut buffer[..wanted], at) {
                // Shorter than it was: what follows need not be read.
                Ok(0) => {
                    self.next.store(self.part.range.end, Ordering::Relaxed);
                    break;
                }
                Ok(read) => {
                    at += read as u64;
                    self.watch.add(read as u64);
                    self.shared.progress.bytes(read as u64);
                    if !analysis.is_complete() {
                        analysis.update(&buffer[..read]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::from_io(error, Operation::Read, &self.path)),
            }
        }
        Ok(at)
    }
}
