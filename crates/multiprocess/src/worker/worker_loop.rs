//! The loop of a worker process: it obeys the orders of its parent.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use polyread_core::Limits;

use super::parent_link::ParentLink;
use super::roots::Roots;
use super::session::{OpenSession, Session};
use crate::protocol::{Answer, Batch, Begin, Order, Position, SharedMemory};

/// Bytes after which a worker gives the rest of a batch back, so that other workers can have it.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

/// The loop of a worker process.
pub(super) struct WorkerLoop {
    analyses: BTreeMap<&'static str, OpenSession>,
    parent: Arc<ParentLink>,
    roots: Roots,
    /// Whether it has taken part in a run.
    has_served: bool,
}

impl WorkerLoop {
    /// Says hello to the parent, which waits at this socket.
    pub(super) fn connect(socket: &str, analyses: BTreeMap<&'static str, OpenSession>) -> io::Result<Self> {
        let parent = ParentLink::connect(socket)?;
        Ok(Self { analyses, parent, roots: Roots::default(), has_served: false })
    }

    /// Obeys orders until the parent is gone. Returns the exit code.
    pub(super) fn serve(&mut self) -> i32 {
        let mut session: Option<Box<dyn Session>> = None;
        while let Some((order, shared)) = self.parent.next_order() {
            match (order, &mut session) {
                (Order::Begin(begin), session) => {
                    let answer = match self.begin(&begin, &shared) {
                        Ok(begun) => {
                            *session = Some(begun);
                            Answer::Ready
                        }
                        Err(reason) => Answer::Refused(reason),
                    };
                    self.parent.records.send(&answer, SharedMemory::default());
                }
                (Order::Batch(batch), Some(session)) => self.read(batch, &mut **session),
                (Order::Batch(_), None) => return 1,
                (Order::Room(_), _) => {}
            }
        }
        0
    }

    fn begin(&mut self, begin: &Begin, shared: &SharedMemory) -> Result<Box<dyn Session>, String> {
        let open = self.analyses.get(begin.analysis.as_str()).ok_or_else(|| {
            format!(
                "the worker does not know the analysis {}: register it with polyread_multiprocess::Worker::with",
                begin.analysis
            )
        })?;
        // The parent's directory, even if it was renamed or deleted; or else by its path.
        let here = std::env::set_current_dir(format!("/proc/{}/cwd", begin.parent));
        let by_path =
            || begin.directory.clone().is_some_and(|path| std::env::set_current_dir(PathBuf::from(path)).is_ok());
        // A process that has just been started is in the directory of its parent.
        if here.is_err() && !by_path() && self.has_served {
            return Err("a worker cannot follow its program into another directory".to_owned());
        }
        self.has_served = true;
        self.roots = Roots::of_parent(begin.parent);
        self.parent.records.begin_run(begin.pieces);
        // The position of an earlier run must not be taken for one of this run.
        self.parent.page.begin(Position::default());
        let limits = Limits::default().workers(1).bytes_in_flight(begin.bytes_in_flight);
        let limits = limits.max_file_size(begin.max_file_size).timeout(begin.timeout);
        let prototype = shared.bytes(&begin.prototype).map_err(|_| "the analysis did not come across".to_owned())?;
        open(prototype, limits, begin.divides, Arc::clone(&self.parent))
    }

    /// Reads a batch, or as much of it as is enough for one worker.
    fn read(&mut self, batch: Batch, session: &mut dyn Session) {
        let Batch { number, roots, files } = batch;
        self.roots.add(roots);
        self.parent.records.begin_batch(number);
        let (mut taken, mut bytes) = (0, 0);
        for file in files {
            if bytes >= BATCH_BYTES {
                break;
            }
            let place = taken;
            taken += 1;
            self.parent.page.begin(Position { batch: number, begun: taken });
            let size = file.part.as_ref().map(|part| part.version.size);
            bytes += match (self.roots.entry(file.path, file.root, size), file.part) {
                (Ok(file), Some(part)) => session.read_part(place, file, &part),
                (found, _) => session.read(place, found),
            };
        }
        session.end_batch();
        self.parent.records.flush();
        self.parent.records.send(&Answer::Done { batch: number, taken }, SharedMemory::default());
    }
}
