//! Asking a run to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
}

impl CancelToken {
    /// A token that nobody has raised yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is cancelled with this one, but can be cancelled without it: how one run ends alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Node { raised: AtomicBool::new(false), parent: Some(self.clone()) }))
    }

    /// Raises the flag. Safe to call at any time and more than once.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
    }

    /// Whether this token or one that it descends from was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire) || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }
}
