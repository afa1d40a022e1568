//! Batches of records between threads that may block and a consumer that may not.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use polyread_core::CancelToken;

/// How often a thread that waits for the consumer looks at the run's token.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// A bounded queue of batches.
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Notified when there is room again.
    taken: Condvar,
    most: usize,
}

struct State<T> {
    batches: VecDeque<Vec<T>>,
    /// The task that waits for a batch.
    waker: Option<Waker>,
    has_sender: bool,
    has_receiver: bool,
}

/// A queue of at most `most` batches.
pub(crate) fn queue<T>(most: usize) -> (BatchSender<T>, BatchReceiver<T>) {
    let state = State { batches: VecDeque::new(), waker: None, has_sender: true, has_receiver: true };
    let queue = Arc::new(Queue { state: Mutex::new(state), taken: Condvar::new(), most });
    (BatchSender(Arc::clone(&queue)), BatchReceiver(queue))
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads' end. Dropping it ends the batches.
pub(crate) struct BatchSender<T>(Arc<Queue<T>>);

impl<T> BatchSender<T> {
    /// Hands a batch over, waiting while the consumer is behind. It is dropped when there is no consumer any more, or when the
    /// run is cancelled while the consumer is behind.
    pub(crate) fn send(&self, batch: Vec<T>, cancel: &CancelToken) {
        let queue = &*self.0;
        let mut state = queue.lock();
        while state.has_receiver && state.batches.len() >= queue.most {
            if cancel.is_cancelled() {
                return;
            }
            // A time-out, not a plain wait: a raised token does not notify.
            state = queue.taken.wait_timeout(state, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.has_receiver {
            return;
        }
        state.batches.push_back(batch);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for BatchSender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_sender = false;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The consumer's end.
pub(crate) struct BatchReceiver<T>(Arc<Queue<T>>);

impl<T> BatchReceiver<T> {
    /// The next batch; `None` after the last.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<T>>> {
        let mut state = self.0.lock();
        if let Some(batch) = state.batches.pop_front() {
            drop(state);
            self.0.taken.notify_one();
            return Poll::Ready(Some(batch));
        }
        if !state.has_sender {
            return Poll::Ready(None);
        }
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> Drop for BatchReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_receiver = false;
        // Dropped outside of the lock: dropping an output may run the caller's code.
        let unseen = std::mem::take(&mut state.batches);
        drop(state);
        self.0.taken.notify_all();
        drop(unseen);
    }
}
