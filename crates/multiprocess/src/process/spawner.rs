//! The thread that starts all processes of a pool, and looks for processes that stop in the middle of a message.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use polyread_core::reader::join_in_time;

use super::program::Program;
use super::receive_watch::ReceiveWatch;
use super::starting_worker::StartingWorker;
use super::worker_process::Process;
use crate::lock::lock;

/// How often the thread looks for unfinished messages.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// A thread that starts processes and lives longer than any of them. A child that is to die with its parent dies with the
/// *thread* that started it: so one thread starts all.
#[derive(Debug)]
pub(crate) struct Spawner {
    requests: Option<Sender<Request>>,
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

/// Asks for one process, which is sent back.
type Request = Sender<io::Result<StartingWorker>>;

type Watched = Mutex<Vec<Weak<ReceiveWatch>>>;

impl Spawner {
    pub(crate) fn start(program: Program) -> io::Result<Self> {
        let watched = Arc::<Watched>::default();
        let (requests, received) = bounded(0);
        let watching = Arc::clone(&watched);
        let thread = Builder::new().name("polyread-spawner".to_owned());
        let thread = thread.spawn(move || serve(&received, &program, &watching))?;
        Ok(Self { requests: Some(requests), watched, thread: Some(thread) })
    }

    /// Starts a process.
    ///
    /// # Errors
    ///
    /// Why it cannot be started, in words.
    pub(crate) fn spawn(&self) -> Result<StartingWorker, String> {
        let (request, started) = bounded(1);
        let is_asked = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        let started = started.recv().ok().filter(|_| is_asked).ok_or("the pool's thread has ended")?;
        started.map_err(|error| format!("a process cannot be started: {error}"))
    }

    /// Kills the process if it ever stops in the middle of a message.
    pub(crate) fn watch(&self, process: &Process) {
        lock(&self.watched).push(process.watch());
    }
}

fn serve(requests: &Receiver<Request>, program: &Program, watched: &Watched) {
    loop {
        match requests.recv_timeout(WATCH_INTERVAL) {
            Ok(request) => {
                // The channel panics if it cannot make its socket. This thread must not end then: its children would.
                let started = catch_unwind(AssertUnwindSafe(|| program.spawn())).unwrap_or_else(|_| {
                    let directory = std::env::temp_dir();
                    let reason = format!("is there a directory for temporary files at {}?", directory.display());
                    Err(io::Error::other(reason))
                });
                drop(request.send(started));
            }
            Err(RecvTimeoutError::Timeout) => lock(watched).retain(|process| {
                let process = process.upgrade();
                process.inspect(|process| process.end_if_overdue()).is_some()
            }),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.thread.take().map(join_in_time);
    }
}
