//! What all workers of a run share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::deferral::Deferral;
use crate::analysis::Analysis;
use crate::budget::Budget;
use crate::cancel::CancelToken;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::record::FileResult;

/// What all workers of a run share.
pub(crate) struct RunState<A: Analysis> {
    /// Cloned by each worker when it reads its first file, so that a panic of `clone` is that file's.
    pub(crate) prototype: Arc<Mutex<A>>,
    pub(crate) limits: Limits,
    pub(crate) cancel: CancelToken,
    pub(crate) progress: Progress,
    pub(crate) budget: Arc<Budget>,
    pub(crate) deferral: Option<Arc<Deferral>>,
    pub(crate) outlet: Outlet<A::Output>,
    pub(crate) before_waiting: Option<Box<BeforeWaiting>>,
}

/// Called with the bytes that a worker is about to wait for.
pub(crate) type BeforeWaiting = dyn Fn(u64) + Send + Sync;

impl<A: Analysis> fmt::Debug for RunState<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunState").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Takes a batch of records to the consumer, waiting while that is behind. Without a consumer it drops them.
pub(crate) type Deliver<T> = dyn Fn(Vec<FileResult<T>>) + Send + Sync;

/// Where the records of a run go, until the run is over. Closed by the run itself: a worker that hangs in a read call does
/// not keep the consumer waiting.
pub(crate) struct Outlet<T>(RwLock<Option<Arc<Deliver<T>>>>);

impl<T> Outlet<T> {
    /// An outlet without a consumer yet, or with the one that the whole of a part has.
    pub(crate) fn new(deliver: Option<Arc<Deliver<T>>>) -> Self {
        Self(RwLock::new(deliver))
    }

    pub(crate) fn open(&self, deliver: Arc<Deliver<T>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(deliver);
    }

    pub(crate) fn close(&self) {
        let deliver = self.0.write().unwrap_or_else(PoisonError::into_inner).take();
        // Outside of the lock: it may own whatever its author has put there.
        drop(deliver);
    }

    /// Hands a batch over, waiting while the consumer is behind. Without a consumer it is dropped.
    pub(crate) fn deliver(&self, batch: Vec<FileResult<T>>) {
        // Cloned, so that closing does not wait for a consumer that is behind.
        let deliver = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(deliver) = deliver.filter(|_| !batch.is_empty()) {
            deliver(batch);
        }
    }
}
