//! An analysis that writes its progress into shared memory.

use std::sync::Arc;

use polyread_core::{Analysis, Combine, Parts, Rejection};

use crate::protocol::ProgressPage;

/// An analysis that counts the bytes of each chunk on the progress page before it looks at them.
pub(super) struct Tracked<A> {
    pub(super) inner: A,
    page: Arc<ProgressPage>,
}

impl<A> Tracked<A> {
    pub(super) fn new(inner: A, page: Arc<ProgressPage>) -> Self {
        Self { inner, page }
    }
}

impl<A: Clone> Clone for Tracked<A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), page: Arc::clone(&self.page) }
    }
}

impl<A: Analysis> Analysis for Tracked<A> {
    type Output = A::Output;

    fn update(&mut self, chunk: &[u8]) {
        self.page.has_read(chunk.len() as u64);
        self.inner.update(chunk);
    }

    fn finish(self) -> A::Output {
        self.inner.finish()
    }

    fn begin(&mut self, size_hint: u64) {
        self.inner.begin(size_hint);
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    fn retains(&self, size: u64) -> u64 {
        self.inner.retains(size)
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.inner.verdict()
    }

    fn parts() -> Option<Parts<Self>> {
        A::parts().map(|_| Parts::of())
    }
}

/// Used only if the inner analysis can be combined: otherwise [`Analysis::parts`] is `None`.
impl<A: Analysis> Combine for Tracked<A> {
    fn begin_part(&mut self) {
        if let Some(parts) = A::parts() {
            parts.begin(&mut self.inner);
        }
    }

    fn combine(&mut self, later: Self) {
        if let Some(parts) = A::parts() {
            parts.combine(&mut self.inner, later.inner);
        }
    }
}
