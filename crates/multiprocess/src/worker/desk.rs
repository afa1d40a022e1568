//! Where a worker reads files under one analysis, whichever it is.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use polyread_core::{
    Allowance, Analysis, Colleagues, Combine, Division, Entry, ErrorKind, FileEntry, FilePart, FileResult, FileScanner,
    Limits, Parts, Promise, ReadError, Rejection, WorkerId,
};

use super::outbox::Outbox;
use crate::PortableAnalysis;
use crate::board::Board;
use crate::parts::PART;
use crate::protocol::{self, Outcome, Payload, Shared};

/// Files from this size on are left to be read in parts, of which there are two at least.
const LEFT_FROM: u64 = 2 * PART;

/// The parent writes its own words over this: it knows the process.
const WORKER: WorkerId = WorkerId::Process(0);

/// Where files are read under one analysis, whichever it is.
pub(super) trait Desk {
    /// Reads a file, puts its record into the outbox and tells how many bytes it read. `ask` asks for room.
    fn read(
        &mut self,
        place: u32,
        found: Result<FileEntry, ReadError>,
        outbox: &Outbox,
        ask: &mut dyn FnMut(u64) -> u64,
    ) -> u64;

    /// The same for a part of a file.
    fn read_part(&mut self, place: u32, file: &FileEntry, part: &FilePart, outbox: &Outbox) -> u64;

    /// The batch is done: what is left of the room goes back.
    fn rest(&mut self);
}

struct DeskOf<A: Analysis> {
    scanner: FileScanner<Reported<A>>,
    allowance: Allowance,
    divides: bool,
}

pub(super) fn open<A: PortableAnalysis>(
    prototype: &[u8],
    limits: &Limits,
    divides: bool,
    board: &Arc<Board>,
) -> Result<Box<dyn Desk>, String> {
    let inner: A =
        protocol::decode(prototype).map_err(|error| format!("the analysis did not come across: {error:?}"))?;
    let (context, allowance) = Allowance::start(Reported { inner, board: Arc::clone(board) }, limits);
    Ok(Box::new(DeskOf { scanner: context.scanner(), allowance, divides }))
}

impl<A: PortableAnalysis> Desk for DeskOf<A> {
    fn read(
        &mut self,
        place: u32,
        found: Result<FileEntry, ReadError>,
        outbox: &Outbox,
        ask: &mut dyn FnMut(u64) -> u64,
    ) -> u64 {
        let Self { scanner, allowance, divides } = self;
        // There alone the size is known to be all there is of it.
        let home = found.as_ref().ok().and_then(FileEntry::root).filter(|root| *divides && root.is_paged());
        let mut others = Others { home: home.map(|root| root.identity().0), left: None };
        let entry = Entry { index: 0, found };
        match scanner.scan_with(entry, WORKER, &mut |room| allowance.grant(ask(room)), Some(&mut others)) {
            Some(record) => outbox.put(place, record, |shared, output| pack(shared, &output).map(Outcome::Read)),
            None => {
                let Some(promise) = others.left else { unreachable!("a run that is read alone is not split") };
                outbox.put(place, without_content(Ok(()), 0), |_, ()| Ok(Outcome::Large(promise)))
            }
        }
    }

    fn read_part(&mut self, place: u32, file: &FileEntry, part: &FilePart, outbox: &Outbox) -> u64 {
        let started = Instant::now();
        let (seen, bytes) = self.scanner.scan_part(file, part);
        let mut record = without_content(seen, bytes);
        record.elapsed = started.elapsed();
        outbox.put(place, record, |shared, seen| pack(shared, &seen.inner).map(Outcome::Read))
    }

    fn rest(&mut self) {
        self.allowance.grant(0);
    }
}

/// The other processes, for one that has found a large file.
struct Others {
    /// The device on which files are left to all of them.
    home: Option<u64>,
    /// What was promised of the file that was left.
    left: Option<Promise>,
}

impl<A: Analysis> Colleagues<A> for Others {
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
        let promise = division.promise();
        if self.home != Some(promise.device()) || promise.size < LEFT_FROM {
            return ControlFlow::Continue(());
        }
        self.left = Some(promise);
        ControlFlow::Break(())
    }
}

/// A record of which only the outcome and what it took is told.
fn without_content<T>(outcome: Result<T, ReadError>, bytes: u64) -> FileResult<T> {
    let mut record = FileResult::new(0, PathBuf::new(), outcome, WORKER, None);
    record.bytes = bytes;
    record
}

/// An output on its way out. What its `Serialize` does is its own: a panic is the file's failure.
fn pack<T: serde::Serialize + 'static>(shared: &mut Shared, output: &T) -> Result<Payload, (ErrorKind, String)> {
    let encoded;
    let bytes = match protocol::as_bytes(output) {
        Some(bytes) => bytes,
        None => {
            encoded = match catch_unwind(AssertUnwindSafe(|| protocol::encode(output))) {
                Ok(Ok(encoded)) => encoded,
                Ok(Err(reason)) => {
                    return Err((ErrorKind::Rejected, format!("its output cannot be encoded: {reason}")));
                }
                Err(_) => return Err((ErrorKind::Panicked, "when its output was encoded".to_owned())),
            };
            &encoded
        }
    };
    // Shared memory that cannot be had is a panic of the channel's.
    catch_unwind(AssertUnwindSafe(|| shared.payload(bytes)))
        .map_err(|_| (ErrorKind::OutOfMemory, "its output could not be put on its way".to_owned()))
}

/// An analysis that tells the board how far it has come.
struct Reported<A> {
    inner: A,
    board: Arc<Board>,
}

impl<A: Clone> Clone for Reported<A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), board: Arc::clone(&self.board) }
    }
}

impl<A: Analysis> Analysis for Reported<A> {
    type Output = A::Output;

    fn update(&mut self, chunk: &[u8]) {
        self.board.has_read(chunk.len() as u64);
        self.inner.update(chunk);
    }

    fn finish(self) -> A::Output {
        self.inner.finish()
    }

    fn begin(&mut self, size_hint: u64) {
        self.inner.begin(size_hint);
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    fn retains(&self, size: u64) -> u64 {
        self.inner.retains(size)
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.inner.verdict()
    }

    fn parts() -> Option<Parts<Self>> {
        A::parts().map(|_| Parts::of())
    }
}

/// Where the inner analysis is one that can be combined; otherwise nobody asks for parts.
impl<A: Analysis> Combine for Reported<A> {
    fn begin_part(&mut self) {
        if let Some(parts) = A::parts() {
            parts.begin(&mut self.inner);
        }
    }

    fn combine(&mut self, later: Self) {
        if let Some(parts) = A::parts() {
            parts.combine(&mut self.inner, later.inner);
        }
    }
}
