//! A worker's way to its parent.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use polyread_core::{ErrorKind, FileResult, Operation, ReadError};

use crate::pool::lock;
use crate::protocol::{
    self, Answer, Batch, MOST_BYTES, MOST_SHARED, Order, Outcome, Packet, Payload, SentError, SentRecord, Shared,
};

/// Records wait in the worker for others to travel with, but no longer than this.
const FLUSH_AFTER: Duration = Duration::from_millis(5);

/// Where records wait for others to travel with. A thread of its own sees that they do not wait longer than
/// [`FLUSH_AFTER`], whatever the file behind them takes.
pub(super) struct Outbox {
    answers: IpcSender<Packet>,
    load: Mutex<Load>,
    flusher: OnceLock<Thread>,
}

#[derive(Default)]
struct Load {
    batch: u32,
    records: Vec<SentRecord>,
    /// Of what is in the records, about.
    bytes: usize,
    shared: Shared,
    pieces: usize,
}

impl Outbox {
    pub(super) fn open(answers: IpcSender<Packet>) -> std::io::Result<Arc<Self>> {
        let this = Arc::new(Self { answers, load: Mutex::default(), flusher: OnceLock::new() });
        let shared = Arc::clone(&this);
        let flusher = std::thread::Builder::new().name("polyread-flush".to_owned()).spawn(move || {
            let flush = || loop {
                // Until there is something to flush; and then for as long as that may wait.
                std::thread::park();
                std::thread::sleep(FLUSH_AFTER);
                shared.flush();
            };
            // The channel panics where descriptors or memory run out, and records are lost with it: those of a worker that
            // is lost are read again.
            if catch_unwind(AssertUnwindSafe(flush)).is_err() {
                exit(101);
            }
        })?;
        let _ = this.flusher.set(flusher.thread().clone());
        Ok(this)
    }

    /// A run begins, in which so many pieces of shared memory may travel together.
    pub(super) fn start(&self, pieces: u32) {
        *lock(&self.load) =
            Load { pieces: usize::try_from(pieces).unwrap_or(1).clamp(1, MOST_SHARED), ..Load::default() };
    }

    pub(super) fn begin(&self, batch: u32) {
        lock(&self.load).batch = batch;
    }

    /// Puts the record of a file in, and tells how many bytes were read for it.
    pub(super) fn put<T>(
        &self,
        place: u32,
        mut record: FileResult<T>,
        pack: impl FnOnce(&mut Shared, T) -> Result<Outcome, (ErrorKind, String)>,
    ) -> u64 {
        /// What a record takes beside its payload.
        const OVERHEAD: usize = 64;
        let mut load = lock(&self.load);
        let (mut room, bytes) = (record.hand_over_room(), record.bytes);
        let outcome = record.outcome.and_then(|output| {
            pack(&mut load.shared, output).map_err(|(kind, detail)| {
                room = 0;
                ReadError::new(kind, Operation::Analyse, &record.path).with_bytes_read(bytes).with_detail(detail)
            })
        });
        let outcome = outcome.map_err(|error| SentError::from(&error));
        load.bytes += OVERHEAD
            + match &outcome {
                Ok(Outcome::Read(Payload::Inline(bytes))) => bytes.0.len(),
                Ok(Outcome::Read(Payload::Shared(_)) | Outcome::Large(_)) => 0,
                Err(_) => 1024,
            };
        load.records.push(SentRecord { place, outcome, bytes, elapsed: record.elapsed, room });
        // The largest that can still come is an output just too small to be shared.
        let is_full = (load.bytes + protocol::SHARED_FROM + OVERHEAD) as u64 > MOST_BYTES / 2;
        if is_full || load.shared.len() >= load.pieces {
            self.send_off(&mut load);
        } else if load.records.len() == 1
            && let Some(flusher) = self.flusher.get()
        {
            flusher.unpark();
        }
        bytes
    }

    pub(super) fn flush(&self) {
        self.send_off(&mut lock(&self.load));
    }

    /// Under the lock, so that messages leave in the order of their records.
    fn send_off(&self, load: &mut Load) {
        let Load { batch, records, bytes, shared, .. } = load;
        if records.is_empty() {
            return;
        }
        *bytes = 0;
        let answer = Answer::Records { batch: *batch, records: std::mem::take(records) };
        self.send(&answer, std::mem::take(shared));
    }

    pub(super) fn send(&self, answer: &Answer, shared: Shared) {
        if protocol::send(&self.answers, answer, shared).is_err() {
            // Nobody listens any more.
            exit(0);
        }
    }

    /// Asks the parent for room and waits for it. The records go first: they hold the very room that is waited for.
    pub(super) fn ask_for(&self, room: u64, orders: &IpcReceiver<Packet>, waiting: &mut VecDeque<Batch>) -> u64 {
        self.flush();
        self.send(&Answer::NeedsRoom(room), Shared::default());
        loop {
            match protocol::receive(orders, None) {
                Ok(Some((Order::Room(room), _))) => return room,
                Ok(Some((Order::Batch(batch), _))) => waiting.push_back(batch),
                Ok(Some((Order::Begin(_), _)) | None) => {}
                Err(_) => exit(0),
            }
        }
    }
}
