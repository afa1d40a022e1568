//! Signals: the first ends the run in order, the second at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use polyread_core::CancelToken;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Which signal has come, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicI32>);

impl Stop {
    /// From now on SIGINT and SIGTERM cancel the token; a second one ends the process on the spot, also while a read
    /// hangs or standard output does not take what is written.
    pub(crate) fn on_signals(cancel: CancelToken) -> io::Result<Self> {
        let stop = Self::default();
        let came = stop.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        thread::Builder::new().name("polyread-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if came.0.swap(signal, Ordering::SeqCst) != 0 {
                    signal_hook::low_level::exit(128 + signal);
                }
                cancel.cancel();
            }
        })?;
        Ok(stop)
    }

    /// The signal that has come.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}
