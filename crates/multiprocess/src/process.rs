//! One worker process, as its parent sees it: started, spoken to, killed and reaped.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender};
use polyread_core::FAREWELL;
use rustix::process::{Pid, Signal, kill_process};

use crate::board::{Board, Position};
use crate::protocol::{self, Answer, Broken, Hello, Order, Packet, Shared, VERSION};

/// Where a worker finds its parent: the name of the socket to say hello at.
pub(crate) const SOCKET: &str = "POLYREAD_WORKER_SOCKET";
/// Whose child a worker is: should that have died before the worker could ask to die with it.
pub(crate) const PARENT: &str = "POLYREAD_WORKER_PARENT";

/// How long processes may take until they have said hello and are ready. A program that never registers itself as a worker
/// would not ever.
pub(crate) const START: Duration = Duration::from_secs(10);

/// How long the receiving of a message may take that has begun to come. Messages come in one piece; a worker that sends
/// half a one is broken.
const MESSAGE: Duration = Duration::from_secs(5);

/// Which program is a worker, and how it is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// `None`: this very one.
    pub(crate) path: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
}

/// A process that has been started and has not yet said hello.
pub(crate) struct Newborn {
    child: Reaped,
    server: IpcOneShotServer<Hello>,
    name: String,
}

impl Program {
    /// Starts a worker. It is killed when the thread that calls this ends: the kernel's rule for children that want to die
    /// with their parent.
    pub(crate) fn spawn(&self) -> io::Result<Newborn> {
        // By this name it is the running program even if its file has been replaced.
        let this = || if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        let path = self.path.clone().map_or_else(this, Ok)?;
        let (server, name) = IpcOneShotServer::new()?;
        let mut command = Command::new(&path);
        command.args(&self.arguments).env(SOCKET, &name).env(PARENT, std::process::id().to_string());
        // Standard output is the parent's: what a program prints before it knows that it is a worker must not mix with it.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // Signals of the terminal are the parent's too, who ends its workers itself.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Newborn { child: Reaped(child), server, name })
    }
}

impl Newborn {
    /// Waits for its hello, until the deadline and as long as it is wanted.
    ///
    /// # Errors
    ///
    /// Why there was none, in words.
    pub(crate) fn into_process(self, deadline: Instant, is_wanted: &dyn Fn() -> bool) -> Result<Process, String> {
        /// The time that a run may end later because of a process that it did not need.
        const PAUSE: Duration = Duration::from_millis(1);

        let Self { mut child, server, name } = self;
        let (said, hears) = crossbeam_channel::bounded(1);
        let listener = std::thread::Builder::new().name("polyread-hello".to_owned()).spawn(move || {
            // It panics over some kinds of nonsense: then nothing is sent, and the sender is gone.
            let _ = said.send(server.accept());
        });
        let listener = listener.map_err(|error| error.to_string())?;
        let hello = loop {
            match hears.recv_timeout(PAUSE) {
                Ok(hello) => break hello.map_err(|error| format!("its hello cannot be understood: {error}")),
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    break Err("its hello cannot be understood".to_owned());
                }
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
            }
            let silent =
                "without having registered as a worker: is polyread_multiprocess::Worker run early in its main?";
            if let Ok(Some(status)) = child.0.try_wait() {
                break Err(format!("it ended ({status}) {silent}"));
            }
            if !is_wanted() {
                break Err("it is not wanted any more".to_owned());
            }
            if Instant::now() > deadline {
                break Err(format!("{START:?} went by {silent}"));
            }
        };
        if hello.is_err() {
            // Nobody will knock any more: the listener is let go by a knock of our own.
            child.end();
        }
        if hello.is_ok() || knock(&name).is_ok() {
            let _ = listener.join();
        }
        let (_, Hello { version, orders, answers, board }) = hello?;
        if version != VERSION {
            return Err(format!("it speaks version {version} of the protocol, this program {VERSION}"));
        }
        let board = Board::of(board).ok_or_else(|| "it sent no board".to_owned())?;
        let receiving = Arc::new(Receiving { id: child.0.id(), until: AtomicU64::new(0), overdue: AtomicU64::new(0) });
        Ok(Process { orders, answers, board, receiving, child })
    }
}

/// Connects to a socket and hangs up. Not by the channel's own means: those leave a descriptor behind where nobody listens.
fn knock(name: &str) -> rustix::io::Result<()> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(name)?)
}

/// A worker process that can be spoken to. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    orders: IpcSender<Packet>,
    answers: IpcReceiver<Packet>,
    board: Board,
    receiving: Arc<Receiving>,
    child: Reaped,
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// What a watchdog keeps an eye on.
    pub(crate) fn receiving(&self) -> Arc<Receiving> {
        Arc::clone(&self.receiving)
    }

    pub(crate) fn send(&self, order: &Order, shared: Shared) -> Result<(), Broken> {
        protocol::send(&self.orders, order, shared)
    }

    pub(crate) fn receive(&self, patience: Duration) -> Result<Option<(Answer, Shared)>, Broken> {
        self.receiving.expect(patience);
        let received = protocol::receive(&self.answers, Some(patience));
        self.receiving.until.store(0, Ordering::Relaxed);
        received
    }

    /// Which file it is at, and how many bytes of it have been read.
    pub(crate) fn position(&self) -> (Position, u64) {
        self.board.position()
    }

    /// Whether somebody has stopped it (SIGSTOP): then it is not the file that takes so long.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['T', 't']))
    }

    /// Kills it, and tells how it has ended: by that, or before by itself.
    pub(crate) fn end(mut self) -> String {
        // It closes its channels in the moment before it is dead.
        std::thread::sleep(Duration::from_millis(1));
        let ended = self.child.0.try_wait().ok().flatten();
        let ended = ended.or_else(|| self.child.end());
        ended.map_or_else(|| "hangs in the kernel".to_owned(), |status| status.to_string())
    }
}

/// Since when a message is being received from a process, to be looked at from another thread.
#[derive(Debug)]
pub(crate) struct Receiving {
    id: u32,
    /// On the clock of [`now`]; 0 while nothing is received.
    until: AtomicU64,
    /// What `until` was when it was found to be over.
    overdue: AtomicU64,
}

impl Receiving {
    fn expect(&self, patience: Duration) {
        self.until.store(now() + millis(patience + MESSAGE), Ordering::Relaxed);
    }

    /// Kills the process if it has sent half a message and nothing since: its parent's thread would wait for the other half
    /// for ever. That thread has not reaped it, so that the id is still the process's own.
    pub(crate) fn end_if_overdue(&self) {
        let until = self.until.load(Ordering::Relaxed);
        // Found so twice: after this very program had been stopped for a while, once means nothing.
        if until != 0 && now() > until && self.overdue.swap(until, Ordering::Relaxed) == until {
            kill(self.id);
        }
    }
}

/// Milliseconds of the monotonic clock since this was first asked, and one.
fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    millis(START.get_or_init(Instant::now).elapsed()) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn kill(id: u32) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A child that leaves no zombie behind.
#[derive(Debug)]
struct Reaped(Child);

impl Reaped {
    /// Kills it and waits until it has ended, but not for ever: one that is inside of an uninterruptible call dies when
    /// that returns.
    fn end(&mut self) -> Option<ExitStatus> {
        let _ = self.0.kill();
        let deadline = Instant::now() + FAREWELL;
        let mut pause = Duration::from_micros(50);
        while Instant::now() < deadline {
            match self.0.try_wait() {
                Ok(None) => std::thread::sleep(pause),
                Ok(ended) => return ended,
                Err(_) => return None,
            }
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        if self.end().is_some() {
            return;
        }
        // A thread of its own waits for it instead, for as long as it takes.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let _ = std::thread::Builder::new().name("polyread-reaper".to_owned()).spawn(move || {
            let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
        });
    }
}
