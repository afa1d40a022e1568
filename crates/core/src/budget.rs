//! Room for contents: the bytes that results may hold between a worker and the consumer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::CancelToken;

/// How often a worker that waits for room looks at its cancel token.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// A counted number of bytes, taken before a file is read and given back when its result has been consumed.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    account: Mutex<Account>,
    freed: Condvar,
}

#[derive(Debug)]
struct Account {
    /// What may be taken: the capacity, or in another process what has been granted of it.
    granted: u64,
    used: u64,
}

impl Account {
    fn free(&self) -> u64 {
        self.granted.saturating_sub(self.used)
    }
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Arc<Self> {
        Self::with(capacity, capacity)
    }

    /// A part of somebody else's budget, of which nothing has been granted yet.
    pub(crate) fn on_allowance(capacity: u64) -> Arc<Self> {
        Self::with(capacity, 0)
    }

    fn with(capacity: u64, granted: u64) -> Arc<Self> {
        Arc::new(Self { capacity, account: Mutex::new(Account { granted, used: 0 }), freed: Condvar::new() })
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Replaces what is free of the allowance by `bytes`.
    pub(crate) fn grant(&self, bytes: u64) {
        let mut account = lock(&self.account);
        account.granted = account.used + bytes;
    }

    /// Takes nothing yet; it can still grow.
    pub(crate) fn none(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0 }
    }

    /// Takes `bytes` if they are free at once.
    pub(crate) fn try_acquire(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut account = lock(&self.account);
        (bytes <= account.free()).then(|| {
            account.used += bytes;
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
            let account = lock(&self.account);
            if bytes > account.free() {
                // A time-out, not a plain wait: a raised token does not notify.
                drop(self.freed.wait_timeout(account, CANCEL_POLL));
            }
        }
    }
}

/// Bytes taken from a [`Budget`]; dropping gives them back.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Follows a file that turns out longer than announced. It takes what it needs at once, even beyond the capacity
    /// (a worker cannot give back what it has read); `false` when this file alone has outgrown the whole budget.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        lock(&self.budget.account).used += more;
        self.bytes += more;
        self.bytes <= self.budget.capacity
    }

    /// A part of it, which from now on is given back apart. What is not there is taken, as by [`grow_to`](Self::grow_to).
    pub(crate) fn split(&mut self, bytes: u64) -> Self {
        self.grow_to(bytes);
        self.bytes -= bytes;
        Self { budget: Arc::clone(&self.budget), bytes }
    }

    /// Takes it out of the allowance: somebody else accounts for it from now on.
    pub(crate) fn hand_over(self) -> u64 {
        let mut account = lock(&self.budget.account);
        account.granted = account.granted.saturating_sub(self.bytes);
        drop(account);
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        lock(&self.budget.account).used -= self.bytes;
        self.budget.freed.notify_all();
    }
}

/// What is behind a lock here stays whole whoever panics: it is set in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn an_allowance_is_spent_and_replaced() {
        let there = Budget::new(100);
        let here = Budget::on_allowance(100);
        assert!(here.try_acquire(1).is_none());
        let mut allowance = there.try_acquire(60).unwrap();
        here.grant(60);
        assert_eq!(here.try_acquire(40).unwrap().hand_over(), 40);
        let handed_over = allowance.split(40);
        assert!(here.try_acquire(21).is_none() && here.try_acquire(20).is_some());
        drop(allowance);
        assert!(there.try_acquire(61).is_none() && there.try_acquire(60).is_some());
        here.grant(30);
        assert!(here.try_acquire(31).is_none() && here.try_acquire(30).is_some());
        drop(handed_over);
        assert!(there.try_acquire(100).is_some());
    }
}
