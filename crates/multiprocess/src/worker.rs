//! The other side: what a process does that was started to be a worker.

use std::any::type_name;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::exit;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use polyread_core::{
    Allowance, Analysis, Annotated, ByteCount, Colleagues, Combine, Contents, Division, Entry, ErrorKind, FileEntry,
    FilePart, FileResult, FileScanner, Limits, Operation, Parts, Promise, ReadError, Rejection, Root, Text, TextStats,
    WorkerId,
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::PortableAnalysis;
use crate::board::{Board, Position};
use crate::parts::PART;
use crate::pool::lock;
use crate::process::{PARENT, SOCKET};
use crate::protocol::{
    self, Answer, Batch, Begin, Hello, MOST_BYTES, MOST_SHARED, Order, Outcome, Packet, Payload, SentError, SentFile,
    SentRecord, SentRoot, Shared, VERSION,
};

/// Bytes after which a batch comes back, whatever files it still holds: they go on elsewhere.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

/// Files from this size on are left to be read in parts, of which there are two at least.
const LEFT_FROM: u64 = 2 * PART;

/// Records wait in the worker for others to travel with, but no longer than this.
const FLUSH_AFTER: Duration = Duration::from_millis(5);

/// What a program is when it was started as a worker: the one call that belongs early into its `main`.
///
/// It registers the analyses that the workers are to know; those of `polyread-core` they know already. In a process that
/// is no worker, [`run`](Self::run) returns at once.
///
/// ```
/// # use polyread_core::Analysis;
/// use polyread_multiprocess::Worker;
/// use serde::{Deserialize, Serialize};
///
/// /// The longest line of a file, in bytes.
/// #[derive(Clone, Default, Deserialize, Serialize)]
/// struct LongestLine { at_hand: u64, longest: u64 }
///
/// impl Analysis for LongestLine {
///     type Output = u64;
///     fn update(&mut self, chunk: &[u8]) {
///         for byte in chunk {
///             self.at_hand = if *byte == b'\n' { 0 } else { self.at_hand + 1 };
///             self.longest = self.longest.max(self.at_hand);
///         }
///     }
///     fn finish(self) -> u64 {
///         self.longest
///     }
/// }
///
/// fn main() {
///     Worker::new().with::<LongestLine>().run();
///     // From here on it is the program itself.
/// }
/// ```
#[derive(Debug)]
pub struct Worker {
    analyses: BTreeMap<&'static str, Open>,
}

/// Makes a desk for an analysis whose prototype is in these bytes.
type Open = fn(&[u8], &Limits, bool, &Arc<Board>) -> Result<Box<dyn Desk>, String>;

impl Default for Worker {
    fn default() -> Self {
        let own = Self { analyses: BTreeMap::new() };
        own.with::<TextStats>().with::<ByteCount>().with::<Contents>().with::<Text>().with::<Annotated>()
    }
}

impl Worker {
    /// A worker that knows the analyses of `polyread-core`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an analysis. A pair of analyses is one of its own: register `(A, B)`.
    #[must_use]
    pub fn with<A: PortableAnalysis>(mut self) -> Self {
        self.analyses.insert(type_name::<A>(), open::<A>);
        self
    }

    /// Returns at once, unless this process was started as a worker: then it is one until its parent has no more use for
    /// it, and ends here.
    ///
    /// Whatever the program does before this call, each worker does too; what it prints there is lost.
    pub fn run(self) {
        let Some(socket) = std::env::var_os(SOCKET) else { return };
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // It may have died before it could be asked for its signal.
        let parent = std::env::var(PARENT).ok().and_then(|parent| parent.parse().ok());
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != parent {
            exit(1);
        }
        let code = match Station::open(&socket.to_string_lossy(), self.analyses) {
            Ok(mut station) => station.serve(),
            Err(_) => 1,
        };
        exit(code);
    }
}

/// Whether this process was started as a worker.
pub(crate) fn is_worker() -> bool {
    std::env::var_os(SOCKET).is_some()
}

/// The worker's end of its channels, and what it knows.
struct Station {
    analyses: BTreeMap<&'static str, Open>,
    orders: IpcReceiver<Packet>,
    outbox: Arc<Outbox>,
    board: Arc<Board>,
    /// Batches that came while something else was waited for.
    waiting: VecDeque<Batch>,
    roots: Vec<Result<Arc<Root>, i32>>,
    parent: u32,
    has_served: bool,
}

impl Station {
    fn open(socket: &str, analyses: BTreeMap<&'static str, Open>) -> std::io::Result<Self> {
        let (to_orders, orders) = ipc::channel()?;
        let (answers, from_answers) = ipc::channel()?;
        let (board, memory) = Board::new().ok_or_else(|| std::io::Error::other("no board"))?;
        let hello = Hello { version: VERSION, orders: to_orders, answers: from_answers, board: memory };
        IpcSender::connect(socket.to_owned())?.send(hello).map_err(std::io::Error::other)?;
        let outbox = Outbox::open(answers)?;
        let (waiting, roots) = (VecDeque::new(), Vec::new());
        Ok(Self { analyses, orders, outbox, board: Arc::new(board), waiting, roots, parent: 0, has_served: false })
    }

    /// Obeys until the parent is gone; the exit code.
    fn serve(&mut self) -> i32 {
        let mut desk: Option<Box<dyn Desk>> = None;
        loop {
            if let Some(batch) = self.waiting.pop_front() {
                let Some(desk) = &mut desk else { return 1 };
                self.read(batch, &mut **desk);
                continue;
            }
            match protocol::receive(&self.orders, None) {
                Ok(Some((Order::Begin(begin), shared))) => {
                    let answer = match self.begin(&begin, &shared) {
                        Ok(opened) => {
                            desk = Some(opened);
                            Answer::Ready
                        }
                        Err(reason) => Answer::Refused(reason),
                    };
                    self.outbox.send(&answer, Shared::default());
                }
                Ok(Some((Order::Batch(batch), _))) => self.waiting.push_back(batch),
                Ok(Some((Order::Room(_), _)) | None) => {}
                Err(_) => return 0,
            }
        }
    }

    fn begin(&mut self, begin: &Begin, shared: &Shared) -> Result<Box<dyn Desk>, String> {
        let open = self.analyses.get(begin.analysis.as_str()).ok_or_else(|| {
            format!(
                "the worker does not know the analysis {}: register it with polyread_multiprocess::Worker::with",
                begin.analysis
            )
        })?;
        // Where the parent is, even if that directory has been renamed or deleted; or else by its path.
        let here = std::env::set_current_dir(format!("/proc/{}/cwd", begin.parent));
        let by_path =
            || begin.directory.clone().is_some_and(|path| std::env::set_current_dir(PathBuf::from(path)).is_ok());
        // One that has just been started is where the parent was.
        if here.is_err() && !by_path() && self.has_served {
            return Err("a worker cannot follow its program into another directory".to_owned());
        }
        self.has_served = true;
        self.parent = begin.parent;
        self.roots.clear();
        self.outbox.start(begin.pieces);
        // What the run before had written there must not be taken for this one's.
        self.board.begin(Position::default());
        let mut limits = Limits::default().workers(1).bytes_in_flight(begin.bytes_in_flight);
        limits = limits.max_file_size(begin.max_file_size).timeout(begin.timeout);
        let prototype = shared.bytes(&begin.prototype).map_err(|_| "the analysis did not come across".to_owned())?;
        open(prototype, &limits, begin.divides, &self.board)
    }

    /// Reads a batch, or as much of it as is enough for once.
    fn read(&mut self, batch: Batch, desk: &mut dyn Desk) {
        let Batch { number, roots, files } = batch;
        let parent = self.parent;
        self.roots.extend(roots.into_iter().map(|root| reopen(root, parent)));
        self.outbox.begin(number);
        let (mut taken, mut bytes) = (0, 0);
        for file in files {
            if bytes >= BATCH_BYTES {
                break;
            }
            let place = taken;
            taken += 1;
            self.board.begin(Position { batch: number, begun: taken });
            let part = file.part.clone();
            let found = find(file, &self.roots);
            let Self { orders, outbox, waiting, .. } = self;
            bytes += match (part, found) {
                (Some(part), Ok(file)) => desk.read_part(place, &file, &part, outbox),
                (_, found) => desk.read(place, found, outbox, &mut |room| outbox.ask_for(room, orders, waiting)),
            };
        }
        desk.rest();
        self.outbox.flush();
        self.outbox.send(&Answer::Done { batch: number, taken }, Shared::default());
    }
}

/// The parent writes its own words over this: it knows the process.
const WORKER: WorkerId = WorkerId::Process(0);

/// Opens a root of the parent's: through its own descriptor where it holds one, so that whoever renames the directory
/// meanwhile leads nobody astray.
fn reopen(sent: SentRoot, parent: u32) -> Result<Arc<Root>, i32> {
    let through = sent.descriptor.map(|descriptor| PathBuf::from(format!("/proc/{parent}/fd/{descriptor}")));
    let root = Root::reopen(sent.path.into(), sent.identity, sent.links, through.as_deref());
    root.map(Arc::new).map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn find(file: SentFile, roots: &[Result<Arc<Root>, i32>]) -> Result<FileEntry, ReadError> {
    let path = PathBuf::from(file.path);
    let Some(root) = file.root else { return Ok(FileEntry::new(path)) };
    let unknown = Err(0);
    let root = usize::try_from(root).ok().and_then(|root| roots.get(root)).unwrap_or(&unknown);
    match root {
        Ok(root) => Ok(FileEntry::below(Arc::clone(root), path, None)),
        Err(code) => {
            let error = ReadError::from_io(std::io::Error::from_raw_os_error(*code), Operation::Open, path);
            Err(error.with_detail("its root cannot be opened in the worker process"))
        }
    }
}

/// Where files are read under one analysis, whichever it is.
trait Desk {
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

fn open<A: PortableAnalysis>(
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

/// Where records wait for others to travel with. A thread of its own sees that they do not wait longer than
/// [`FLUSH_AFTER`], whatever the file behind them takes.
struct Outbox {
    answers: IpcSender<Packet>,
    load: Mutex<Load>,
    flusher: OnceLock<Thread>,
}

#[derive(Default)]
struct Load {
    batch: u32,
    records: Vec<SentRecord>,
    /// Of what is in the records, about.
    bytes: usize,
    shared: Shared,
    pieces: usize,
}

impl Outbox {
    fn open(answers: IpcSender<Packet>) -> std::io::Result<Arc<Self>> {
        let this = Arc::new(Self { answers, load: Mutex::default(), flusher: OnceLock::new() });
        let shared = Arc::clone(&this);
        let flusher = std::thread::Builder::new().name("polyread-flush".to_owned()).spawn(move || {
            let flush = || loop {
                // Until there is something to flush; and then for as long as that may wait.
                std::thread::park();
                std::thread::sleep(FLUSH_AFTER);
                shared.flush();
            };
            // The channel panics where descriptors or memory run out, and records are lost with it: those of a worker that
            // is lost are read again.
            if catch_unwind(AssertUnwindSafe(flush)).is_err() {
                exit(101);
            }
        })?;
        let _ = this.flusher.set(flusher.thread().clone());
        Ok(this)
    }

    /// A run begins, in which so many pieces of shared memory may travel together.
    fn start(&self, pieces: u32) {
        *lock(&self.load) =
            Load { pieces: usize::try_from(pieces).unwrap_or(1).clamp(1, MOST_SHARED), ..Load::default() };
    }

    fn begin(&self, batch: u32) {
        lock(&self.load).batch = batch;
    }

    /// Puts the record of a file in, and tells how many bytes were read for it.
    fn put<T>(
        &self,
        place: u32,
        mut record: FileResult<T>,
        pack: impl FnOnce(&mut Shared, T) -> Result<Outcome, (ErrorKind, String)>,
    ) -> u64 {
        /// What a record takes beside its payload.
        const OVERHEAD: usize = 64;
        let mut load = lock(&self.load);
        let (mut room, bytes) = (record.hand_over_room(), record.bytes);
        let outcome = record.outcome.and_then(|output| {
            pack(&mut load.shared, output).map_err(|(kind, detail)| {
                room = 0;
                ReadError::new(kind, Operation::Analyse, &record.path).with_bytes_read(bytes).with_detail(detail)
            })
        });
        let outcome = outcome.map_err(|error| SentError::from(&error));
        load.bytes += OVERHEAD
            + match &outcome {
                Ok(Outcome::Read(Payload::Inline(bytes))) => bytes.0.len(),
                Ok(Outcome::Read(Payload::Shared(_)) | Outcome::Large(_)) => 0,
                Err(_) => 1024,
            };
        load.records.push(SentRecord { place, outcome, bytes, elapsed: record.elapsed, room });
        // The largest that can still come is an output just too small to be shared.
        let is_full = (load.bytes + protocol::SHARED_FROM + OVERHEAD) as u64 > MOST_BYTES / 2;
        if is_full || load.shared.len() >= load.pieces {
            self.send_off(&mut load);
        } else if load.records.len() == 1
            && let Some(flusher) = self.flusher.get()
        {
            flusher.unpark();
        }
        bytes
    }

    fn flush(&self) {
        self.send_off(&mut lock(&self.load));
    }

    /// Under the lock, so that messages leave in the order of their records.
    fn send_off(&self, load: &mut Load) {
        let Load { batch, records, bytes, shared, .. } = load;
        if records.is_empty() {
            return;
        }
        *bytes = 0;
        let answer = Answer::Records { batch: *batch, records: std::mem::take(records) };
        self.send(&answer, std::mem::take(shared));
    }

    fn send(&self, answer: &Answer, shared: Shared) {
        if protocol::send(&self.answers, answer, shared).is_err() {
            // Nobody listens any more.
            exit(0);
        }
    }

    /// Asks the parent for room and waits for it. The records go first: they hold the very room that is waited for.
    fn ask_for(&self, room: u64, orders: &IpcReceiver<Packet>, waiting: &mut VecDeque<Batch>) -> u64 {
        self.flush();
        self.send(&Answer::NeedsRoom(room), Shared::default());
        loop {
            match protocol::receive(orders, None) {
                Ok(Some((Order::Room(room), _))) => return room,
                Ok(Some((Order::Batch(batch), _))) => waiting.push_back(batch),
                Ok(Some((Order::Begin(_), _)) | None) => {}
                Err(_) => exit(0),
            }
        }
    }
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
