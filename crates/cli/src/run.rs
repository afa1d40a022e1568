//! One run of the program: from the arguments to the exit code.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::anyhow;
use polyread_cli::PortableAnalysis;
use polyread_core::{ByteCount, CancelToken, Contents, FileResult, Job, Progress, Stopped, TextStats};

use crate::args::{Analysis, Args};
use crate::diagnostics::complain;
use crate::output::{Finding, Output};
use crate::progress::Bar;
use crate::stop::Stop;

/// How a run that could start has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was read.
    Whole,
    /// Finished, and some files failed.
    SomeFailed,
    /// Stopped by this signal.
    Signal(i32),
    /// Standard output could not be written.
    OutputFailed,
    /// The reader of standard output went away.
    OutputClosed,
}

impl Ending {
    /// Says what is wrong with the output, unless its reader simply had enough.
    pub(crate) fn of_output_error(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        complain(&format!("cannot write to standard output: {error}"));
        Self::OutputFailed
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Whole => 0,
            Ending::OutputFailed => 1,
            Ending::SomeFailed => 3,
            // As a shell reports a program that a signal has ended.
            Ending::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Ending::OutputClosed => 128 + 13,
        })
    }
}

/// Runs with the analysis that was asked for.
///
/// # Errors
///
/// What kept the run from starting; nothing has been written then.
pub(crate) fn run(args: &Args) -> anyhow::Result<Ending> {
    match args.analysis {
        Analysis::TextStats => run_with(args, TextStats::default()),
        Analysis::Bytes => run_with(args, ByteCount::default()),
        Analysis::Contents => run_with(args, Contents::default()),
    }
}

fn run_with<A>(args: &Args, analysis: A) -> anyhow::Result<Ending>
where
    A: PortableAnalysis<Output: Into<Finding>>,
{
    let (cancel, progress) = (CancelToken::new(), Progress::new());
    let stop = Stop::on_signals(cancel.clone()).map_err(|error| anyhow!("cannot listen to signals: {error}"))?;
    let started = Instant::now();
    let walk = args.discovery(&cancel).walk()?;
    let job = if args.sorted { Job::new(walk.sorted(), analysis) } else { Job::new(walk, analysis) };
    let job = job.limits(args.limits()).cancel_token(cancel).progress(progress.clone());

    let reader = args.strategy.reader::<A>();
    let mut order = Order::new(args.sorted);
    let bar = Bar::follow(&progress, !args.no_progress);
    let mut output = Output::new(args.format, args.analysis, bar.handle());
    let mut written = Ok(());
    let summary = reader.read(job, &mut |record| {
        written = order.pass(record, |record| output.record(record));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    drop(bar);
    // With the time that a sorted list took to be found.
    let mut summary = summary?;
    summary.elapsed = started.elapsed();

    let signal = stop.signal();
    let stopped = match summary.stopped {
        Some(Stopped::Cancelled) if signal.is_some() => Some("signal"),
        stopped => stopped.map(Stopped::as_str),
    };
    let written = written
        .and_then(|()| order.rest(|record| output.record(record)))
        .and_then(|()| output.summary(reader.name(), &summary, stopped));
    Ok(match (written, signal) {
        // A signal that came when everything had been read has stopped nothing.
        (_, Some(signal)) if stopped == Some("signal") => Ending::Signal(signal),
        (Err(error), _) => Ending::of_output_error(&error),
        (Ok(()), _) if summary.failed() > 0 => Ending::SomeFailed,
        (Ok(()), _) => Ending::Whole,
    })
}

/// Brings records back into the order of discovery, if it was asked for. What is ahead of its turn waits here.
struct Order<T> {
    sorted: bool,
    next: u64,
    waiting: BTreeMap<u64, FileResult<T>>,
}

impl<T> Order<T> {
    fn new(sorted: bool) -> Self {
        Self { sorted, next: 0, waiting: BTreeMap::new() }
    }

    /// Passes on the record, and those that have waited for it.
    fn pass(
        &mut self,
        record: FileResult<T>,
        mut write: impl FnMut(FileResult<T>) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.sorted {
            return write(record);
        }
        self.waiting.insert(record.index, record);
        while let Some(record) = self.waiting.remove(&self.next) {
            self.next += 1;
            write(record)?;
        }
        Ok(())
    }

    /// Passes on what still waits when the run was stopped before its turn came.
    fn rest(&mut self, mut write: impl FnMut(FileResult<T>) -> io::Result<()>) -> io::Result<()> {
        std::mem::take(&mut self.waiting).into_values().try_for_each(&mut write)
    }
}
