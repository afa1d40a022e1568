//! A child process that is killed and reaped.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use polyread_core::reader::SHUTDOWN_TIMEOUT;
use rustix::process::{Pid, WaitOptions, waitpid};

/// A child process that leaves no zombie behind. Dropping it kills it.
#[derive(Debug)]
pub(super) struct ReapedChild(Child);

impl ReapedChild {
    pub(super) fn new(child: Child) -> Self {
        Self(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Kills it and waits until it has ended, at most for [`SHUTDOWN_TIMEOUT`]: in an uninterruptible call it dies only when
    /// the call returns.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        let _ = self.0.kill();
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
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

impl Drop for ReapedChild {
    fn drop(&mut self) {
        if self.end().is_some() {
            return;
        }
        // A thread reaps it when its call returns, however long that takes.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let _ = std::thread::Builder::new().name("polyread-reaper".to_owned()).spawn(move || {
            let _ = waitpid(pid, WaitOptions::empty());
        });
    }
}
