//! A thread with its ring: how a file goes through a lane.
//!
//! ```text
//!  open ──► read ──┬─ some bytes, on a file system whose short read is the end ───────► analyse, close
//!    │       │     ├─ some bytes, elsewhere ─► read behind them ─┬─ nothing there ────► analyse, close
//!    │       │     │                                             └─ more ─► again
//!    │       │     ├─ nothing ──► takes an advice? ─┬─ yes ───────────────────────────► analyse, close
//!    │       │     │                                └─ no: a FIFO ─► again
//!    └ error └─────┴─ a full buffer, an error ─► again: the scanner reads it from the beginning
//! ```
//!
//! # Where a file ends
//!
//! A scanner asks each file for its size, and knows the end by it. In a ring that question is answered by a thread of the
//! kernel's own, for more than all the rest costs. So a lane does without: if nothing comes behind the bytes that it has, they
//! are the file. On many file systems not even this second read is needed, because of what a short read means there
//! ([`Root::is_end`]). That the file is on the root's own file system and on no other one below it is the kernel's word
//! (`RESOLVE_NO_XDEV`).
//!
//! # What a lane does not see
//!
//! It takes files that were *listed* as regular, and asks what was opened only where it is cheap. Who swaps something else in
//! between can have it read as if it were a file:
//!
//! - A FIFO that has just been written to. Who can put it there could have put a file with the same bytes there. One that
//!   nobody has written to seems empty, or makes the read wait until it is called back; then it takes no advice, and is told
//!   by that.
//! - A device whose driver gives a few bytes and then ends. Only an administrator can make one below the root; links to one are
//!   not followed here: entries that may be reached through links that lead anywhere go to the scanner. One that gives bytes
//!   without end, as `/dev/zero`, fills the buffer and goes to the scanner too.

mod giving_up;
mod scanning;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use polyread_core::{Analysis, Context, Entry, FileEntry, FileResult, FileScanner, Leave, WorkerId};
use rustix::io::Errno;

use crate::again::Next;
use crate::crew::{Crew, Plan};
use crate::ring::Ring;

/// Records handed over at once.
const RECORDS: usize = 16;

/// How long a thread waits before it looks whether the run was cancelled or a file is late.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Worker<A: Analysis> {
    id: WorkerId,
    context: Context<A>,
    scanner: FileScanner<A>,
    /// `None` where the system gives no ring, or took it back: then the scanner reads everything.
    ring: Option<Ring>,
    lanes: Vec<Lane>,
    free: Vec<usize>,
    flying: usize,
    lost: usize,
    /// Closed with the next turn.
    closing: Vec<Leave>,
    backlog: VecDeque<Entry>,
    crew: Crew<A>,
    done: Vec<FileResult<A::Output>>,
    completed: Vec<(usize, Result<usize, Errno>)>,
    buffer: usize,
    time_limit: Option<Duration>,
    /// Time spent on other things than waiting for the ring: not to be held against the files in its lanes.
    away: Duration,
}

enum Lane {
    Free,
    Flying(Flight),
    /// Given up while the kernel has it.
    Lost {
        is_open: bool,
    },
}

struct Flight {
    entry: Entry,
    leave: Leave,
    since: Instant,
    away: Duration,
    is_paged: bool,
    step: Step,
    was_called_back: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Opening,
    Reading,
    ProbingEnd {
        bytes: usize,
    },
    /// Whether it is a FIFO: one that seems empty, or one that lets us wait and was called back.
    ProbingKind {
        was_empty: bool,
    },
}

impl<A: Analysis> Worker<A> {
    pub(crate) fn new(number: usize, crew: Crew<A>) -> Self {
        let Plan { config, limits, context, rings, .. } = &*crew.plan;
        let lanes = config.in_flight.min(context.open_files_of_each(limits, *rings));
        let ring = Ring::new(lanes, config.buffer).ok();
        Self {
            id: WorkerId::Ring(number),
            context: context.clone(),
            scanner: context.scanner(),
            free: if ring.is_some() { (0..lanes).rev().collect() } else { Vec::new() },
            ring,
            lanes: (0..lanes).map(|_| Lane::Free).collect(),
            flying: 0,
            lost: 0,
            closing: Vec::new(),
            backlog: VecDeque::new(),
            done: Vec::new(),
            completed: Vec::new(),
            buffer: config.buffer,
            time_limit: limits.time_limit(),
            away: Duration::ZERO,
            crew,
        }
    }

    /// Reads until there is nothing left, and gives back what may have to be waited for.
    pub(crate) fn run(mut self) -> (Option<Ring>, FileScanner<A>) {
        while self.take_up() {
            self.begin_files();
            self.turn();
            self.give_up_files();
            self.read_again();
            if self.done.len() >= RECORDS {
                self.hand_over();
            }
        }
        self.hand_over();
        (self.ring, self.scanner)
    }

    /// Sees to it that there is something to do, waiting for it if there is nothing; `false` when there will be nothing more.
    fn take_up(&mut self) -> bool {
        // In a split run every file at hand is ended before new ones are begun, so that the other side gets its turn.
        let takes_more = self.flying == 0 || !self.context.is_split();
        if takes_more && self.backlog.len() < self.free.len().max(1) && self.crew.again.is_empty() {
            self.backlog.extend(self.crew.batches.try_recv().into_iter().flatten());
        }
        if self.flying > 0 || !self.backlog.is_empty() || !self.closing.is_empty() {
            return true;
        }
        loop {
            self.hand_over();
            self.scanner.rest();
            match self.crew.again.wait(&self.crew.batches) {
                Some(Next::Batch(batch)) => self.backlog.extend(batch),
                Some(Next::File(entry)) => _ = self.scan(entry),
                Some(Next::Part(division)) => {
                    self.scanner.help(&division, &mut || true);
                    continue;
                }
                None => return false,
            }
            return true;
        }
    }

    /// Opens files in all lanes that are free. Those that are not for a lane go to the scanners.
    fn begin_files(&mut self) {
        let is_over = self.context.is_cancelled();
        let since = Instant::now();
        while let Some(Entry { found, .. }) = self.backlog.front() {
            let file = found.as_ref().ok().filter(|file| file.size_hint().is_none_or(|size| size < self.buffer as u64));
            let opening = file.and_then(FileEntry::opening);
            let (Some(ring), Some(opening), false) =
                (&mut self.ring, opening, is_over || self.lost == self.lanes.len())
            else {
                let entry = self.backlog.pop_front();
                entry.into_iter().for_each(|entry| self.put_again(entry));
                continue;
            };
            let Some(lane) = self.free.last().copied() else { return };
            let leave = match self.scanner.try_leave() {
                // Only who has no file open may wait; those that are being closed are, until the next turn.
                None if self.flying + self.closing.len() == 0 => {
                    self.crew.outlet.send(std::mem::take(&mut self.done));
                    self.scanner.leave_after_waiting()
                }
                leave => leave,
            };
            // None: this worker's own files have the places, or the run was cancelled.
            let Some(leave) = leave else { return };
            let is_paged = opening.root.is_paged();
            let opened = ring.open(lane, opening, is_paged);
            let Some(entry) = self.backlog.pop_front() else { return };
            if opened.is_err() {
                self.put_again(entry);
                continue;
            }
            self.free.pop();
            self.flying += 1;
            self.lanes[lane] = Lane::Flying(Flight {
                entry,
                leave,
                since,
                away: self.away,
                is_paged,
                step: Step::Opening,
                was_called_back: false,
            });
        }
    }

    /// One call into the kernel: the next step of every file in a lane.
    fn turn(&mut self) {
        let Some(ring) = self.ring.as_mut().filter(|_| self.flying + self.lost + self.closing.len() > 0) else {
            return;
        };
        let waits = self.crew.again.is_empty() && (self.flying > 0 || !self.backlog.is_empty());
        if ring.turn(if waits { LOOK } else { Duration::ZERO }).is_err() {
            return self.lose_ring();
        }
        self.closing.clear();
        let mut completed = std::mem::take(&mut self.completed);
        ring.completed(&mut completed);
        if completed.is_empty() {
            // The kernel is busy with these: the consumer need not wait for them.
            self.hand_over();
            if waits {
                self.call_back();
            }
        }
        for (lane, result) in completed.drain(..) {
            self.advance(lane, result);
        }
        self.completed = completed;
    }

    /// Takes a file one step further.
    fn advance(&mut self, lane: usize, result: Result<usize, Errno>) {
        let Some(ring) = &mut self.ring else { return };
        let mut flight = match std::mem::replace(&mut self.lanes[lane], Lane::Free) {
            Lane::Flying(flight) => flight,
            Lane::Lost { is_open } => {
                // Found again.
                if is_open || result.is_ok() {
                    ring.close(lane);
                }
                self.lost -= 1;
                return self.free.push(lane);
            }
            Lane::Free => return,
        };
        flight.step = match (flight.step, result) {
            (Step::Opening, Ok(_)) | (Step::ProbingKind { was_empty: false }, Ok(_)) => {
                ring.read(lane);
                Step::Reading
            }
            (Step::Reading, Ok(0)) if flight.is_paged => {
                ring.probe_kind(lane);
                Step::ProbingKind { was_empty: true }
            }
            (Step::Reading | Step::ProbingEnd { .. }, Err(Errno::CANCELED | Errno::INTR)) if flight.was_called_back => {
                ring.probe_kind(lane);
                Step::ProbingKind { was_empty: false }
            }
            (Step::Reading, Ok(bytes)) if is_end(&flight.entry, bytes, self.buffer) => {
                return self.analyse(lane, flight, bytes);
            }
            (Step::Reading, Ok(bytes)) if (1..self.buffer).contains(&bytes) => {
                ring.probe_end(lane, bytes);
                Step::ProbingEnd { bytes }
            }
            (Step::ProbingEnd { bytes }, Ok(0)) => return self.analyse(lane, flight, bytes),
            (Step::ProbingKind { was_empty: true }, Ok(_)) => return self.analyse(lane, flight, 0),
            (step, _) => {
                let is_open = !matches!(step, Step::Opening);
                self.land(lane, flight.leave, is_open);
                return self.put_again(flight.entry);
            }
        };
        self.lanes[lane] = Lane::Flying(flight);
    }

    /// The content has come, all of it.
    fn analyse(&mut self, lane: usize, flight: Flight, bytes: usize) {
        let Some(ring) = &self.ring else { return };
        let begun = self.time_limit.map(|_| Instant::now());
        let (outlet, done) = (&self.crew.outlet, &mut self.done);
        let mut before_waiting = |_| _ = outlet.send(std::mem::take(done));
        let content = ring.content(lane, bytes);
        let read = self.scanner.scan_content(flight.entry, content, flight.since, self.id, &mut before_waiting);
        self.away += begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        self.land(lane, flight.leave, true);
        match read {
            Ok(record) => self.done.push(record),
            Err(entry) => self.put_again(entry),
        }
    }

    /// The lane is free for the next file; its own is closed with the next turn.
    fn land(&mut self, lane: usize, leave: Leave, is_open: bool) {
        if let Some(ring) = self.ring.as_mut().filter(|_| is_open) {
            ring.close(lane);
            self.closing.push(leave);
        }
        self.flying -= 1;
        self.free.push(lane);
    }

    fn hand_over(&mut self) {
        let begun = self.time_limit.map(|_| Instant::now());
        self.crew.outlet.send(std::mem::take(&mut self.done));
        self.away += begun.map_or(Duration::ZERO, |begun| begun.elapsed());
    }
}

/// Whether a file that brought so many of the bytes that it was asked for has no more.
fn is_end(entry: &Entry, read: usize, asked: usize) -> bool {
    entry.found.as_ref().ok().and_then(FileEntry::root).is_some_and(|root| root.is_end(read, asked))
}
