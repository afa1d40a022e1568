//! Asking a run to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often a worker that waits for something else looks at its token: raising it wakes nobody.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(10);

/// A flag that any thread may raise to stop a run, and that never falls again.
///
/// Clones share the flag. Readers look at it between two files and between two chunks of a file, so a run ends within
/// the time of one read call for each worker.
///
/// ```
/// let token = polyread_core::CancelToken::new();
/// let run = token.child();
/// token.cancel();
/// assert!(run.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Node>);

#[derive(Debug, Default)]
struct Node {
    raised: AtomicBool,
    parent: Option<CancelToken>,
    /// A second one, that was found later.
    also: OnceLock<CancelToken>,
}

impl CancelToken {
    /// A token that nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, but can be cancelled without it: how one run ends alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Node { parent: Some(self.clone()), ..Node::default() }))
    }

    /// From now on this token is cancelled with that one too. Only the first call counts; that one must not descend from
    /// this.
    pub(crate) fn follow(&self, other: &Self) {
        let _ = self.0.also.set(other.clone());
    }

    /// Raises the flag. Safe to call at any time and more than once.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
    }

    /// Whether this token or one that it descends from was cancelled.
    pub fn is_cancelled(&self) -> bool {
        let Node { raised, parent, also } = &*self.0;
        raised.load(Ordering::Acquire)
            || parent.as_ref().is_some_and(Self::is_cancelled)
            || also.get().is_some_and(Self::is_cancelled)
    }
}
