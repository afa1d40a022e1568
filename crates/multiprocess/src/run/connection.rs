//! One process in one run: which roots it knows, and how much room it was granted.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use polyread_core::reader::Run;
use polyread_core::reader::custom::{Reservation, Root};
use polyread_core::{Analysis, WorkerId};

use super::work_queue::Task;
use crate::poll::POLL_INTERVAL;
use crate::process::Process;
use crate::protocol::{Answer, Batch, ChannelError, Order, Position, SentFile, SentRoot, SharedMemory};

/// Room that a process is granted beyond the room it asks for, if there is some, so that small contents do not ask one by
/// one.
const SPARE_ROOM: u64 = 1024 * 1024;

/// A process that is ready for a run.
pub(crate) struct Connection<'a, A: Analysis> {
    run: &'a Run<A>,
    process: Process,
    /// Roots that the process knows.
    roots: Vec<Arc<Root>>,
    /// Room that was granted to the process and not used yet. `None` only in a run that was cancelled.
    granted: Option<Reservation>,
    /// Whether it has asked for room since its last records: no sound worker needs to ask twice.
    has_asked: bool,
}

impl<'a, A: Analysis> Connection<'a, A> {
    pub(crate) fn new(run: &'a Run<A>, process: Process) -> Self {
        Self { run, process, roots: Vec::new(), granted: run.reserve(0), has_asked: false }
    }

    /// The worker that records name.
    pub(crate) fn worker(&self) -> WorkerId {
        worker_id(self.process.id())
    }

    /// Sends a batch, with the roots that the process does not know yet.
    pub(crate) fn send_batch<'t>(
        &mut self,
        number: u32,
        tasks: impl Iterator<Item = &'t Task>,
    ) -> Result<(), ChannelError> {
        let mut batch = Batch { number, ..Batch::default() };
        for task in tasks {
            let root = task.file.root().map(|root| {
                let known = self.roots.iter().rposition(|known| Arc::ptr_eq(known, root));
                let number = known.unwrap_or_else(|| {
                    batch.roots.push(SentRoot {
                        path: root.path().into(),
                        identity: root.identity(),
                        links: root.links(),
                        descriptor: root.descriptor().map(|descriptor| descriptor.as_raw_fd()),
                    });
                    self.roots.push(Arc::clone(root));
                    self.roots.len() - 1
                });
                u32::try_from(number).unwrap_or(u32::MAX)
            });
            batch.files.push(SentFile { path: task.file.path().into(), root, part: task.part.clone() });
        }
        self.process.send(&Order::Batch(batch), SharedMemory::default())
    }

    /// Waits for an answer, at most for [`POLL_INTERVAL`]; `None` when that is over.
    pub(crate) fn receive(&mut self) -> Result<Option<(Answer, SharedMemory)>, ChannelError> {
        let received = self.process.receive(POLL_INTERVAL)?;
        if let Some((Answer::Records { .. }, _)) = received {
            self.has_asked = false;
        }
        Ok(received)
    }

    /// Grants room, waiting for it. The room that was granted before is taken back first: the process waits while it holds
    /// none.
    pub(crate) fn grant_room(&mut self, bytes: u64) -> Result<(), ChannelError> {
        self.take_back_room();
        let most = self.run.limits().bytes_held();
        if bytes > most || std::mem::replace(&mut self.has_asked, true) {
            return Err(ChannelError::invalid("it asks for more room than there is, or for none of its files"));
        }
        // Cancelled: the next turn of the supervisor ends the process.
        let Some(mut room) = self.run.reserve(bytes) else { return Ok(()) };
        if let Some(spare) = self.run.try_reserve(SPARE_ROOM.min(most / 8)) {
            room.absorb(spare);
        }
        let granted = room.bytes();
        self.granted = Some(room);
        self.process.send(&Order::Room(granted), SharedMemory::default())
    }

    /// Gives back the room that was granted and not used.
    pub(crate) fn take_back_room(&mut self) {
        if let Some(granted) = &mut self.granted {
            drop(granted.split(granted.bytes()));
        }
    }

    /// The room that a record takes of the room that was granted. Missing room is taken beyond the limit: its content has
    /// been read already, from a file that said it was smaller.
    pub(crate) fn take_room(&mut self, bytes: u64) -> Option<Reservation> {
        self.granted.as_mut().filter(|_| bytes > 0).map(|granted| granted.split(bytes))
    }

    /// Which file the process has begun last, and how many bytes of it have been read.
    pub(crate) fn position(&self) -> (Position, u64) {
        self.process.position()
    }

    /// Whether the process was stopped (SIGSTOP).
    pub(crate) fn is_stopped(&self) -> bool {
        self.process.is_stopped()
    }

    /// Kills the process, and tells how it has ended.
    pub(crate) fn end(self) -> String {
        self.process.end()
    }

    /// The process, which has nothing left to do in the run.
    pub(crate) fn into_process(self) -> Process {
        self.process
    }
}

/// The worker of records that no process has made.
pub(crate) fn this_process() -> WorkerId {
    worker_id(std::process::id())
}

fn worker_id(process: u32) -> WorkerId {
    WorkerId::new("process", u64::from(process))
}
