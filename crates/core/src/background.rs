//! A thread that produces, and the consumer's end of it: bounded, and gone when it is dropped.

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::cancel::CancelToken;

/// How long the end of a run waits for its threads. A thread that hangs in the kernel longer than this ends by itself, later.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Items that a thread of their own produces in batches, ahead of the consumer by no more than a bounded number.
///
/// Dropping it cancels the producer and waits for its end, a second at the most. A panic of the producer passes on to
/// the consumer when the items before it have been taken.
#[derive(Debug)]
pub(crate) struct Background<T> {
    ready: std::vec::IntoIter<T>,
    batches: Receiver<Vec<T>>,
    cancel: CancelToken,
    thread: Option<JoinHandle<()>>,
}

/// The producer's end: where batches go. Clones lead to the same consumer.
#[derive(Debug)]
pub(crate) struct Outlet<T>(Sender<Vec<T>>);

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Outlet<T> {
    /// Hands a batch over, waiting while the consumer is behind. Returns whether there still is a consumer; without one
    /// the batch is dropped. An empty batch is nothing to send.
    pub(crate) fn send(&self, batch: Vec<T>) -> bool {
        batch.is_empty() || self.0.send(batch).is_ok()
    }

    /// Whether the consumer has taken all there was: it waits for more, or is about to.
    pub(crate) fn is_drained(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Background<T> {
    /// Starts `produce` on a thread of this name. All of what it started itself must end before it drops the last clone
    /// of its outlet: the consumer takes that for the end of everything.
    pub(crate) fn spawn(
        name: &str,
        batches_ahead: usize,
        cancel: CancelToken,
        produce: impl FnOnce(Outlet<T>) + Send + 'static,
    ) -> io::Result<Self>
    where
        T: Send + 'static,
    {
        let (sender, batches) = bounded(batches_ahead);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || produce(Outlet(sender)))?;
        Ok(Self { ready: Vec::new().into_iter(), batches, cancel, thread: Some(thread) })
    }

    /// The next item, if it is there without waiting.
    pub(crate) fn next_ready(&mut self) -> Option<T> {
        self.ready.next().or_else(|| {
            self.ready = self.batches.try_recv().ok()?.into_iter();
            self.ready.next()
        })
    }

    /// The token that the producer looks at.
    pub(crate) fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// Cancels the producer and passes what it still delivers to `each`, until it has ended or its time is up.
    pub(crate) fn wind_up(&mut self, mut each: impl FnMut(T)) {
        self.cancel.cancel();
        self.ready.by_ref().for_each(&mut each);
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        loop {
            match self.batches.recv_deadline(deadline) {
                Ok(batch) => batch.into_iter().for_each(&mut each),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // It has had its time: dropping does not wait once more.
                    self.thread = None;
                    return;
                }
            }
        }
    }
}

impl<T> Iterator for Background<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.ready.next() {
                return Some(item);
            }
            let Ok(batch) = self.batches.recv() else {
                let ended = self.thread.take().map(JoinHandle::join);
                if let Some(Err(panic)) = ended {
                    std::panic::resume_unwind(panic);
                }
                return None;
            };
            self.ready = batch.into_iter();
        }
    }
}

impl<T> Drop for Background<T> {
    fn drop(&mut self) {
        // A thread that waits to send is let through, and its next look at the token ends it.
        self.wind_up(drop);
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, would have been the consumer's to see; the consumer has left.
            let _ = join_in_time(thread);
        }
    }
}

/// Joins a thread that is about to end. After [`SHUTDOWN_TIMEOUT`] a thread that hangs is left to end by itself: `None`.
pub fn join_in_time(thread: JoinHandle<()>) -> Option<std::thread::Result<()>> {
    const PAUSE: Duration = Duration::from_micros(50);
    let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
    thread.is_finished().then(|| thread.join())
}
