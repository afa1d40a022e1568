//! How far a worker has come with its file, to be looked at from another thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::budget::Reservation;
use crate::lock::lock;

/// The progress of one [`Worker`](super::worker::Worker) with the file at hand: for a supervisor that gives files up whose
/// read calls do not return.
#[derive(Debug, Default)]
pub struct Watch {
    bytes: AtomicU64,
    /// `None` between files, and while the worker waits for something else than the file.
    reading_since: Mutex<Option<Instant>>,
    /// Bytes in flight that the file at hand holds.
    reservation: Mutex<Option<Reservation>>,
}

impl Watch {
    /// Another file.
    pub(crate) fn begin(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// The clock of the file at hand runs from `since`, or stands still.
    pub(crate) fn reading_since(&self, since: Option<Instant>) {
        *lock(&self.reading_since) = since;
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn hold(&self, reservation: Reservation) {
        *lock(&self.reservation) = Some(reservation);
    }

    pub(crate) fn take_reservation(&self) -> Option<Reservation> {
        lock(&self.reservation).take()
    }

    /// Follows a file that is longer than announced; `false` when it alone exceeds the run's bytes in flight.
    pub(crate) fn grow_to(&self, bytes: u64, none: impl FnOnce() -> Reservation) -> bool {
        lock(&self.reservation).get_or_insert_with(none).grow_to(bytes)
    }

    /// Bytes read of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// For how long the file has been read; `None` between files, and while the worker waits for room in the bytes in
    /// flight or for its records to be taken. Known only under a [time limit](crate::Limits::timeout).
    pub fn reading_for(&self) -> Option<Duration> {
        lock(&self.reading_since).map(|since| since.elapsed())
    }

    /// Gives back the bytes in flight that the file holds, even if the worker hangs in it for ever.
    pub fn release(&self) {
        drop(self.take_reservation());
    }
}
