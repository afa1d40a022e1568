//! Ctrl-C and SIGTERM: what is under way ends, what is finished is kept.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Which signal has come, and what is to be ended by it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    signal: AtomicI32,
    running: Mutex<Option<Pid>>,
}

/// As shells tell of who was ended by a signal.
pub(crate) fn exit_code(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}

impl Interrupt {
    /// From now on the first SIGINT or SIGTERM is noted, and ends the process that is [run](Self::output); the second
    /// ends this program on the spot.
    pub(crate) fn watch() -> io::Result<Self> {
        let interrupt = Self::default();
        let told = interrupt.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if told.0.signal.swap(signal, Ordering::SeqCst) != 0 {
                    signal_hook::low_level::exit(128 + signal);
                }
                told.kill_what_runs();
            }
        })?;
        Ok(interrupt)
    }

    /// The signal that has come.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.0.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    fn kill_what_runs(&self) {
        if let Some(group) = *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Runs a command to its end, with all that it starts in a group of its own: a Ctrl-C reaches this program alone,
    /// which then kills the group.
    pub(crate) fn output(&self, command: &mut Command) -> io::Result<Output> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Pid::from_child(&child));
        if self.signal().is_some() {
            // It came before anybody could know whom to kill.
            self.kill_what_runs();
        }
        let (mut said, mut complained) = (child.stdout.take(), child.stderr.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let read = thread::scope(|scope| {
            let complaints = scope.spawn(|| complained.as_mut().map_or(Ok(0), |it| it.read_to_end(&mut stderr)));
            let read = said.as_mut().map_or(Ok(0), |it| it.read_to_end(&mut stdout));
            complaints.join().unwrap_or(Ok(0)).and(read)
        });
        // Before it is waited for: from then on its number may be another's.
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let status = child.wait()?;
        read?;
        Ok(Output { status, stdout, stderr })
    }
}
