//! A worker's link to its parent: orders come in, records and progress go out.

use std::collections::VecDeque;
use std::io;
use std::process::exit;
use std::sync::{Arc, Mutex};

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};

use super::record_buffer::RecordBuffer;
use crate::lock::lock;
use crate::protocol::{Answer, Batch, Hello, Order, Packet, ProgressPage, SharedMemory, VERSION, receive};

/// A worker's link to its parent.
pub(super) struct ParentLink {
    orders: Mutex<Orders>,
    pub(super) records: Arc<RecordBuffer>,
    pub(super) page: Arc<ProgressPage>,
}

struct Orders {
    receiver: IpcReceiver<Packet>,
    /// Batches that arrived while the worker waited for room.
    batches: VecDeque<Batch>,
}

impl ParentLink {
    /// Says hello to the parent, which waits at this socket.
    pub(super) fn connect(socket: &str) -> io::Result<Arc<Self>> {
        let (to_orders, receiver) = ipc::channel()?;
        let (answers, from_answers) = ipc::channel()?;
        let (page, memory) = ProgressPage::new().ok_or_else(|| io::Error::other("no progress page"))?;
        let hello = Hello { version: VERSION, orders: to_orders, answers: from_answers, page: memory };
        IpcSender::connect(socket.to_owned())?.send(hello).map_err(io::Error::other)?;
        let records = RecordBuffer::open(answers)?;
        let orders = Mutex::new(Orders { receiver, batches: VecDeque::new() });
        Ok(Arc::new(Self { orders, records, page: Arc::new(page) }))
    }

    /// The next order, after waiting for it; `None` when the parent is gone.
    pub(super) fn next_order(&self) -> Option<(Order, SharedMemory)> {
        let mut orders = lock(&self.orders);
        if let Some(batch) = orders.batches.pop_front() {
            return Some((Order::Batch(batch), SharedMemory::default()));
        }
        loop {
            match receive(&orders.receiver, None) {
                Ok(None) => {}
                received => return received.ok().flatten(),
            }
        }
    }

    /// Asks the parent for room in the bytes in flight, and waits for it. Records are sent first: they hold the very room
    /// that is waited for.
    pub(super) fn ask_for_room(&self, bytes: u64) -> u64 {
        self.records.flush();
        self.records.send(&Answer::NeedsRoom(bytes), SharedMemory::default());
        let mut orders = lock(&self.orders);
        loop {
            match receive(&orders.receiver, None) {
                Ok(Some((Order::Room(room), _))) => return room,
                Ok(Some((Order::Batch(batch), _))) => orders.batches.push_back(batch),
                Ok(Some((Order::Begin(_), _)) | None) => {}
                // The parent is gone.
                Err(_) => exit(0),
            }
        }
    }
}
