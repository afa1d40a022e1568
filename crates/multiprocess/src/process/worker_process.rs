//! One worker process that has said hello.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ipc_channel::ipc::{IpcReceiver, IpcSender};

use super::child::ReapedChild;
use super::receive_watch::ReceiveWatch;
use crate::protocol::{Answer, ChannelError, Order, Packet, Position, ProgressPage, SharedMemory, receive, send};

/// A worker process with its channels. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    orders: IpcSender<Packet>,
    answers: IpcReceiver<Packet>,
    page: ProgressPage,
    watch: Arc<ReceiveWatch>,
    child: ReapedChild,
}

impl Process {
    pub(super) fn new(
        child: ReapedChild,
        orders: IpcSender<Packet>,
        answers: IpcReceiver<Packet>,
        page: ProgressPage,
    ) -> Self {
        let watch = Arc::new(ReceiveWatch::new(child.id()));
        Self { orders, answers, page, watch, child }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn watch(&self) -> Weak<ReceiveWatch> {
        Arc::downgrade(&self.watch)
    }

    pub(crate) fn send(&self, order: &Order, shared: SharedMemory) -> Result<(), ChannelError> {
        send(&self.orders, order, shared)
    }

    /// Waits for an answer, at most for `timeout`; `None` when that is over.
    pub(crate) fn receive(&self, timeout: Duration) -> Result<Option<(Answer, SharedMemory)>, ChannelError> {
        self.watch.during(timeout, || receive(&self.answers, Some(timeout)))
    }

    /// Which file it has begun last, and how many bytes of it have been read.
    pub(crate) fn position(&self) -> (Position, u64) {
        self.page.position()
    }

    /// Whether it was stopped (SIGSTOP): then it is not the file that takes so long.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 't']))
    }

    /// Kills it, and tells how it has ended: by that, or before by itself.
    pub(crate) fn end(mut self) -> String {
        // A process closes its channels a moment before it is dead.
        std::thread::sleep(Duration::from_millis(1));
        let ended = self.child.try_wait().ok().flatten();
        let ended = ended.or_else(|| self.child.end());
        ended.map_or_else(|| "hangs in the kernel".to_owned(), |status| status.to_string())
    }
}
