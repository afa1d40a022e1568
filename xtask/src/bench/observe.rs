//! What only looking on tells: threads, descriptors, memory of several processes. It is looked at in the trial, which does not
//! count, so that the looking costs no sample anything.
//!
//! A thread of its own looks about every millisecond at the process of the sample and at all that descend from it
//! ([`family`]), and less often where a look is dear: it takes no more than a tenth of a core. So the peaks are lower bounds:
//! what comes and goes between two looks is not seen. System calls are counted by the kernel ([`calls`]), and none is missed.
//!
//! The looking itself does not show: its thread is subtracted, the files that it holds open are, and its system calls are
//! never counted, because it was there before the counter. Only its memory stays in the sum, some 300 kB.

mod calls;
mod family;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::Pid;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use calls::Counter;
use family::Family;

pub(crate) use calls::available as system_calls_available;

/// The most that was seen at any one moment, over all processes of a contestant together. A moment is as long as a look:
/// the processes are asked one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Observed {
    /// Physical memory in bytes, where what processes share counts once (`Pss` of `smaps_rollup`). Looked at less often than
    /// the rest, but always at the end of a strategy's run, while its workers are still there. `None` where the kernel does
    /// not tell.
    pub(crate) peak_pss_bytes: Option<u64>,
    /// With that of the sample itself.
    pub(crate) processes: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// All of the run, exactly, where the kernel lets them be counted; see [`system_calls_available`].
    pub(crate) system_calls: Option<u64>,
    /// How often was looked at processes, threads and descriptors: with few looks the peaks say little.
    pub(crate) looks: u64,
}

/// A look need not come sooner after the one before.
const PAUSE: Duration = Duration::from_millis(1);

/// A look of one kind comes no sooner than after this many times the processor time that the last of its kind took. There are
/// three kinds, which makes a tenth of a core.
const PAUSE_PER_COST: u32 = 30;

/// The thread that looks on.
#[derive(Debug)]
pub(crate) struct Observer {
    /// Whoever asks for a look hands over what is to be dropped after it.
    asked: Sender<Sender<()>>,
    thread: JoinHandle<Observed>,
}

impl Observer {
    /// Begins. To be called before there is any other thread or child, for those are not counted; by the one that starts them.
    ///
    /// # Errors
    ///
    /// There is no thread to be had, or no `/proc`.
    pub(crate) fn start() -> Result<Self> {
        let ((asked, asks), (ready, is_ready)) = (channel(), channel());
        let caller = gettid();
        let watch = move || Watch::begin(caller).map(|watch| watch.go_on(&asks, &ready)).unwrap_or_default();
        let thread = thread::Builder::new().name("observer".to_owned()).spawn(watch);
        let thread = thread.context("cannot start the thread that looks on")?;
        is_ready.recv().context("cannot look at this process in /proc")?;
        Ok(Self { asked, thread })
    }

    /// Has a look taken, and waits for it: at a moment that matters, and may be over before the next look is due.
    pub(crate) fn look(&self) {
        let (done, is_done) = channel();
        if self.asked.send(done).is_ok() {
            // An error is what says that it is done.
            let _ = is_done.recv();
        }
    }

    /// Ends, after a last look.
    ///
    /// # Errors
    ///
    /// It has panicked.
    pub(crate) fn end(self) -> Result<Observed> {
        drop(self.asked);
        self.thread.join().map_err(|_| anyhow!("the thread that looks on has panicked"))
    }
}

/// What the thread knows.
struct Watch {
    family: Family,
    counter: Option<Counter>,
    seen: Observed,
    relatives: Duty,
    counts: Duty,
    memory: Duty,
}

impl Watch {
    /// `None` without `/proc`.
    fn begin(caller: Pid) -> Option<Self> {
        let (family, duty) = (Family::of_this_process().ok()?, Duty { due: Instant::now() });
        let counter = Counter::of(caller).ok();
        let seen = Observed::default();
        Some(Self { family, counter, seen, relatives: duty, counts: duty, memory: duty })
    }

    /// Looks on until nobody can ask any more.
    fn go_on(mut self, asks: &Receiver<Sender<()>>, ready: &Sender<()>) -> Observed {
        self.look(true);
        if let Some(counter) = &self.counter {
            counter.start();
        }
        let _ = ready.send(());
        loop {
            let next = self.relatives.due.min(self.counts.due).min(self.memory.due);
            match asks.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(done) => {
                    self.look(true);
                    drop(done);
                }
                Err(RecvTimeoutError::Timeout) => self.look(false),
                Err(RecvTimeoutError::Disconnected) => {
                    self.seen.system_calls = self.counter.as_ref().and_then(Counter::stop);
                    self.look(true);
                    return self.seen;
                }
            }
        }
    }

    /// Looks at everything, or at what is due.
    fn look(&mut self, at_all: bool) {
        let Self { family, counter, seen, .. } = self;
        self.relatives.fulfil(at_all, || family.meet());
        self.counts.fulfil(at_all, || {
            let counts = family.count();
            // This thread, the counter and what `family` holds open are in this process too.
            let held = family.held() + u64::from(counter.is_some());
            seen.processes = seen.processes.max(counts.processes);
            seen.threads = seen.threads.max(counts.threads.saturating_sub(1));
            seen.descriptors = seen.descriptors.max(counts.descriptors.saturating_sub(held));
            seen.looks += 1;
        });
        self.memory.fulfil(at_all, || seen.peak_pss_bytes = seen.peak_pss_bytes.max(family.pss_bytes()));
    }
}

/// One kind of look.
#[derive(Clone, Copy, Debug)]
struct Duty {
    due: Instant,
}

impl Duty {
    /// Looks if it is due or `must` be, and says when the next look is.
    fn fulfil(&mut self, must: bool, look: impl FnOnce()) {
        if !must && Instant::now() < self.due {
            return;
        }
        let before = processor_time();
        look();
        // What it has waited for has cost nobody anything.
        let cost = processor_time().saturating_sub(before);
        self.due = Instant::now() + PAUSE.max(cost * PAUSE_PER_COST);
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
