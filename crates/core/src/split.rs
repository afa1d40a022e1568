//! One run on two sides: its files are told apart where they are opened, by their size, and read by two readers at once.
//!
//! ```text
//!  Entries ──► small job ──► scanner: open, read ───┬── below the threshold: read here
//!                                                   │
//!                                                   └── from it on: crosses over, open, with its size and its place
//!                                                          │
//!                                             large job ◄──┘ scanner: reads what is open already
//! ```
//!
//! A file that stays costs no call more than in an undivided run: its first read, which is no longer than the threshold, has
//! told its end. One that crosses over has been asked for its size and rewound. It is opened once, and closed by whoever read
//! it. Where a read does not tell the end, the size is asked for first.
//!
//! # One set of limits
//!
//! Both sides share the run's room for contents, and one [`Gate`]. It has as many seats as files may be read at once,
//! which follows what is found to be waited for, and as many places as files may be open. A scanner of the small side
//! takes both before it opens a file, and keeps them, over as many files as its worker has at hand, until
//! [`FileScanner::rest`](crate::FileScanner::rest). A file that crosses over takes the place along, so that the way
//! over needs no other bound; whoever reads it on the large side takes a seat for it.
//!
//! # Why nobody waits for ever
//!
//! There are three things to wait for: the gate, room for contents, and the consumer (a full channel). The consumer waits
//! for neither of the other two, so that every wait for it ends. Then so does every other one:
//!
//! - Room is held by records on their way to the consumer, and by files in the middle of being read, which by then wait for
//!   nothing any more. A worker hands over the records that it keeps to itself before it waits for room
//!   (`before_waiting`). So room comes back from the consumer alone.
//! - Seats are held by workers that have a file at hand: they wait for room at the most, or for the consumer, to hand over
//!   records before that, or for those who help with a large file and are in the middle of a range, who wait for nothing.
//!   So seats come back.
//! - Who waits for a seat holds no other, has handed its records over and has no room. A large file that waits for one
//!   has a place; but nobody with a seat ever waits for a place. So places come back too.
//!
//! A worker without a file at hand has neither seat nor place: it rests, since the next file may be long in coming, and may
//! come only when the record of another one has been seen.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender, unbounded};

use crate::budget::lock;
use crate::divide::Promise;
use crate::reader::{Part, Source};
use crate::{Analysis, CancelToken, Context, Entries, Entry, FileResult, Job, Limits, WorkerId};

/// How often a worker that waits at the gate looks at its cancel token.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// Files that may be open for each worker, those included that wait for the large side: enough that its workers find the
/// next one there, while those of the small side sleep.
const OPEN_FOR_EACH_WORKER: usize = 64;

/// Bytes of files that the large side is given at once: what is read in less time than handing over takes to matter. Of two
/// files that are larger each goes alone, so that each finds a worker of its own.
const BYTES_AT_ONCE: u64 = 1024 * 1024;

/// A run that has been started, as one job for each of two readers.
///
/// The two keep the limits of the whole together, end with its token and raise its counters; entries keep their indices.
/// Their records hold their room until the consumer of the whole is done with them, to whom they must be handed on. What
/// either reader's own [`Summary`](crate::Summary) says is of no use.
///
/// Both readers must read with [`FileScanner`](crate::FileScanner)s for files to cross over: one that opens files by itself keeps all of
/// them on the small side, and opens them anew on the large one. In between are rings, which open small files by themselves: they
/// take leave for each ([`FileScanner::try_leave`](crate::FileScanner::try_leave)), and have a scanner open anew, and send over,
/// what turns out large.
///
/// For those who write a reader that is composed of others.
#[derive(Debug)]
pub struct Split<A: Analysis> {
    /// Every entry of the run. Those whose file has the threshold's size or more leave it without a record.
    pub small: Job<A>,
    /// The entries that left the small job, until the [crossing](Self::crossing) is closed. Cancelling the run does not
    /// end them: each must have its record.
    pub large: Job<A>,
    /// The way from the one to the other.
    pub crossing: Crossing<A>,
}

impl<A: Analysis> Split<A> {
    /// Splits a run whose files of `threshold` bytes or more are to be read on the large side: with 0 these are all, with
    /// [`u64::MAX`] none.
    ///
    /// On both sides together, no more files are read at once than [`Limits::effective_workers`], unless an async side finds
    /// that a device is what they wait for, and no more are open than [`Limits::max_open_files`]. A single worker has one file
    /// open at a time.
    pub fn of(entries: Entries, context: Context<A>, limits: &Limits, threshold: u64) -> Self {
        let whole = Arc::clone(&context.shared);
        let (sender, crossed) = unbounded();
        let crossed = Crossed(crossed);
        let way = Arc::new(Way(Mutex::new(Some(sender))));
        // A run that is itself a side of another one stays behind that one's gate, and what is large to both crosses twice.
        let gate = whole.gate.clone().unwrap_or_else(|| Gate::new(limits));
        // What is large to the whole has to leave it, whatever is large here: by the large side, which sends it on.
        let threshold = whole.route.as_ref().map_or(threshold, |outer| threshold.min(outer.threshold));
        let job = |files, route| {
            let part = Part { whole: Arc::clone(&whole), gate: Arc::clone(&gate), route };
            Job::part(files, Arc::clone(&context.analysis), limits.clone(), part)
        };
        Self {
            small: job(Source::Whole(Box::new(entries)), Some(Route { threshold, way: Arc::clone(&way) })),
            large: job(Source::Crossed(crossed.clone()), whole.route.clone()),
            crossing: Crossing { way, crossed, context },
        }
    }
}

/// The way from the small side of a [`Split`] run to the large one.
#[derive(Debug)]
pub struct Crossing<A: Analysis> {
    way: Arc<Way>,
    crossed: Crossed,
    context: Context<A>,
}

impl<A: Analysis> Crossing<A> {
    /// Lets no further file over: those that come are read on the small side, and the large job ends with those that have
    /// crossed already. To be called when the small side has ended, and when the large side has.
    pub fn close(&self) {
        *lock(&self.way.0) = None;
    }

    /// Waits until a file has gone over; `false` if the way was closed before one did. Who starts the large side no earlier
    /// does not start it for nothing.
    pub fn is_used(&self) -> bool {
        let mut select = Select::new();
        select.recv(&self.crossed.0);
        select.ready();
        !self.crossed.0.is_empty()
    }

    /// Closes the way and reads, one after the other, what has crossed and was taken by nobody, because the large side ended
    /// before its time.
    pub fn read_rest(self, worker: WorkerId) -> impl Iterator<Item = FileResult<A::Output>> {
        self.close();
        let mut scanner = self.context.scanner();
        // Nothing to hand over before waiting: each record is handed over before the next file is read.
        std::iter::from_fn(move || {
            self.crossed.0.try_iter().find_map(|(entry, _)| scanner.scan(entry, worker, &mut |_| {}))
        })
    }
}

impl<A: Analysis> Clone for Crossing<A> {
    fn clone(&self) -> Self {
        Self { way: Arc::clone(&self.way), crossed: self.crossed.clone(), context: self.context.clone() }
    }
}

/// Where files leave the small side; `None` when it is closed. Behind a lock, and not a sender for each scanner: one that
/// hangs in the kernel must not keep the way open.
#[derive(Debug)]
pub(crate) struct Way(Mutex<Option<Sender<(Entry, u64)>>>);

/// The large side's end of the way: entries with the sizes of their files.
#[derive(Clone, Debug)]
pub(crate) struct Crossed(Receiver<(Entry, u64)>);

impl Crossed {
    /// The entries that are there, as far as they are to be read by one worker; if there are none, waits for the first. Empty
    /// when the way is closed.
    pub(crate) fn next_batch(&self, most: usize) -> Vec<Entry> {
        let Ok((first, mut bytes)) = self.0.recv() else { return Vec::new() };
        let mut batch = vec![first];
        while batch.len() < most
            && bytes < BYTES_AT_ONCE
            && let Ok((entry, size)) = self.0.try_recv()
        {
            bytes = bytes.saturating_add(size);
            batch.push(entry);
        }
        batch
    }
}

/// What the scanners of a small side know of the large one.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    threshold: u64,
    way: Arc<Way>,
}

impl Route {
    /// Whether a file of so many bytes is to be sent over.
    pub(crate) fn leads_over(&self, size: u64) -> bool {
        size >= self.threshold
    }

    /// Of `most` bytes, as many as it takes to see that a file is read here.
    pub(crate) fn bytes_here(&self, most: usize) -> usize {
        usize::try_from(self.threshold).map_or(most, |threshold| threshold.min(most))
    }

    /// Sends an open file over, or gives it back if the way is closed.
    pub(crate) fn send(&self, entry: Entry, size: u64) -> Result<(), Entry> {
        match &*lock(&self.way.0) {
            // Never full: a file is let over by its place alone.
            Some(sender) => sender.send((entry, size)).map_err(|refused| refused.0.0),
            None => Err(entry),
        }
    }
}

/// How many files the two sides may still read at once, and have open.
#[derive(Debug)]
pub(crate) struct Gate {
    free: Mutex<Free>,
    /// Seats that there are unless files are waited for.
    workers: usize,
    open_files: usize,
    /// Workers of the small side wait here until so many places are free: woken for each of them, they would open one
    /// file and sleep again.
    opening: Condvar,
    enough_places: usize,
    /// Workers of the large side wait here.
    reading: Condvar,
}

#[derive(Debug)]
struct Free {
    // Below zero when some were taken away that somebody has still.
    seats: isize,
    places: isize,
    /// What there is of both, taken or not.
    all: (usize, usize),
    waiting_to_open: usize,
    waiting_to_read: usize,
}

impl Gate {
    fn new(limits: &Limits) -> Arc<Self> {
        let workers = limits.effective_workers();
        let open_files = limits.open_files();
        let places = places(workers, open_files);
        Arc::new(Self {
            free: Mutex::new(Free {
                seats: workers.cast_signed(),
                places: places.cast_signed(),
                all: (workers, places),
                waiting_to_open: 0,
                waiting_to_read: 0,
            }),
            workers,
            open_files,
            opening: Condvar::new(),
            enough_places: places.div_ceil(2),
            reading: Condvar::new(),
        })
    }

    /// From now on there are so many seats, or as many as workers: files that a device has to bring are waited for, not
    /// read. A single worker stays alone.
    pub(crate) fn resize(&self, seats: Option<usize>) {
        let seats = if self.workers == 1 { 1 } else { seats.unwrap_or(self.workers) };
        let all = (seats, places(seats, self.open_files));
        let mut free = lock(&self.free);
        free.seats += all.0.cast_signed() - free.all.0.cast_signed();
        free.places += all.1.cast_signed() - free.all.1.cast_signed();
        free.all = all;
        self.wake(&free);
    }

    /// A place for a worker that has a seat, if one is free at once.
    pub(crate) fn try_place(self: &Arc<Self>) -> Option<Place> {
        let mut free = lock(&self.free);
        (free.places > 0).then(|| self.place(&mut free))
    }

    /// What it takes to open a file and read it, if it is free at once.
    pub(crate) fn try_both(self: &Arc<Self>) -> Option<(Seat, Place)> {
        let mut free = lock(&self.free);
        (free.seats > 0 && free.places > 0).then(|| (self.seat(&mut free), self.place(&mut free)))
    }

    /// The same after waiting; `None` when the run is cancelled meanwhile.
    pub(crate) fn both(self: &Arc<Self>, cancel: &CancelToken) -> Option<(Seat, Place)> {
        let mut free = lock(&self.free);
        free.waiting_to_open += 1;
        while !self.may_open(&free) && !cancel.is_cancelled() {
            free = wait(&self.opening, free);
        }
        free.waiting_to_open -= 1;
        let both = (free.seats > 0 && free.places > 0).then(|| (self.seat(&mut free), self.place(&mut free)));
        self.wake(&free);
        both
    }

    /// A seat for a worker that has an open file, if one is free at once.
    pub(crate) fn try_seat(self: &Arc<Self>) -> Option<Seat> {
        let mut free = lock(&self.free);
        (free.seats > 0).then(|| self.seat(&mut free))
    }

    /// The same after waiting; `None` when the run is cancelled meanwhile.
    pub(crate) fn seat_after_waiting(self: &Arc<Self>, cancel: &CancelToken) -> Option<Seat> {
        self.seat_unless(cancel, || false)
    }

    /// The same, unless meanwhile there is nothing left to do.
    pub(crate) fn seat_unless(self: &Arc<Self>, cancel: &CancelToken, too_late: impl Fn() -> bool) -> Option<Seat> {
        let mut free = lock(&self.free);
        free.waiting_to_read += 1;
        while free.seats <= 0 && !cancel.is_cancelled() && !too_late() {
            free = wait(&self.reading, free);
        }
        free.waiting_to_read -= 1;
        let seat = (free.seats > 0).then(|| self.seat(&mut free));
        self.wake(&free);
        seat
    }

    fn may_open(&self, free: &Free) -> bool {
        free.seats > 0 && free.places >= self.enough_places.cast_signed()
    }

    fn seat(self: &Arc<Self>, free: &mut Free) -> Seat {
        free.seats -= 1;
        Seat(Arc::clone(self))
    }

    fn place(self: &Arc<Self>, free: &mut Free) -> Place {
        free.places -= 1;
        Place(Arc::clone(self))
    }

    /// Files that are open already come first.
    fn wake(&self, free: &Free) {
        if free.waiting_to_read > 0 && free.seats > 0 {
            self.reading.notify_one();
        } else if free.waiting_to_open > 0 && self.may_open(free) {
            self.opening.notify_one();
        }
    }
}

/// Files that may be open with so many seats. A single worker leaves nobody idle who could read ahead of time.
fn places(seats: usize, open_files: usize) -> usize {
    if seats == 1 { 1 } else { (OPEN_FOR_EACH_WORKER * seats).min(open_files) }
}

/// A time-out, not a plain wait: a raised token does not notify.
fn wait<'a>(condition: &Condvar, free: MutexGuard<'a, Free>) -> MutexGuard<'a, Free> {
    condition.wait_timeout(free, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0
}

/// Leave to read files; dropping gives it back.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Gate>);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut free = lock(&self.0.free);
        free.seats += 1;
        self.0.wake(&free);
    }
}

/// Leave to have a file open; dropping gives it back.
#[derive(Debug)]
pub(crate) struct Place(Arc<Gate>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut free = lock(&self.0.free);
        free.places += 1;
        self.0.wake(&free);
    }
}

/// A file on its way over.
#[derive(Debug)]
pub(crate) struct Opened {
    // In this order: what has no place has been closed.
    pub(crate) file: File,
    pub(crate) promised: Promise,
    /// Bytes of its beginning that are in the buffer of the scanner that opened it.
    pub(crate) ahead: Option<usize>,
    /// What opening it took.
    pub(crate) spent: Duration,
    pub(crate) place: Option<Place>,
}
