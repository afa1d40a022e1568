//! The other side: what a process does that was started to be a worker.

mod desk;
mod outbox;

use std::any::type_name;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::exit;
use std::sync::Arc;

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use polyread_core::{Annotated, ByteCount, Contents, FileEntry, Limits, Operation, ReadError, Root, Text, TextStats};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::PortableAnalysis;
use crate::board::{Board, Position};
use crate::process::{PARENT, SOCKET};
use crate::protocol::{self, Answer, Batch, Begin, Hello, Order, Packet, SentFile, SentRoot, Shared, VERSION};
use desk::{Desk, open};
use outbox::Outbox;

/// Bytes after which a batch comes back, whatever files it still holds: they go on elsewhere.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

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
