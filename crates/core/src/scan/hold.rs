//! What a scanner holds of its run for the file at hand, to be seen and taken from another thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::budget::{Reservation, lock};
use crate::split::{Place, Seat};

/// How far a scanner has come with the file at hand, to be looked at from another thread: for those who may abandon it.
#[derive(Debug, Default)]
pub struct Watch {
    bytes: AtomicU64,
    /// `None` while it waits for room, which is not the file's fault.
    pub(super) reading_since: Mutex<Option<Instant>>,
    pub(super) held: Mutex<Held>,
}

/// What the file at hand takes of the run.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) room: Option<Reservation>,
    /// In a split run: leave to read, for all files at hand.
    pub(super) seat: Option<Seat>,
    /// In a split run: leave to have one of them open. On the small side it goes from file to file, until one takes it along.
    pub(super) place: Option<Place>,
    /// Which of the two came first: a file that was sent over must not have a record of its being given up.
    pub(super) fate: Option<Fate>,
}

impl Held {
    /// Gives back what a split run gave.
    pub(super) fn leave(&mut self) {
        (self.seat, self.place) = (None, None);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Abandoned,
    Crossed,
}

impl Watch {
    /// Another file.
    pub(super) fn begin(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// So many bytes more were read.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// For how long the file has been read; `None` before, and while its scanner waits for room or for a seat.
    pub fn reading_for(&self) -> Option<Duration> {
        lock(&self.reading_since).map(|since| since.elapsed())
    }

    /// The file is given up, though its scanner may be inside of it for ever: what it takes of the run is free for others.
    /// `false` when it is too late for that, because the file has just gone to the other side of a split run.
    #[must_use]
    pub fn abandon(&self) -> bool {
        let mut held = lock(&self.held);
        if held.fate == Some(Fate::Crossed) {
            return false;
        }
        *held = Held { fate: Some(Fate::Abandoned), ..Held::default() };
        true
    }
}
