//! How many calls a program makes to the kernel, as the kernel counts them: nothing is stopped, as `strace` would.

use std::fs;
use std::io;

use perf_event_open::config::{Cpu, Inherit, Opts, Proc};
use perf_event_open::count::Counter as Event;
use perf_event_open::event::tp::Tracepoint;
use rustix::process::Pid;

/// Where the kernel's numbers of what can be counted are usually mounted. Nothing is mounted here.
const TRACING: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Counts the calls of one thread, and of all threads and processes that it starts from now on, and those start.
pub(super) struct Counter(Event);

/// Whether system calls can be counted here.
///
/// # Errors
///
/// They cannot: the reason, which is usually that only root may.
pub(crate) fn available() -> Result<(), String> {
    Counter::of(rustix::thread::gettid()).map(|_| ())
}

impl Counter {
    /// One that stands still yet, for a thread of this process.
    pub(super) fn of(thread: Pid) -> Result<Self, String> {
        let event = Tracepoint { id: number("raw_syscalls/sys_enter")? };
        let opts = Opts { inherit: Some(Inherit::NewChild), ..Opts::default() };
        let thread = Proc(thread.as_raw_nonzero().get().unsigned_abs());
        let counter = Event::new(event, (thread, Cpu::ALL), opts);
        counter.map(Self).map_err(|error| format!("the kernel does not let them be counted: {error}"))
    }

    pub(super) fn start(&self) {
        // Whoever cannot be started counts nothing: `stop` takes that for no figure.
        let _ = self.0.enable();
    }

    /// How many there were; `None` if it was not counting.
    pub(super) fn stop(&self) -> Option<u64> {
        self.0.disable().ok()?;
        let count = self.0.stat().ok()?.count;
        (count > 0).then_some(count)
    }
}

/// What the kernel calls an event.
fn number(event: &str) -> Result<u64, String> {
    let mut reason = String::new();
    for tracing in TRACING {
        let path = format!("{tracing}/events/{event}/id");
        match fs::read_to_string(&path) {
            Ok(number) => return number.trim().parse().map_err(|_| format!("{path} holds no number")),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !reason.is_empty() => {}
            Err(error) => reason = format!("{path} cannot be read: {error}"),
        }
    }
    Err(reason)
}
