//! The model: worker processes that read batches of files, and for each a thread here that looks after it.
//!
//! ```text
//!  discovery ──► this run's thread: pulls entries, queues files        (bounded)
//!                        │
//!          ┌─────────────┼──────────────┐  supervisors: one thread for each process
//!          ▼             ▼              ▼
//!   ─ ─ ─ orders: batches of up to 128 files ─ ─ ─ ─ ─ ─ ─ ─ ─ process boundary ─ ─
//!          ▼             ▼              ▼
//!     process-4711  process-4712   process-4713      each: reads, analyses, collects records
//!          │             │              │
//!   ─ ─ ─ answers: records, a few dozen at once; large contents in shared memory ─ ─
//!          ▼             ▼              ▼
//!          └─────────────┼──────────────┘  supervisors: make records of them
//!                        ▼ bounded channel
//!                     consumer
//! ```
//!
//! A supervisor knows of every file that its process has in hand, and the process writes into shared memory which one it
//! has begun. So whatever becomes of the process, killed, stopped, hung or talking nonsense, each of its files has its
//! record in the end: those it had begun are tried once more, each alone, and those it had not go back to the queue.

use std::any::type_name;
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use polyread_core::{
    Analysis, Context, Entries, Entry, ErrorKind, FileReader, FileResult, Job, Limits, Operation, Outlet, Producer,
    ReadError, ReaderError, Records, Room, Root, Sink, Summary, WorkerId,
};
use rustix::process::{Resource, getrlimit};

use crate::board::Position;
use crate::pool::Pool;
use crate::process::Process;
use crate::protocol::{
    self, Answer, Batch, Begin, Broken, MOST_PATH_BYTES, MOST_SHARED, Order, SentFile, SentRecord, SentRoot, Shared,
    Undecodable,
};
use crate::work::{Task, Work};
use crate::{Config, PortableAnalysis};

const NAME: &str = "multiprocess";

/// Entries taken from discovery at once.
const ENTRIES: usize = 64;

/// Messages of records that may wait for the consumer, for each process.
const MESSAGES_AHEAD: usize = 4;

/// Batches that a process has in hand: one that it reads, one that it finds waiting, so that it need not wait itself.
const BATCHES_IN_HAND: usize = 2;

/// How often a supervisor whose process is silent looks at its board, at the clock and at the run's token.
const LOOK: Duration = Duration::from_millis(10);

/// How long after its time limit a file is left to its worker, who looks at the clock after each chunk and tells more.
const GRACE: Duration = Duration::from_millis(250);

/// How long a worker may take to begin with a batch, under a time limit: that no file has been begun is no file's fault.
const SLOW_START: Duration = Duration::from_secs(5);

/// Room that a worker is given beyond what it asks for, if there is some, so that small contents do not ask one by one.
const SPARE_ROOM: u64 = 1024 * 1024;

/// Tries of one file: a second one, because a worker may have been lost for any reason; no third, because by then the file
/// is the reason.
const MOST_TRIES: u32 = 2;

/// Reads files in worker processes.
///
/// A record's worker is the process that read it, `process-4711`, one of [`Limits::workers`] at the most; its
/// [`attempts`](FileResult::attempts) are 2 if a worker was lost over it. Whatever a file does to its worker costs that
/// file alone: a crash, an abort or a call that hangs ends in a record of kind
/// [`WorkerDied`](ErrorKind::WorkerDied) or, under [`Limits::timeout`], [`Timeout`](ErrorKind::Timeout).
///
/// The workers are this very program, started again: [`Worker::run`](crate::Worker::run) belongs early into its `main`.
#[derive(Clone, Debug, Default)]
pub struct MultiprocessReader {
    config: Config,
    /// `None`: each run starts its own.
    pool: Option<Pool>,
}

impl MultiprocessReader {
    /// A reader whose workers are this program, with the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with settings of one's own.
    pub fn with_config(config: Config) -> Self {
        Self { config, pool: None }
    }

    /// A reader whose workers are another program; see [`Config::worker`].
    pub fn with_worker(program: impl Into<PathBuf>) -> Self {
        Self::with_config(Config::default().worker(program))
    }

    pub(crate) fn on_pool(pool: Pool) -> Self {
        Self { config: pool.config().clone(), pool: Some(pool) }
    }

    /// The records of a run as an iterator. Reading starts at once, in other processes, and goes on ahead of the consumer
    /// by a bounded amount. Dropping the iterator ends it: its processes are killed and reaped.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Start`] if not even one process can be started and made ready: the program does not run a
    /// [`Worker`](crate::Worker), or one that does not know this analysis, or the system refuses. If only some can, the run
    /// makes do with those.
    pub fn records<A: PortableAnalysis>(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        let start_error = |reason| ReaderError::Start { strategy: NAME, reason };
        let pool = match &self.pool {
            Some(pool) => pool.clone(),
            None => Pool::start(self.config.clone()).map_err(|error| start_error(error.to_string()))?,
        };
        let run = job.start();
        let opening = Opening::of(&run.context, &run.limits).map_err(start_error)?;
        let processes = pool.muster(run.limits.effective_workers(), &|| opening.order()).map_err(start_error)?;
        let (config, limits) = (self.config.clone(), run.limits.clone());
        Records::of(NAME, run, MESSAGES_AHEAD * processes.len(), move |Producer { entries, context, outlet }| {
            let work = Work::new(config.batch * BATCHES_IN_HAND * processes.len(), processes.len());
            let respawns = AtomicU64::new(u64::from(config.respawns) * FILES_PER_RESPAWN);
            let patience = limits.time_limit().map(|limit| limit.saturating_add(GRACE));
            let run = Crew { pool, opening, config, context, work, outlet, respawns, patience };
            run.read(entries, processes);
        })
    }
}

impl<A: PortableAnalysis> FileReader<A> for MultiprocessReader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&self, job: Job<A>, sink: &mut Sink<'_, A::Output>) -> Result<Summary, ReaderError> {
        Ok(self.records(job)?.deliver(sink))
    }
}

/// What every process must hear before it can read for a run.
struct Opening {
    analysis: &'static str,
    prototype: Vec<u8>,
    directory: Option<PathBuf>,
    bytes_in_flight: u64,
    max_file_size: Option<u64>,
    timeout: Option<Duration>,
    pieces: u32,
}

impl Opening {
    fn of<A: PortableAnalysis>(context: &Context<A>, limits: &Limits) -> Result<Self, String> {
        let prototype = catch_unwind(AssertUnwindSafe(|| protocol::encode(&context.analysis())));
        let prototype = prototype.unwrap_or_else(|_| Err("it panicked".to_owned()));
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // A quarter of them at most, for all workers together: each sends a message of its own.
        let pieces = descriptors / 4 / limits.effective_workers() as u64;
        Ok(Self {
            pieces: u32::try_from(pieces.clamp(1, MOST_SHARED as u64)).unwrap_or(1),
            analysis: type_name::<A>(),
            prototype: prototype.map_err(|error| format!("the analysis cannot be encoded: {error}"))?,
            // A worker that was started before may be elsewhere.
            directory: std::env::current_dir().ok(),
            bytes_in_flight: context.bytes_in_flight(),
            max_file_size: limits.largest_file(),
            timeout: limits.time_limit(),
        })
    }

    fn order(&self) -> (Order, Shared) {
        let mut shared = Shared::default();
        let begin = Begin {
            analysis: self.analysis.to_owned(),
            prototype: shared.payload(&self.prototype),
            directory: self.directory.as_deref().map(Into::into),
            bytes_in_flight: self.bytes_in_flight,
            max_file_size: self.max_file_size,
            timeout: self.timeout,
            pieces: self.pieces,
            parent: std::process::id(),
        };
        (Order::Begin(begin), shared)
    }
}

/// A respawn is worth so many files: that many read earn one.
const FILES_PER_RESPAWN: u64 = 100;

/// What the threads of one run share.
struct Crew<A: Analysis> {
    pool: Pool,
    opening: Opening,
    config: Config,
    context: Context<A>,
    work: Work,
    outlet: Outlet<FileResult<A::Output>>,
    /// What is left of the respawns, in files.
    respawns: AtomicU64,
    /// How long a file may take as seen from here.
    patience: Option<Duration>,
}

impl<A: PortableAnalysis> Crew<A> {
    fn read(&self, entries: Entries, processes: Vec<Process>) {
        std::thread::scope(|scope| {
            // Also when the iterator of files panics: the others must not wait for more.
            let closing = Closing(&self.work);
            for process in processes {
                let id = process.id();
                let name = format!("polyread-process-{id}");
                let supervisor = move || {
                    let supervised = catch_unwind(AssertUnwindSafe(|| Supervisor::new(self, process).run()));
                    supervised.unwrap_or_else(|panic| {
                        self.work.break_off();
                        resume_unwind(panic)
                    });
                };
                if std::thread::Builder::new().name(name).spawn_scoped(scope, supervisor).is_err() {
                    self.work.leave();
                }
            }
            self.feed(entries);
            drop(closing);
        });
        for task in self.work.rest() {
            self.record_unread(&task);
        }
    }

    fn feed(&self, mut entries: Entries) {
        loop {
            let batch = entries.next_batch(ENTRIES);
            if batch.is_empty() {
                return;
            }
            let (mut tasks, mut failed) = (Vec::with_capacity(batch.len()), Vec::new());
            for Entry { index, found } in batch {
                let found = found.and_then(|file| match file.path().as_os_str().len() {
                    0..=MOST_PATH_BYTES => Ok(file),
                    _ => Err(ReadError::new(ErrorKind::NameTooLong, Operation::Open, file.path())),
                });
                match found {
                    Ok(mut file) => {
                        // As a side of another reader it may get files that are open; its workers open them themselves.
                        file.close();
                        tasks.push(Task { index, file, tries: 0, told: 0 });
                    }
                    // What discovery has to say needs no worker.
                    Err(error) => failed.push(FileResult::failed(index, error, here())),
                }
            }
            self.outlet.send(failed);
            let unread = self.work.add(tasks, &|| self.context.is_cancelled());
            unread.iter().for_each(|task| self.record_unread(task));
        }
    }

    /// The record of a file that nobody has read: the run was cancelled, or no process is left.
    fn record_unread(&self, task: &Task) {
        let fail = |kind| ReadError::new(kind, Operation::Open, task.file.path());
        let error = if self.context.is_cancelled() {
            fail(ErrorKind::Cancelled)
        } else {
            fail(ErrorKind::WorkerDied).with_detail("no worker process is left to read it")
        };
        let mut record = FileResult::failed(task.index, error, here());
        record.attempts = task.tries.max(1);
        self.outlet.send(vec![record]);
    }

    /// Another process in the place of one that was lost, if there still may be one.
    fn replace(&self, at_cost: bool) -> Option<Process> {
        let mut cost = if at_cost { FILES_PER_RESPAWN } else { 0 };
        while !self.context.is_cancelled() {
            let pay = |left: u64| left.checked_sub(cost);
            self.respawns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).ok()?;
            if let Ok(mut processes) = self.pool.muster(1, &|| self.opening.order()) {
                return processes.pop();
            }
            // One that dies before it is ready is one more that is lost; and what the system refuses now it may not later.
            cost = FILES_PER_RESPAWN;
            std::thread::sleep(LOOK);
        }
        None
    }
}

struct Closing<'a>(&'a Work);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Who looks after one process.
struct Supervisor<'a, A: Analysis> {
    crew: &'a Crew<A>,
    process: Process,
    in_hand: VecDeque<InHand>,
    batches: u32,
    /// Roots that the process knows.
    roots: Vec<Arc<Root>>,
    /// Room that was granted to the process and not yet used.
    allowance: Option<Room>,
    /// Whether it has asked for room since its last record: nobody needs to ask twice.
    has_asked: bool,
    /// Where the process was when its board was looked at last, and since when.
    seen: (Position, Instant),
}

/// A batch that the process has.
struct InHand {
    number: u32,
    /// Those that are not recorded, by their places.
    tasks: Vec<Option<Task>>,
}

/// Why a process is given up.
enum Loss {
    /// It died, or it does not speak the protocol.
    Broken(Broken),
    /// The file it is at takes too long.
    Late,
    /// Somebody has stopped it.
    Stopped,
}

impl<'a, A: PortableAnalysis> Supervisor<'a, A> {
    fn new(crew: &'a Crew<A>, process: Process) -> Self {
        let seen = (Position::default(), Instant::now());
        Self {
            crew,
            process,
            in_hand: VecDeque::new(),
            batches: 0,
            roots: Vec::new(),
            allowance: None,
            has_asked: false,
            seen,
        }
    }

    /// Until there is no more to read, or no process to do it.
    fn run(mut self) {
        let crew = self.crew;
        loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break,
                Err(loss) => match self.recover(loss) {
                    Some(next) => self = next,
                    None => return crew.work.leave(),
                },
            }
        }
        if crew.context.is_cancelled() {
            // A process is the one worker that can be stopped whatever it does.
            self.cancel();
        } else {
            crew.pool.take_back(self.process);
        }
        crew.work.leave();
    }

    /// Sees that the process has work and takes what it answers; `false` when there is no more to do.
    fn turn(&mut self) -> Result<bool, Loss> {
        let is_cancelled = || self.crew.context.is_cancelled();
        while self.in_hand.len() < BATCHES_IN_HAND {
            let (most, work) = (self.crew.config.batch, &self.crew.work);
            let tasks = match self.in_hand.is_empty() {
                true => work.take(most, MOST_PATH_BYTES, &is_cancelled),
                false => work.take_ahead(most, MOST_PATH_BYTES),
            };
            if tasks.is_empty() {
                break;
            }
            self.hand_over(tasks)?;
        }
        if self.in_hand.is_empty() || is_cancelled() {
            return Ok(false);
        }
        match self.process.receive(LOOK).map_err(Loss::Broken)? {
            Some((answer, shared)) => {
                self.take(answer, &shared)?;
                // Handing records over may have taken a while, which is the consumer's.
                self.seen.1 = Instant::now();
            }
            None => self.look()?,
        }
        Ok(true)
    }

    fn hand_over(&mut self, tasks: Vec<Task>) -> Result<(), Loss> {
        if self.in_hand.is_empty() {
            self.seen.1 = Instant::now();
        }
        self.batches += 1;
        let mut batch = Batch { number: self.batches, ..Batch::default() };
        for task in &tasks {
            let root = task.file.root().map(|root| {
                let known = self.roots.iter().rposition(|known| Arc::ptr_eq(known, root));
                let number = known.unwrap_or_else(|| {
                    batch.roots.push(SentRoot {
                        path: root.path().into(),
                        identity: root.identity(),
                        links: root.links(),
                        descriptor: root.descriptor().map(|descriptor| descriptor.as_raw_fd()),
                    });
                    self.roots.push(Arc::clone(root));
                    self.roots.len() - 1
                });
                u32::try_from(number).unwrap_or(u32::MAX)
            });
            batch.files.push(SentFile { path: task.file.path().into(), root });
        }
        let tasks = tasks.into_iter().map(Some).collect();
        self.in_hand.push_back(InHand { number: batch.number, tasks });
        self.process.send(&Order::Batch(batch), Shared::default()).map_err(Loss::Broken)
    }

    fn take(&mut self, answer: Answer, shared: &Shared) -> Result<(), Loss> {
        let nonsense = |what: &str| Loss::Broken(Broken::Nonsense(what.to_owned()));
        match answer {
            Answer::Records { batch, records } => {
                self.has_asked = false;
                let mut taken = Ok(());
                let mut done = Vec::with_capacity(records.len());
                for record in records {
                    match self.record(batch, record, shared) {
                        Ok(record) => done.push(record),
                        Err(loss) => {
                            taken = Err(loss);
                            break;
                        }
                    }
                }
                self.deliver(done);
                taken
            }
            Answer::Done { batch, taken } => {
                let in_hand = self.in_hand.front().filter(|in_hand| in_hand.number == batch);
                let in_hand = in_hand.ok_or_else(|| nonsense("it is done with what it was not given"))?;
                let taken = count(taken).min(in_hand.tasks.len());
                if in_hand.tasks[..taken].iter().any(Option::is_some) {
                    return Err(nonsense("it is done without a record of each file"));
                }
                // Backwards, so that they stand in front of the queue as they were.
                let left = self.in_hand.pop_front().map(|in_hand| in_hand.tasks).unwrap_or_default();
                self.crew.work.put_back(left.into_iter().rev().flatten());
                self.allowance = None;
                Ok(())
            }
            Answer::NeedsRoom(bytes) => {
                let context = &self.crew.context;
                // It waits while it holds none: what was left of the last goes back first.
                self.allowance = None;
                if bytes > context.bytes_in_flight() || std::mem::replace(&mut self.has_asked, true) {
                    return Err(nonsense("it asks for more room than there is, or for none of its files"));
                }
                // Cancelled: the next turn ends it.
                let Some(mut room) = context.take_room(bytes) else { return Ok(()) };
                let spare = SPARE_ROOM.min(context.bytes_in_flight() / 8);
                if let Some(more) = context.try_take_room(bytes.saturating_add(spare)) {
                    room = more;
                }
                let granted = room.bytes();
                self.allowance = Some(room);
                self.process.send(&Order::Room(granted), Shared::default()).map_err(Loss::Broken)
            }
            Answer::Ready | Answer::Refused(_) => Err(nonsense("it answers what it was not asked")),
        }
    }

    /// Makes the record of a file from what the worker says of it.
    fn record(&mut self, batch: u32, sent: SentRecord, shared: &Shared) -> Result<FileResult<A::Output>, Loss> {
        let worker = WorkerId::Process(self.process.id());
        let slot = self.in_hand.iter_mut().find(|in_hand| in_hand.number == batch).and_then(|in_hand| {
            let place = usize::try_from(sent.place).ok()?;
            in_hand.tasks.get_mut(place).filter(|task| task.is_some())
        });
        let slot = slot.filter(|_| sent.room <= self.crew.context.bytes_in_flight());
        let slot = slot.ok_or_else(|| Loss::Broken(Broken::Nonsense("it records what it was not given".to_owned())))?;
        let Some(path) = slot.as_ref().map(|task| task.file.path()) else { unreachable!("found above") };
        let outcome = match sent.outcome {
            Err(error) => Err(error.into_error(path)),
            Ok(payload) => match shared.bytes(&payload).map(protocol::decode) {
                Ok(Ok(output)) => Ok(output),
                Ok(Err(Undecodable::OutOfMemory(bytes))) => {
                    let error = ReadError::new(ErrorKind::OutOfMemory, Operation::Analyse, path);
                    Err(error.with_bytes_read(sent.bytes).with_detail(format!("{bytes} bytes could not be allocated")))
                }
                // The message is whole, and so its sender is sound: this output is what cannot be read back.
                Ok(Err(Undecodable::Nonsense(reason))) => {
                    let error = ReadError::new(ErrorKind::Protocol, Operation::Analyse, path);
                    Err(error.with_bytes_read(sent.bytes).with_detail(reason))
                }
                Err(broken) => return Err(Loss::Broken(broken)),
            },
        };
        let Some(task) = slot.take() else { unreachable!("found above") };
        self.crew.context.has_read(sent.bytes.saturating_sub(task.told));
        // A failed file holds nothing.
        let room = (sent.room > 0 && outcome.is_ok()).then(|| match &mut self.allowance {
            Some(allowance) => allowance.split(sent.room),
            // Of a file that said it was empty, and was not.
            None => self.crew.context.take_room_at_once(sent.room),
        });
        let path = task.file.path().to_path_buf();
        let mut record = FileResult::new(task.index, path, outcome, worker, room);
        (record.bytes, record.elapsed, record.attempts) = (sent.bytes, sent.elapsed, task.tries + 1);
        Ok(record)
    }

    fn deliver(&self, records: Vec<FileResult<A::Output>>) {
        let (count, read) = (records.len(), records.iter().filter(|record| record.outcome.is_ok()).count());
        self.crew.respawns.fetch_add(read as u64, Ordering::Relaxed);
        self.crew.outlet.send(records);
        self.crew.work.done(count);
    }

    /// A look at the board of a process that is silent: how far it has come, and whether it has come too late.
    fn look(&mut self) -> Result<(), Loss> {
        let (position, bytes) = self.process.position();
        if let Some(task) = task_at(&mut self.in_hand, position) {
            self.crew.context.has_read(bytes.saturating_sub(task.told));
            task.told = task.told.max(bytes);
        }
        if position != self.seen.0 {
            self.seen = (position, Instant::now());
        }
        let Some(patience) = self.crew.patience else { return Ok(()) };
        let is_at_a_file = task_at(&mut self.in_hand, position).is_some();
        let patience = if is_at_a_file { patience } else { patience.max(SLOW_START) };
        match self.seen.1.elapsed() {
            time if time < patience => Ok(()),
            _ if self.process.is_stopped() || !is_at_a_file => Err(Loss::Stopped),
            _ => Err(Loss::Late),
        }
    }

    /// Ends the process and sees to the files it had in hand. What goes on instead, if there still is a process to be had.
    fn recover(mut self, loss: Loss) -> Option<Self> {
        let crew = self.crew;
        if crew.context.is_cancelled() {
            self.cancel();
            return None;
        }
        let (position, bytes) = self.process.position();
        let at_hand = task_at(&mut self.in_hand, position).map(|task| task.index);
        let worker = WorkerId::Process(self.process.id());
        let is_late = matches!(loss, Loss::Late);
        let fate = self.process.end();
        let (kind, reason) = match loss {
            Loss::Late => {
                (ErrorKind::Timeout, "its worker process was killed over a call that does not return".to_owned())
            }
            Loss::Stopped => (ErrorKind::WorkerDied, "it was stopped and took too long".to_owned()),
            Loss::Broken(Broken::Closed) => (ErrorKind::WorkerDied, fate),
            Loss::Broken(Broken::Nonsense(what)) => (ErrorKind::Protocol, what),
        };
        let (mut back, mut records) = (Vec::new(), Vec::new());
        for InHand { number, tasks } in self.in_hand {
            for (place, task) in tasks.into_iter().enumerate() {
                let Some(mut task) = task else { continue };
                let is_at_hand = at_hand == Some(task.index);
                // What is in a later batch, or behind the file at hand, is no less unread than before.
                let begun = position.batch > number || (position.batch == number && place < count(position.begun));
                task.tries += u32::from(begun);
                if (is_late && is_at_hand) || task.tries >= MOST_TRIES {
                    let operation = if is_late { Operation::Read } else { Operation::Analyse };
                    let error = ReadError::new(kind, operation, task.file.path()).with_detail(reason.clone());
                    let bytes = if is_at_hand { bytes } else { 0 };
                    crew.context.has_read(bytes.saturating_sub(task.told));
                    let mut record = FileResult::failed(task.index, error.with_bytes_read(bytes), worker);
                    record.attempts = task.tries;
                    records.push(record);
                } else {
                    back.push(task);
                }
            }
        }
        let recorded = records.len();
        crew.outlet.send(records);
        crew.work.done(recorded);
        crew.work.put_back(back.into_iter().rev());
        crew.replace(!is_late).map(|process| Self::new(crew, process))
    }

    /// The run is over: the process is killed, and what it had in hand is recorded as cancelled.
    fn cancel(self) {
        let (position, bytes) = self.process.position();
        let worker = WorkerId::Process(self.process.id());
        let mut in_hand = self.in_hand;
        let at_hand = task_at(&mut in_hand, position).map(|task| task.index);
        self.process.end();
        let mut records = Vec::new();
        for task in in_hand.into_iter().flat_map(|in_hand| in_hand.tasks).flatten() {
            let bytes = if at_hand == Some(task.index) { bytes } else { 0 };
            self.crew.context.has_read(bytes.saturating_sub(task.told));
            let error = ReadError::new(ErrorKind::Cancelled, Operation::Read, task.file.path()).with_bytes_read(bytes);
            records.push(FileResult::failed(task.index, error, worker));
        }
        let count = records.len();
        self.crew.outlet.send(records);
        self.crew.work.done(count);
    }
}

/// The worker of what no worker has seen.
fn here() -> WorkerId {
    WorkerId::Process(std::process::id())
}

/// The file that a process is at, if it is one that it has in hand and not recorded.
fn task_at(in_hand: &mut VecDeque<InHand>, position: Position) -> Option<&mut Task> {
    let in_hand = in_hand.iter_mut().find(|in_hand| in_hand.number == position.batch)?;
    in_hand.tasks.get_mut(count(position.begun).checked_sub(1)?)?.as_mut()
}

fn count(begun: u32) -> usize {
    usize::try_from(begun).unwrap_or(usize::MAX)
}
