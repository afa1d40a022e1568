//! A process between its start and its hello.

use std::io;
use std::thread::Builder;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use ipc_channel::ipc::IpcOneShotServer;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::child::ReapedChild;
use super::worker_process::Process;
use crate::protocol::{Hello, ProgressPage, VERSION};

/// The longest time from the start of a process until it is ready for a run. A program that never calls `Worker::run` would
/// never be.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the wait for a hello looks at the process. A run may end this much later because of a process that it did not
/// need.
const HELLO_POLL: Duration = Duration::from_millis(1);

/// A process that has been started and has not said hello yet. Dropping it kills it.
pub(crate) struct StartingWorker {
    child: ReapedChild,
    server: IpcOneShotServer<Hello>,
    /// The name of the socket that the server listens on.
    name: String,
}

impl StartingWorker {
    pub(super) fn new(child: ReapedChild, server: IpcOneShotServer<Hello>, name: String) -> Self {
        Self { child, server, name }
    }

    /// Waits for its hello, until the deadline and as long as it is wanted.
    ///
    /// # Errors
    ///
    /// Why there was none, in words.
    pub(crate) fn into_process(self, deadline: Instant, is_wanted: &dyn Fn() -> bool) -> Result<Process, String> {
        let Self { mut child, server, name } = self;
        let (heard, hellos) = crossbeam_channel::bounded(1);
        let listener = Builder::new().name("polyread-hello".to_owned()).spawn(move || {
            // It panics over some kinds of garbage. Then nothing is sent, and the sender is dropped.
            let _ = heard.send(server.accept());
        });
        let listener = listener.map_err(|error| error.to_string())?;
        let hello = loop {
            match hellos.recv_timeout(HELLO_POLL) {
                Ok(hello) => break hello.map_err(|error| format!("its hello cannot be understood: {error}")),
                Err(RecvTimeoutError::Disconnected) => break Err("its hello cannot be understood".to_owned()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let silent =
                "without having registered as a worker: is polyread_multiprocess::Worker run early in its main?";
            if let Ok(Some(status)) = child.try_wait() {
                break Err(format!("it ended ({status}) {silent}"));
            }
            if !is_wanted() {
                break Err("it is not wanted any more".to_owned());
            }
            if Instant::now() > deadline {
                break Err(format!("{START_TIMEOUT:?} went by {silent}"));
            }
        };
        if hello.is_err() {
            // No worker will connect any more: the listener waits until we do.
            child.end();
        }
        if hello.is_ok() || connect_and_close(&name).is_ok() {
            let _ = listener.join();
        }
        let (_, Hello { version, orders, answers, page }) = hello?;
        if version != VERSION {
            return Err(format!("it speaks version {version} of the protocol, this program {VERSION}"));
        }
        let page = ProgressPage::of(page).ok_or_else(|| "it sent no progress page".to_owned())?;
        Ok(Process::new(child, orders, answers, page))
    }
}

/// Connects to a socket and closes it. The channel's own way to connect leaks a descriptor if no server listens.
fn connect_and_close(name: &str) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok(connect(&socket, &SocketAddrUnix::new(name)?)?)
}
