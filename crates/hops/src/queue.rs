//! Batches of records between hops and a consumer that must not block.

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
    receiver: Option<Waker>,
    /// The tasks that wait for room.
    senders: Vec<Waker>,
    has_sender: bool,
    has_receiver: bool,
}

/// A queue of at most `most` batches: its end for threads, its end for tasks, and that of the consumer.
pub(crate) fn queue<T>(most: usize) -> (BatchSender<T>, TaskSender<T>, BatchReceiver<T>) {
    let state =
        State { batches: VecDeque::new(), receiver: None, senders: Vec::new(), has_sender: true, has_receiver: true };
    let queue = Arc::new(Queue { state: Mutex::new(state), taken: Condvar::new(), most });
    (BatchSender(Arc::clone(&queue)), TaskSender(Arc::clone(&queue)), BatchReceiver(queue))
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a batch into the queue, whether there is room or not.
    fn push(mut state: MutexGuard<'_, State<T>>, batch: Vec<T>) {
        state.batches.push_back(batch);
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// The end for threads that may block. Dropping it ends the batches.
pub(crate) struct BatchSender<T>(Arc<Queue<T>>);

impl<T> BatchSender<T> {
    /// Hands a batch over, waiting while the consumer is behind. A run that is cancelled does not wait: no more than the hops in
    /// flight hand batches over then. Without a consumer the batch is dropped.
    pub(crate) fn send(&self, batch: Vec<T>, cancel: &CancelToken) {
        let queue = &*self.0;
        let mut state = queue.lock();
        while state.has_receiver && state.batches.len() >= queue.most && !cancel.is_cancelled() {
            // A time-out, not a plain wait: a raised token does not notify.
            state = queue.taken.wait_timeout(state, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.has_receiver {
            Queue::push(state, batch);
        }
    }
}

impl<T> Drop for BatchSender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_sender = false;
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// The end for tasks, which must not block.
pub(crate) struct TaskSender<T>(Arc<Queue<T>>);

impl<T> TaskSender<T> {
    /// Hands a batch over, waiting while the consumer is behind. It is dropped when there is no consumer any more.
    pub(crate) async fn send(&self, batch: Vec<T>) {
        let mut batch = Some(batch);
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.has_receiver && state.batches.len() >= self.0.most {
                state.senders.push(cx.waker().clone());
                return Poll::Pending;
            }
            if let Some(batch) = batch.take().filter(|_| state.has_receiver) {
                Queue::push(state, batch);
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// The consumer's end.
pub(crate) struct BatchReceiver<T>(Arc<Queue<T>>);

impl<T> BatchReceiver<T> {
    /// The next batch; `None` after the last.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<T>>> {
        let mut state = self.0.lock();
        if let Some(batch) = state.batches.pop_front() {
            let senders = std::mem::take(&mut state.senders);
            drop(state);
            self.0.taken.notify_one();
            senders.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(batch));
        }
        if !state.has_sender {
            return Poll::Ready(None);
        }
        if !state.receiver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.receiver = Some(cx.waker().clone());
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
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        self.0.taken.notify_all();
        senders.into_iter().for_each(Waker::wake);
        drop(unseen);
    }
}
