//! Who looks after one process: gives it batches, makes records of its answers, watches over the file it is at, and sees
//! to what it had in hand when it is lost.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polyread_core::{Analysis, ErrorKind, FileResult, Operation, ReadError, Room, Root, WorkerId};

use serde::de::DeserializeOwned;

use crate::PortableAnalysis;
use crate::board::Position;
use crate::parts::Seen;
use crate::process::Process;
use crate::protocol::{
    self, Answer, Batch, Broken, MOST_PATH_BYTES, Order, Outcome, Payload, SentFile, SentRecord, SentRoot, Shared,
    Undecodable,
};
use crate::reader::{BATCHES_IN_HAND, Crew, LOOK};
use crate::work::Task;

/// How long a worker may take to begin with a batch, under a time limit: that no file has been begun is no file's fault.
const SLOW_START: Duration = Duration::from_secs(5);

/// Room that a worker is given beyond what it asks for, if there is some, so that small contents do not ask one by one.
const SPARE_ROOM: u64 = 1024 * 1024;

/// Tries of one file: a second one, because a worker may have been lost for any reason; no third, because by then the file
/// is the reason.
const MOST_TRIES: u32 = 2;

/// Who looks after one process.
pub(crate) struct Supervisor<'a, A: Analysis> {
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
    pub(crate) fn new(crew: &'a Crew<A>, process: Process) -> Self {
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
    pub(crate) fn run(mut self) {
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
            // What is left of a file that has failed already is not worth a worker, and may cost one.
            let (lost, tasks): (Vec<_>, Vec<_>) =
                tasks.into_iter().partition(|task| self.crew.divided.has_failed(task));
            let records = lost.iter().filter_map(|task| {
                let error = ReadError::new(ErrorKind::Cancelled, Operation::Read, task.file.path());
                self.crew.failed(task, error, self.worker())
            });
            self.crew.deliver(lost.len(), records.collect());
            if !tasks.is_empty() {
                self.hand_over(tasks)?;
            }
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
            batch.files.push(SentFile { path: task.file.path().into(), root, part: task.part.clone() });
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
                let (mut count, mut done) = (0, Vec::with_capacity(records.len()));
                for record in records {
                    match self.record(batch, record, shared) {
                        Ok(Recorded::File(record)) => {
                            count += 1;
                            done.push(record);
                        }
                        Ok(Recorded::Part) => count += 1,
                        Ok(Recorded::Divided) => {}
                        Err(loss) => {
                            taken = Err(loss);
                            break;
                        }
                    }
                }
                self.crew.deliver(count, done);
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
    fn record(&mut self, batch: u32, sent: SentRecord, shared: &Shared) -> Result<Recorded<A::Output>, Loss> {
        let nonsense = |what: &str| Loss::Broken(Broken::Nonsense(what.to_owned()));
        let (crew, worker) = (self.crew, self.worker());
        let slot = self.in_hand.iter_mut().find(|in_hand| in_hand.number == batch).and_then(|in_hand| {
            let place = usize::try_from(sent.place).ok()?;
            in_hand.tasks.get_mut(place)
        });
        let slot = slot.filter(|slot| slot.is_some() && sent.room <= crew.context.bytes_in_flight());
        let slot = slot.ok_or_else(|| nonsense("it records what it was not given"))?;
        let Some(task) = &*slot else { unreachable!("found above") };
        let path = task.file.path();
        let payload = match sent.outcome {
            Ok(Outcome::Large(promise)) => {
                let parts = crew.divided.divide(task, promise);
                let parts = parts.ok_or_else(|| nonsense("it finds too large what cannot be divided"))?;
                crew.work.divide(parts.into_iter());
                *slot = None;
                return Ok(Recorded::Divided);
            }
            Ok(Outcome::Read(payload)) => Ok(payload),
            Err(error) => Err(error.into_error(path)),
        };
        if task.part.is_some() {
            let seen = payload.map(|payload| decoded(&payload, shared, path, sent.bytes));
            let outcome = seen.unwrap_or_else(|error| Ok(Err(error)))?;
            crew.context.has_read(sent.bytes.saturating_sub(task.told));
            let seen = Seen { outcome, bytes: sent.bytes, elapsed: sent.elapsed, attempts: task.tries + 1 };
            let whole = crew.divided.put(task, seen, worker);
            *slot = None;
            return Ok(whole.map_or(Recorded::Part, Recorded::File));
        }
        let outcome = payload.map(|payload| decoded(&payload, shared, path, sent.bytes));
        let outcome = outcome.unwrap_or_else(|error| Ok(Err(error)))?;
        let Some(task) = slot.take() else { unreachable!("found above") };
        crew.context.has_read(sent.bytes.saturating_sub(task.told));
        // A failed file holds nothing.
        let room = (sent.room > 0 && outcome.is_ok()).then(|| match &mut self.allowance {
            Some(allowance) => allowance.split(sent.room),
            // Of a file that said it was empty, and was not.
            None => crew.context.take_room_at_once(sent.room),
        });
        let mut record = FileResult::new(task.index, task.file.into_path(), outcome, worker, room);
        (record.bytes, record.elapsed, record.attempts) = (sent.bytes, sent.elapsed, task.tries + 1);
        Ok(Recorded::File(record))
    }

    /// A look at the board of a process that is silent: how far it has come, and whether it has come too late.
    fn look(&mut self) -> Result<(), Loss> {
        let (position, bytes) = self.process.position();
        let at_hand = task_at(&mut self.in_hand, position);
        let is_at_a_file = at_hand.is_some();
        if let Some(task) = at_hand {
            self.crew.context.has_read(bytes.saturating_sub(task.told));
            task.told = task.told.max(bytes);
        }
        if position != self.seen.0 {
            self.seen = (position, Instant::now());
        }
        let Some(patience) = self.crew.patience else { return Ok(()) };
        let patience = if is_at_a_file { patience } else { patience.max(SLOW_START) };
        match self.seen.1.elapsed() {
            time if time < patience => Ok(()),
            _ if self.process.is_stopped() || !is_at_a_file => Err(Loss::Stopped),
            _ => Err(Loss::Late),
        }
    }

    /// Ends the process and sees to the files it had in hand. What goes on instead, if there still is a process to be had.
    fn recover(self, loss: Loss) -> Option<Self> {
        let crew = self.crew;
        if crew.context.is_cancelled() {
            self.cancel();
            return None;
        }
        let worker = self.worker();
        let is_late = matches!(loss, Loss::Late);
        let (fate, left) = self.end();
        let (kind, reason) = match loss {
            Loss::Late => {
                (ErrorKind::Timeout, "its worker process was killed over a call that does not return".to_owned())
            }
            Loss::Stopped => (ErrorKind::WorkerDied, "it was stopped and took too long".to_owned()),
            Loss::Broken(Broken::Closed) => (ErrorKind::WorkerDied, fate),
            Loss::Broken(Broken::Nonsense(what)) => (ErrorKind::Protocol, what),
        };
        let operation = if is_late { Operation::Read } else { Operation::Analyse };
        let (mut back, mut count, mut records) = (Vec::new(), 0, Vec::new());
        for mut left in left {
            // What is in a later batch, or behind the file at hand, is no less unread than before.
            left.task.tries += u32::from(left.is_begun);
            if (is_late && left.bytes_at_hand.is_some()) || left.task.tries >= MOST_TRIES {
                let error = ReadError::new(kind, operation, left.task.file.path()).with_detail(reason.clone());
                count += 1;
                records.extend(crew.give_up(&left, error, worker));
            } else {
                back.push(left.task);
            }
        }
        crew.deliver(count, records);
        crew.work.put_back(back.into_iter().rev());
        crew.replace(!is_late).map(|process| Self::new(crew, process))
    }

    /// The run is over: the process is killed, and what it had in hand is recorded as cancelled.
    fn cancel(self) {
        let (crew, worker) = (self.crew, self.worker());
        let (_, left) = self.end();
        let cancelled = |left: Left| {
            let error = ReadError::new(ErrorKind::Cancelled, Operation::Read, left.task.file.path());
            crew.give_up(&left, error, worker)
        };
        crew.deliver(left.len(), left.into_iter().filter_map(cancelled).collect());
    }

    /// Ends the process: how it has ended, and what it had in hand without a record.
    fn end(self) -> (String, Vec<Left>) {
        let (position, bytes) = self.process.position();
        let mut left = Vec::new();
        for InHand { number, tasks } in self.in_hand {
            // How many of the batch have been begun; the last of them is the one at hand.
            let begun = match position.batch.cmp(&number) {
                Ordering::Greater => usize::MAX,
                Ordering::Equal => count(position.begun),
                Ordering::Less => 0,
            };
            for (place, task) in tasks.into_iter().enumerate() {
                let Some(task) = task else { continue };
                left.push(Left { task, is_begun: place < begun, bytes_at_hand: (place + 1 == begun).then_some(bytes) });
            }
        }
        (self.process.end(), left)
    }

    fn worker(&self) -> WorkerId {
        WorkerId::Process(self.process.id())
    }
}

/// What a worker's words about a file came to.
enum Recorded<T> {
    File(FileResult<T>),
    /// A part of a file, which others are still read of.
    Part,
    /// It waits again, as its parts.
    Divided,
}

/// A value that a worker has sent. What cannot be read back fails its file; `Err` is what no sound worker says.
fn decoded<T: DeserializeOwned + 'static>(
    payload: &Payload,
    shared: &Shared,
    path: &Path,
    read: u64,
) -> Result<Result<T, ReadError>, Loss> {
    let error = |kind| ReadError::new(kind, Operation::Analyse, path).with_bytes_read(read);
    let bytes = shared.bytes(payload).map_err(Loss::Broken)?;
    Ok(protocol::decode(bytes).map_err(|undecodable| match undecodable {
        Undecodable::OutOfMemory(bytes) => {
            error(ErrorKind::OutOfMemory).with_detail(format!("{bytes} bytes could not be allocated"))
        }
        // The message is whole, and so its sender is sound: this output is what cannot be read back.
        Undecodable::Nonsense(reason) => error(ErrorKind::Protocol).with_detail(reason),
    }))
}

/// A file that a process had in hand when it was ended.
struct Left {
    task: Task,
    is_begun: bool,
    /// If the process was at this very file: how much of it had been read.
    bytes_at_hand: Option<u64>,
}

impl<A: PortableAnalysis> Crew<A> {
    fn give_up(&self, left: &Left, error: ReadError, worker: WorkerId) -> Option<FileResult<A::Output>> {
        let bytes = left.bytes_at_hand.unwrap_or(0);
        self.context.has_read(bytes.saturating_sub(left.task.told));
        self.failed(&left.task, error.with_bytes_read(bytes), worker)
    }
}

/// The file that a process is at, if it is one that it has in hand and not recorded.
fn task_at(in_hand: &mut VecDeque<InHand>, position: Position) -> Option<&mut Task> {
    let in_hand = in_hand.iter_mut().find(|in_hand| in_hand.number == position.batch)?;
    in_hand.tasks.get_mut(count(position.begun).checked_sub(1)?)?.as_mut()
}

fn count(begun: u32) -> usize {
    usize::try_from(begun).unwrap_or(usize::MAX)
}
