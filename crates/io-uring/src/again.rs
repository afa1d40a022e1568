//! What the rings leave to the scanners, and where each thread waits for it: files that are not for a lane, and large ones
//! that several threads read together.
//!
//! A file in the queue brings a way into the queue along. So whoever has a file at hand can pass it on, and ask for help with
//! it; and when no thread has a way in any more, there is nothing left to wait for.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};
use polyread_core::{Analysis, Division, Entry};

/// What a thread that has nothing to do is given.
pub(crate) enum Next<A> {
    /// Files that nobody has begun.
    Batch(Vec<Entry>),
    /// One for the scanner.
    File(Entry),
    /// A large one that another thread is reading.
    Part(Arc<Division<A>>),
}

/// A thread's end of the queue that all of them share.
#[derive(Clone)]
pub(crate) struct Again<A> {
    /// `None` while this thread has neither a file nor a batch to expect one from.
    way_in: Option<Sender<Passed>>,
    files: Receiver<Passed>,
    /// Weak, so that a file is closed when it has been read, and not when the last thread has found that out.
    to_offers: Sender<Weak<Division<A>>>,
    offers: Receiver<Weak<Division<A>>>,
}

struct Passed {
    entry: Entry,
    way_in: Sender<Passed>,
}

impl<A: Analysis> Again<A> {
    pub(crate) fn new() -> Self {
        let ((way_in, files), (to_offers, offers)) = (unbounded(), unbounded());
        Self { way_in: Some(way_in), files, to_offers, offers }
    }

    /// Gives a file to whichever thread has a moment for it.
    ///
    /// # Errors
    ///
    /// The file itself: there is no way in.
    pub(crate) fn put(&self, entry: Entry) -> Result<(), Entry> {
        let Some(way_in) = &self.way_in else { return Err(entry) };
        way_in.send(Passed { entry, way_in: way_in.clone() }).map_err(|back| back.0.entry)
    }

    /// Whether there is no file at the moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file, if there is one at once.
    pub(crate) fn try_take(&mut self) -> Option<Entry> {
        self.files.try_recv().ok().map(|passed| self.unpack(passed))
    }

    /// Lets so many other threads know of a large file. Those who come by in time take part.
    pub(crate) fn offer(&self, division: &Arc<Division<A>>, others: usize) {
        // Of offers that nobody has come for there are never more than of files that are being read.
        for _ in 0..self.offers.len() {
            let Ok(offer) = self.offers.try_recv() else { break };
            if offer.strong_count() > 0 {
                let _ = self.to_offers.send(offer);
            }
        }
        for _ in 0..others {
            let _ = self.to_offers.send(Arc::downgrade(division));
        }
    }

    /// Waits for something to do; `None` when there will be nothing more.
    pub(crate) fn wait(&mut self, batches: &Receiver<Vec<Entry>>) -> Option<Next<A>> {
        let no_more = never();
        loop {
            select! {
                recv(if self.way_in.is_some() { batches } else { &no_more }) -> batch => match batch {
                    Ok(batch) => return Some(Next::Batch(batch)),
                    // Nothing is begun here any more; what others have begun may still come by.
                    Err(_) => self.way_in = None,
                },
                recv(self.files) -> passed => return passed.ok().map(|passed| Next::File(self.unpack(passed))),
                recv(self.offers) -> offer => if let Some(division) = offer.ok().and_then(|offer| offer.upgrade()) {
                    return Some(Next::Part(division));
                },
            }
        }
    }

    fn unpack(&mut self, Passed { entry, way_in }: Passed) -> Entry {
        self.way_in = Some(way_in);
        entry
    }
}
