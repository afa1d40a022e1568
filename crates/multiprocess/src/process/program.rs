//! The program that worker processes run.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ipc_channel::ipc::IpcOneShotServer;

use super::child::ReapedChild;
use super::starting_worker::StartingWorker;
use crate::protocol::{PARENT, SOCKET};

/// Which program is a worker, and how it is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// `None`: the program that is running.
    pub(crate) path: Option<PathBuf>,
    pub(crate) arguments: Vec<OsString>,
}

impl Program {
    /// Starts a worker. The kernel kills it when the calling thread ends: that is how children die with their parent.
    pub(super) fn spawn(&self) -> io::Result<StartingWorker> {
        // By this name it is the running program even if its file has been replaced.
        let this = || if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        let path = self.path.clone().map_or_else(this, Ok)?;
        let (server, name) = IpcOneShotServer::new()?;
        let mut command = Command::new(&path);
        command.args(&self.arguments).env(SOCKET, &name).env(PARENT, std::process::id().to_string());
        // The output of a worker must not mix with that of its parent: a program may print before it calls `Worker::run`.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // The terminal's signals reach the parent alone, which ends its workers itself.
        command.process_group(0);
        let child =
            command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(StartingWorker::new(ReapedChild::new(child), server, name))
    }
}
