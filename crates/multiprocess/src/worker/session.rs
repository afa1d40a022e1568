//! The reading of one run's files in a worker process, under whichever analysis the run has.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use polyread_core::reader::custom::FileVersion;
use polyread_core::reader::{Entry, Run, Scanned, Worker};
use polyread_core::{Analysis, ErrorKind, FileEntry, FileResult, Job, Limits, Operation, ReadError, WorkerId};
use serde::Serialize;

use super::granted_budget::GrantedBudget;
use super::parent_link::ParentLink;
use super::record_buffer::Finished;
use super::tracked::Tracked;
use crate::lock::lock;
use crate::portable_analysis::PortableAnalysis;
use crate::protocol::{FilePart, Outcome, PART_BYTES, Payload, SharedMemory, as_bytes, decode, encode};

/// Files from this size on are divided: then there are at least two parts.
const DIVIDED_FROM: u64 = 2 * PART_BYTES;

/// No file is larger than this, on any system. Limits beyond it are none, and its sums do not overflow.
const LARGEST_FILE: u64 = i64::MAX.cast_unsigned();

/// The parent replaces it by its own name for this process.
const WORKER: WorkerId = WorkerId::new("process", 0);

/// Reads the files of one run.
pub(super) trait Session {
    /// Reads a file and puts its record into the record buffer. Returns how many bytes it has read.
    fn read(&mut self, place: u32, found: Result<FileEntry, ReadError>) -> u64;

    /// Reads a part of a file and puts the state of the analysis into the record buffer. Returns how many bytes it has read.
    fn read_part(&mut self, place: u32, file: FileEntry, part: &FilePart) -> u64;

    /// Returns the room that was granted for this batch.
    fn end_batch(&mut self);
}

/// Opens a session from the encoded analysis, the limits, whether large files are divided, and the link to the parent.
pub(super) type OpenSession = fn(&[u8], Limits, bool, Arc<ParentLink>) -> Result<Box<dyn Session>, String>;

struct SessionOf<A: Analysis> {
    worker: Worker<Tracked<A>>,
    /// Kept for as long as its worker: dropping a run cancels it.
    _run: Run<Tracked<A>>,
    granted: Arc<Mutex<GrantedBudget>>,
    divides: bool,
    parent: Arc<ParentLink>,
}

pub(super) fn open_session<A: PortableAnalysis>(
    prototype: &[u8],
    limits: Limits,
    divides: bool,
    parent: Arc<ParentLink>,
) -> Result<Box<dyn Session>, String> {
    let analysis: A = decode(prototype).map_err(|error| format!("the analysis did not come across: {error:?}"))?;
    let analysis = Tracked::new(analysis, Arc::clone(&parent.page));
    let in_flight = limits.bytes_held().min(LARGEST_FILE);
    let run = Job::of_paths(std::iter::empty::<PathBuf>(), analysis).limits(limits.bytes_in_flight(in_flight)).start();
    let granted = GrantedBudget::new(&run).ok_or("the bytes in flight are in use")?;
    let granted = Arc::new(Mutex::new(granted));
    let (asking, granting) = (Arc::clone(&parent), Arc::clone(&granted));
    let run = run.before_waiting(move |bytes| {
        let room = asking.ask_for_room(bytes);
        lock(&granting).grant(room);
    });
    Ok(Box::new(SessionOf { worker: run.worker(WORKER), _run: run, granted, divides, parent }))
}

impl<A: PortableAnalysis> Session for SessionOf<A> {
    fn read(&mut self, place: u32, found: Result<FileEntry, ReadError>) -> u64 {
        // Only on the root's own file system is the size known to be all that there is of a file.
        let root = found.as_ref().ok().and_then(FileEntry::root).filter(|root| self.divides && root.is_paged());
        let device = root.map(|root| root.identity().0);
        let is_divided = |version: FileVersion| device == Some(version.device()) && version.size >= DIVIDED_FROM;
        let mut record = match self.worker.scan(Entry::new(0, found)) {
            Scanned::Done(record) => record,
            // Sharing tells whether the analysis allows it. Each part opens the file anew.
            Scanned::Large(file) if is_divided(file.version()) => match self.worker.share(file) {
                Ok(shared) => {
                    self.parent
                        .records
                        .put(place, Finished::unread(shared.version()), |_, version| Ok(Outcome::Large(version)));
                    return 0;
                }
                Err(file) => self.worker.read_large(file),
            },
            Scanned::Large(file) => self.worker.read_large(file),
        };
        let room = record.take_reservation().map_or(0, |taken| lock(&self.granted).use_up(taken));
        let FileResult { outcome, bytes, elapsed, .. } = record;
        let finished = Finished { outcome, bytes, elapsed, room };
        self.parent.records.put(place, finished, |shared, output| pack(shared, &output));
        bytes
    }

    fn read_part(&mut self, place: u32, file: FileEntry, part: &FilePart) -> u64 {
        let started = Instant::now();
        let (outcome, bytes) = self.read_range(file, part);
        let outcome = outcome.map_err(|error| error.with_bytes_read(bytes));
        let finished = Finished { outcome, bytes, elapsed: started.elapsed(), room: 0 };
        self.parent.records.put(place, finished, |shared, state| pack(shared, &state.inner));
        bytes
    }

    fn end_batch(&mut self) {
        lock(&self.granted).grant(0);
    }
}

impl<A: PortableAnalysis> SessionOf<A> {
    /// Reads a part of a file. Returns the state of the analysis, and how many bytes were read.
    fn read_range(&mut self, file: FileEntry, part: &FilePart) -> (Result<Tracked<A>, ReadError>, u64) {
        let path = file.path().to_path_buf();
        let changed = || {
            let error = ReadError::new(ErrorKind::Changed, Operation::Read, &path);
            error.with_detail(format!("it was {} bytes long when it was opened", part.version.size))
        };
        let file = match self.worker.scan(Entry::new(0, Ok(file))) {
            Scanned::Large(file) if file.version() == part.version => file,
            Scanned::Large(_) => return (Err(changed()), 0),
            // It was a large regular file when it was divided. If it can be opened but is none, it has changed.
            Scanned::Done(FileResult { outcome, bytes, .. }) => {
                return (Err(outcome.err().filter(cannot_be_opened).unwrap_or_else(changed)), bytes);
            }
        };
        let Ok(file) = self.worker.share_part(file, part.range.clone()) else {
            // The worker that divided the file could share it: here the analysis has panicked when it was cloned or asked.
            return (Err(ReadError::new(ErrorKind::Panicked, Operation::Analyse, &path)), 0);
        };
        self.worker.read_ranges(&file, &mut || true);
        let seen = file.seen(&|| {}).and_then(|state| state.filter(|_| file.is_unchanged()).ok_or_else(changed));
        (seen, file.bytes())
    }
}

/// Whether a file failed because it cannot be opened, and not because it is no longer a large regular file.
fn cannot_be_opened(error: &ReadError) -> bool {
    let is_of_file = error.is_skip() || error.kind() == ErrorKind::TooLarge;
    matches!(error.operation(), Operation::Open | Operation::Stat) && !is_of_file
}

/// Encodes an output. Its `Serialize` is the user's code: a panic is the file's failure.
fn pack<T: Serialize + 'static>(shared: &mut SharedMemory, output: &T) -> Result<Outcome, (ErrorKind, String)> {
    let encoded;
    let bytes = match as_bytes(output) {
        Some(bytes) => bytes,
        None => {
            encoded = match catch_unwind(AssertUnwindSafe(|| encode(output))) {
                Ok(Ok(encoded)) => encoded,
                Ok(Err(reason)) => {
                    return Err((ErrorKind::Rejected, format!("its output cannot be encoded: {reason}")));
                }
                Err(_) => return Err((ErrorKind::Panicked, "when its output was encoded".to_owned())),
            };
            &encoded
        }
    };
    // The channel panics if there is no shared memory to be had.
    let payload: Result<Payload, _> = catch_unwind(AssertUnwindSafe(|| shared.payload(bytes)));
    let no_memory = |_| (ErrorKind::OutOfMemory, "its output could not be put on its way".to_owned());
    payload.map(Outcome::Read).map_err(no_memory)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver};
    use polyread_core::ByteCount;

    use super::*;
    use crate::protocol::{Answer, Hello, Packet, SentRecord, receive};

    const SIZE: u64 = 2 * PART_BYTES;

    /// A session, and the answers that it sends.
    fn session() -> (Box<dyn Session>, Arc<ParentLink>, IpcReceiver<Packet>) {
        let (server, name) = IpcOneShotServer::<Hello>::new().unwrap();
        let parent = ParentLink::connect(&name).unwrap();
        let prototype = encode(&ByteCount::default()).unwrap();
        let session = open_session::<ByteCount>(&prototype, Limits::default(), true, Arc::clone(&parent)).unwrap();
        (session, parent, server.accept().unwrap().1.answers)
    }

    fn version(path: &std::path::Path) -> FileVersion {
        let run = Job::of_paths(Vec::<PathBuf>::new(), ByteCount::default()).start();
        match run.worker(WORKER).scan(Entry::new(0, Ok(FileEntry::new(path)))) {
            Scanned::Large(file) => file.version(),
            Scanned::Done(_) => panic!("it is not large"),
        }
    }

    #[test]
    fn a_part_of_a_file_that_was_changed_replaced_or_removed_has_changed() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("file");
        let (mut session, parent, answers) = session();
        let mut read = |part: &FilePart| -> Result<u64, ErrorKind> {
            session.read_part(0, FileEntry::new(&path), part);
            parent.records.flush();
            let Some((Answer::Records { mut records, .. }, shared)) = receive(&answers, None).unwrap() else {
                panic!("no records")
            };
            let SentRecord { outcome, bytes, .. } = records.pop().unwrap();
            match outcome {
                Ok(Outcome::Read(state)) => {
                    let state: ByteCount = decode(shared.bytes(&state).unwrap()).unwrap();
                    assert_eq!(state.finish(), bytes);
                    Ok(bytes)
                }
                Ok(Outcome::Large(_)) => panic!("a part is not divided"),
                Err(error) => Err(error.into_error(&path).kind()),
            }
        };
        let made = || {
            File::create(&path).unwrap().set_len(SIZE).unwrap();
            FilePart { version: version(&path), range: PART_BYTES..SIZE }
        };
        let part = made();
        assert_eq!(read(&part), Ok(PART_BYTES));
        for size in [SIZE + 1, SIZE - 1, 100, 0] {
            File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            assert_eq!(read(&part), Err(ErrorKind::Changed), "{size}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(read(&part), Err(ErrorKind::Changed), "a directory");
        fs::remove_dir(&path).unwrap();
        // A path that was given, not discovered, is not there to be skipped.
        assert_eq!(read(&part), Err(ErrorKind::NotFound), "removed");
        assert_eq!(read(&made()), Ok(PART_BYTES));
    }
}
