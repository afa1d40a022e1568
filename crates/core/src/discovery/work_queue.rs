//! The queue between the threads of a walk: a thread without work is given a part of another's.

use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::lock::lock;

/// Threads that walk one root together, and the work that passes between them.
pub(super) struct WorkQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Idle threads minus queued work. Looked at before each directory, so without the lock.
    shortage: AtomicIsize,
}

struct State<T> {
    given: Vec<T>,
    /// Threads that may still have work to give.
    working: usize,
}

impl<T> WorkQueue<T> {
    pub(super) fn new() -> Self {
        let state = State { given: Vec::new(), working: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), shortage: AtomicIsize::new(0) }
    }

    /// Whether a thread waits for work.
    pub(super) fn is_short(&self) -> bool {
        self.shortage.load(Ordering::Relaxed) > 0
    }

    pub(super) fn give(&self, work: T) {
        let mut state = lock(&self.state);
        state.given.push(work);
        self.shortage.fetch_sub(1, Ordering::Relaxed);
        drop(state);
        self.changed.notify_one();
    }

    /// A new thread at the queue; `working` if it comes with work of its own.
    pub(super) fn join(&self, working: bool) -> Member<'_, T> {
        lock(&self.state).working += usize::from(working);
        Member { queue: self, working }
    }
}

/// One thread at a queue. Dropped in a panic, it does not leave the others waiting.
pub(super) struct Member<'a, T> {
    queue: &'a WorkQueue<T>,
    working: bool,
}

impl<T> Member<'_, T> {
    /// Waits for work; `None` when nobody has any that could be given.
    pub(super) fn next(&mut self) -> Option<T> {
        self.rest();
        self.queue.shortage.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.queue.state);
        loop {
            if let Some(work) = state.given.pop() {
                state.working += 1;
                self.working = true;
                return Some(work);
            }
            if state.working == 0 {
                return None;
            }
            state = self.queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn rest(&mut self) {
        if std::mem::take(&mut self.working) {
            let mut state = lock(&self.queue.state);
            state.working -= 1;
            if state.working == 0 {
                self.queue.changed.notify_all();
            }
        }
    }
}

impl<T> Drop for Member<'_, T> {
    fn drop(&mut self) {
        self.rest();
    }
}
