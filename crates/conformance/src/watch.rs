//! How a check is run: on a thread of its own, under a watchdog, alone where it counts what the process has.

use std::panic::resume_unwind;
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::Duration;

/// Held for reading by checks that may run side by side, for writing by those that count descriptors and threads.
static PROCESS: RwLock<()> = RwLock::new(());

/// Many times what the slowest check takes on a loaded machine. Not a measurement: it tells a hang from a wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a check side by side with others.
pub fn run(check: impl FnOnce() + Send + 'static) {
    let _shared = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    watched(check);
}

/// Runs a check while no other one runs in this process.
pub fn run_alone(check: impl FnOnce() + Send + 'static) {
    let _alone = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    watched(check);
}

fn watched(check: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _done = done;
        check();
    });
    // Nothing is ever sent: the sender is dropped when the check ends, in whichever way.
    match ended.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the run hangs"),
        _ => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
    }
}
