//! Room for contents: the bytes that results may hold between a worker and the consumer.

use std::sync::{Arc, Condvar, Mutex};

use crate::cancel::{CANCEL_POLL, CancelToken};
use crate::lock::lock;

/// A counted number of bytes, taken before a file is read and given back when its result has been consumed.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    /// Wider than any capacity: files that turn out longer than they said take more than there is.
    used: Mutex<u128>,
    freed: Condvar,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self { capacity, used: Mutex::new(0), freed: Condvar::new() })
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Takes nothing yet; it can still grow.
    pub(crate) fn none(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0 }
    }

    /// Takes `bytes` if they are free at once.
    pub(crate) fn try_acquire(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut used = lock(&self.used);
        // Nothing is always free, also when files that turned out longer have taken more than there is.
        (bytes == 0 || *used + u128::from(bytes) <= u128::from(self.capacity)).then(|| {
            *used += u128::from(bytes);
            let mut reservation = self.none();
            reservation.bytes = bytes;
            reservation
        })
    }

    /// Takes `bytes`, waiting for others to give theirs back; `None` when the run is cancelled meanwhile.
    ///
    /// `bytes` must not exceed the capacity: such a wait would not end.
    pub(crate) fn acquire(self: &Arc<Self>, bytes: u64, cancel: &CancelToken) -> Option<Reservation> {
        debug_assert!(bytes <= self.capacity);
        loop {
            if let Some(reservation) = self.try_acquire(bytes) {
                return Some(reservation);
            }
            if cancel.is_cancelled() {
                return None;
            }
            let used = lock(&self.used);
            if *used + u128::from(bytes) > u128::from(self.capacity) {
                // A time-out, not a plain wait: a raised token does not notify.
                drop(self.freed.wait_timeout(used, CANCEL_POLL));
            }
        }
    }
}

/// Bytes taken from a run's [`Limits::bytes_in_flight`](crate::Limits::bytes_in_flight); dropping gives them back.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// How many they are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Splits `bytes` off into a reservation of their own. Bytes that are missing are taken at once, even beyond the limit:
    /// they stand for content that has been read already.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        self.grow_to(bytes);
        self.bytes -= bytes;
        Self { budget: Arc::clone(&self.budget), bytes }
    }

    /// Takes over the bytes of another reservation of the same run.
    pub fn absorb(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget, &other.budget), "reservations of two runs");
        self.bytes = self.bytes.saturating_add(std::mem::take(&mut other.bytes));
    }

    /// Follows a file that turns out longer than announced. It takes what it needs at once, even beyond the capacity
    /// (a worker cannot give back what it has read); `false` when this file alone has outgrown the whole budget.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more > 0 {
            *lock(&self.budget.used) += u128::from(more);
            self.bytes += more;
        }
        self.bytes <= self.budget.capacity
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        *lock(&self.budget.used) -= u128::from(self.bytes);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_room_and_gives_up_when_cancelled() {
        let budget = Budget::new(100);
        let cancel = CancelToken::new();
        let first = budget.try_acquire(70).unwrap();
        assert!(budget.try_acquire(31).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.acquire(100, &cancel).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
        let _held = budget.try_acquire(100).unwrap();
        cancel.cancel();
        assert!(budget.acquire(1, &cancel).is_none());
    }

    #[test]
    fn growth_is_accounted_and_bounded_by_the_capacity() {
        let budget = Budget::new(100);
        let mut growing = budget.try_acquire(0).unwrap();
        assert!(growing.grow_to(60));
        assert!(budget.try_acquire(41).is_none());
        assert!(!growing.grow_to(101));
        drop(growing);
        assert!(budget.try_acquire(100).is_some());
    }

    #[test]
    fn reservations_split_and_join() {
        let budget = Budget::new(100);
        let mut whole = budget.try_acquire(60).unwrap();
        let part = whole.split(40);
        assert_eq!((whole.bytes(), part.bytes()), (20, 40));
        drop(part);
        assert!(budget.try_acquire(81).is_none());
        let other = budget.try_acquire(80).unwrap();
        whole.absorb(other);
        assert_eq!(whole.bytes(), 100);
        // Beyond what there is.
        let beyond = whole.split(130);
        assert!(budget.try_acquire(1).is_none());
        drop((whole, beyond));
        assert!(budget.try_acquire(100).is_some());
    }
}
