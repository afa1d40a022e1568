//! The records of a worker that wait to be sent together.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::exit;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{Builder, Thread};
use std::time::Duration;

use ipc_channel::ipc::IpcSender;
use polyread_core::{ErrorKind, Operation, ReadError};

use crate::lock::lock;
use crate::protocol::{
    Answer, MOST_BYTES, MOST_SHARED, Outcome, Packet, Payload, SHARED_FROM, SentError, SentRecord, SharedMemory, send,
};

/// The longest time that a record waits for others.
const FLUSH_AFTER: Duration = Duration::from_millis(5);

/// The records of a worker that wait to be sent together. A thread sends them after [`FLUSH_AFTER`], however long the file
/// behind them takes.
pub(super) struct RecordBuffer {
    answers: IpcSender<Packet>,
    waiting: Mutex<Waiting>,
    flusher: OnceLock<Thread>,
}

#[derive(Default)]
struct Waiting {
    batch: u32,
    records: Vec<SentRecord>,
    /// The size of the records, about.
    bytes: usize,
    shared: SharedMemory,
    /// The most pieces of shared memory in one message.
    most_pieces: usize,
}

/// How the reading of a file, or of a part of one, ended.
pub(super) struct Finished<T> {
    pub(super) outcome: Result<T, ReadError>,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    /// The room in the bytes in flight that the record takes with it.
    pub(super) room: u64,
}

impl<T> Finished<T> {
    /// Nothing was read.
    pub(super) fn unread(outcome: T) -> Self {
        Self { outcome: Ok(outcome), bytes: 0, elapsed: Duration::ZERO, room: 0 }
    }
}

impl RecordBuffer {
    pub(super) fn open(answers: IpcSender<Packet>) -> io::Result<Arc<Self>> {
        let this = Arc::new(Self { answers, waiting: Mutex::default(), flusher: OnceLock::new() });
        let shared = Arc::clone(&this);
        let flusher = Builder::new().name("polyread-flush".to_owned()).spawn(move || {
            let flush = || loop {
                // Until there is a first record; and then for as long as it may wait.
                std::thread::park();
                std::thread::sleep(FLUSH_AFTER);
                shared.flush();
            };
            // The channel panics if descriptors or memory run out, and records are lost with it. The parent has the files
            // of a lost worker read again.
            if catch_unwind(AssertUnwindSafe(flush)).is_err() {
                exit(101);
            }
        })?;
        let _ = this.flusher.set(flusher.thread().clone());
        Ok(this)
    }

    /// Begins a run in which a message may have so many pieces of shared memory.
    pub(super) fn begin_run(&self, pieces: u32) {
        let most_pieces = usize::try_from(pieces).unwrap_or(1).clamp(1, MOST_SHARED);
        *lock(&self.waiting) = Waiting { most_pieces, ..Waiting::default() };
    }

    /// Begins a batch: the records that follow belong to it.
    pub(super) fn begin_batch(&self, batch: u32) {
        lock(&self.waiting).batch = batch;
    }

    /// Adds the record of a file. `pack` encodes its outcome.
    pub(super) fn put<T>(
        &self,
        place: u32,
        finished: Finished<T>,
        pack: impl FnOnce(&mut SharedMemory, T) -> Result<Outcome, (ErrorKind, String)>,
    ) {
        /// Bytes of a record beside its payload.
        const OVERHEAD: usize = 64;
        let mut waiting = lock(&self.waiting);
        let Finished { outcome, bytes, elapsed, mut room } = finished;
        let outcome = outcome.and_then(|output| {
            pack(&mut waiting.shared, output).map_err(|(kind, detail)| {
                room = 0;
                // The parent knows the path.
                let error = ReadError::new(kind, Operation::Analyse, Path::new(""));
                error.with_bytes_read(bytes).with_detail(detail)
            })
        });
        let outcome = outcome.map_err(|error| SentError::from(&error));
        waiting.bytes += OVERHEAD
            + match &outcome {
                Ok(Outcome::Read(Payload::Inline(bytes))) => bytes.0.len(),
                Ok(Outcome::Read(Payload::Shared(_)) | Outcome::Large(_)) => 0,
                Err(_) => 1024,
            };
        waiting.records.push(SentRecord { place, outcome, bytes, elapsed, room });
        // The next record may be an output just too small to be shared.
        let is_full = (waiting.bytes + SHARED_FROM + OVERHEAD) as u64 > MOST_BYTES / 2;
        if is_full || waiting.shared.len() >= waiting.most_pieces {
            self.send_waiting(&mut waiting);
        } else if waiting.records.len() == 1
            && let Some(flusher) = self.flusher.get()
        {
            flusher.unpark();
        }
    }

    /// Sends the records that wait.
    pub(super) fn flush(&self) {
        self.send_waiting(&mut lock(&self.waiting));
    }

    /// Called with the lock held, so that messages leave in the order of their records.
    fn send_waiting(&self, waiting: &mut Waiting) {
        let Waiting { batch, records, bytes, shared, .. } = waiting;
        if records.is_empty() {
            return;
        }
        *bytes = 0;
        let answer = Answer::Records { batch: *batch, records: std::mem::take(records) };
        self.send(&answer, std::mem::take(shared));
    }

    /// Sends an answer. The process ends if the parent is gone.
    pub(super) fn send(&self, answer: &Answer, shared: SharedMemory) {
        if send(&self.answers, answer, shared).is_err() {
            exit(0);
        }
    }
}
