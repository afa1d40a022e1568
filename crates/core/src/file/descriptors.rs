//! Waiting for a free file descriptor.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::cancel::CancelToken;

/// How long a lack of descriptors is waited out. Other readers close theirs within microseconds, or within seconds when a
/// disk is slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `open` again while no descriptor is free. Returns `EMFILE` or `ENFILE` at `until`, when `cancel` is raised, or
/// after ten seconds.
pub(crate) fn when_free<T>(
    cancel: &CancelToken,
    until: Option<Instant>,
    mut open: impl FnMut() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    let mut pause = Duration::from_micros(100);
    let mut waited = Duration::ZERO;
    loop {
        let lack = match open() {
            Err(Errno::INTR) => continue,
            Err(lack @ (Errno::MFILE | Errno::NFILE)) => lack,
            opened => return opened,
        };
        let out_of_time = until.is_some_and(|until| Instant::now() >= until);
        if waited > PATIENCE || out_of_time || cancel.is_cancelled() {
            return Err(lack);
        }
        std::thread::sleep(pause);
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
