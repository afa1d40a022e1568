//! Finding processes that stop in the middle of a message.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest time to receive a message that has begun to arrive. A worker sends each message in one piece.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The deadline of a receive call, for another thread to look at: a process that sends half a message keeps the call from
/// returning.
#[derive(Debug)]
pub(super) struct ReceiveWatch {
    /// The process that the message comes from.
    process: u32,
    /// The deadline on the clock of [`now`]; 0 between calls.
    deadline: AtomicU64,
    /// A deadline that was found to be over once.
    overdue: AtomicU64,
}

impl ReceiveWatch {
    pub(super) fn new(process: u32) -> Self {
        Self { process, deadline: AtomicU64::new(0), overdue: AtomicU64::new(0) }
    }

    /// Calls `receive`, which waits at most for `timeout` until a message begins to arrive.
    pub(super) fn during<T>(&self, timeout: Duration, receive: impl FnOnce() -> T) -> T {
        self.deadline.store(now() + millis(timeout + MESSAGE_TIMEOUT), Ordering::Relaxed);
        let received = receive();
        self.deadline.store(0, Ordering::Relaxed);
        received
    }

    /// Kills the process if the call is over its deadline. The id is still that of the process: the thread that would reap
    /// it is in the call.
    pub(super) fn end_if_overdue(&self) {
        let deadline = self.deadline.load(Ordering::Relaxed);
        // Found so twice: once proves nothing if this very program was stopped for a while.
        let is_over = deadline != 0 && now() > deadline;
        if is_over && self.overdue.swap(deadline, Ordering::Relaxed) == deadline {
            kill(self.process);
        }
    }
}

/// Milliseconds of the monotonic clock since the first call, plus one.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    millis(START.get_or_init(Instant::now).elapsed()) + 1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn kill(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
