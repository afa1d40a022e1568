//! Files that one reader leaves to another: from which size on, and how many of them may be open.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::cancel::{CANCEL_POLL, CancelToken};
use crate::lock::lock;

/// Which files a job defers. See [`Job::defer_from`](crate::Job::defer_from).
#[derive(Debug)]
pub(crate) struct Deferral {
    /// The size in bytes from which on files are deferred.
    from: u64,
    /// Deferred files that may be open at the same time.
    most: usize,
    open: Mutex<usize>,
    closed: Condvar,
}

impl Deferral {
    pub(crate) fn new(from: u64, most: usize) -> Arc<Self> {
        Arc::new(Self { from, most: most.max(1), open: Mutex::new(0), closed: Condvar::new() })
    }

    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// A permit if one is free at once.
    pub(crate) fn try_permit(self: &Arc<Self>) -> Option<DeferralPermit> {
        let mut open = lock(&self.open);
        (*open < self.most).then(|| {
            *open += 1;
            DeferralPermit(Arc::clone(self))
        })
    }

    /// Waits for a permit; `None` if the run is cancelled meanwhile.
    ///
    /// Waits until half of the permits are free: woken for each, a worker would defer one file and sleep again.
    pub(crate) fn permit(self: &Arc<Self>, cancel: &CancelToken) -> Option<DeferralPermit> {
        let mut open = lock(&self.open);
        while *open > self.most / 2 {
            if cancel.is_cancelled() {
                return None;
            }
            // A time-out, not a plain wait: a raised token does not notify.
            open = self.closed.wait_timeout(open, CANCEL_POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        *open += 1;
        Some(DeferralPermit(Arc::clone(self)))
    }
}

/// Permission to have a deferred file open; dropping gives it back.
#[derive(Debug)]
pub(crate) struct DeferralPermit(Arc<Deferral>);

impl Drop for DeferralPermit {
    fn drop(&mut self) {
        let mut open = lock(&self.0.open);
        *open -= 1;
        if *open <= self.0.most / 2 {
            self.0.closed.notify_one();
        }
    }
}
