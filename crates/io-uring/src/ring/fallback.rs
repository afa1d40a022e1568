//! The files that the rings leave to blocking calls, and the place where each thread waits for work.
//!
//! Every file in the queue carries a sender of the queue. So the thread that takes it can put another one, and can offer a
//! large file to the others; and when no thread has a sender any more, the queue has come to its end.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};
use polyread_core::Analysis;
use polyread_core::reader::{Entry, SharedFile};

/// Work for a thread that has none.
pub(crate) enum Work<A> {
    /// Files that no thread has begun.
    Batch(Vec<Entry>),
    /// A file to be read by blocking calls.
    File(Entry),
    /// A large file that another thread is reading.
    Shared(Arc<SharedFile<A>>),
}

/// One thread's end of the queue.
#[derive(Clone)]
pub(crate) struct FallbackQueue<A> {
    /// `None` while this thread has no file, and there are no more batches.
    sender: Option<Sender<Queued>>,
    files: Receiver<Queued>,
    offer_sender: Sender<Weak<SharedFile<A>>>,
    /// Weak, so that a file is closed when it has been read, even if an offer of it is still in the queue.
    offers: Receiver<Weak<SharedFile<A>>>,
}

struct Queued {
    entry: Entry,
    sender: Sender<Queued>,
}

impl<A: Analysis> FallbackQueue<A> {
    pub(crate) fn new() -> Self {
        let ((sender, files), (offer_sender, offers)) = (unbounded(), unbounded());
        Self { sender: Some(sender), files, offer_sender, offers }
    }

    /// Gives a file to the next thread that has a moment for it.
    ///
    /// # Errors
    ///
    /// The file itself, if this thread has no sender.
    pub(crate) fn put(&self, entry: Entry) -> Result<(), Entry> {
        let Some(sender) = &self.sender else { return Err(entry) };
        sender.send(Queued { entry, sender: sender.clone() }).map_err(|back| back.0.entry)
    }

    /// Whether no file is in the queue at the moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file, if there is one at once.
    pub(crate) fn try_take(&mut self) -> Option<Entry> {
        self.files.try_recv().ok().map(|queued| self.unpack(queued))
    }

    /// Offers a large file to so many other threads. Each takes part if it has nothing else to do before the file is read.
    pub(crate) fn offer(&self, file: &Arc<SharedFile<A>>, others: usize) {
        // Offers of files that have been read are removed, so that the queue does not grow with the number of large files.
        for _ in 0..self.offers.len() {
            let Ok(offer) = self.offers.try_recv() else { break };
            if offer.strong_count() > 0 {
                let _ = self.offer_sender.send(offer);
            }
        }
        for _ in 0..others {
            let _ = self.offer_sender.send(Arc::downgrade(file));
        }
    }

    /// Waits for work; `None` when there will be no more.
    pub(crate) fn wait(&mut self, batches: &Receiver<Vec<Entry>>) -> Option<Work<A>> {
        let no_more = never();
        loop {
            select! {
                recv(if self.sender.is_some() { batches } else { &no_more }) -> batch => match batch {
                    Ok(batch) => return Some(Work::Batch(batch)),
                    // This thread begins no more files. Other threads may still put theirs.
                    Err(_) => self.sender = None,
                },
                recv(self.files) -> queued => return queued.ok().map(|queued| Work::File(self.unpack(queued))),
                recv(self.offers) -> offer => if let Some(file) = offer.ok().and_then(|offer| offer.upgrade()) {
                    return Some(Work::Shared(file));
                },
            }
        }
    }

    fn unpack(&mut self, Queued { entry, sender }: Queued) -> Entry {
        self.sender = Some(sender);
        entry
    }
}
