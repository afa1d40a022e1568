//! Who read what when: one run of a strategy, seen from the outside.
//!
//! The run is that of a sample, in a process of its own, but for an analysis more: a [`Clock`] beside the one that is asked
//! for, which tells of each file which threads read it and when. [`lanes`] makes lanes of that.

mod clock;
mod lanes;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use polyread_cli::{PortableAnalysis, Strategy, Worker};
use polyread_core::{ByteCount, Contents, Discovery, Job, TextStats, WorkerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Corpus;
use super::cold::Cache;
use super::sample::{self, Analysis};
use crate::interrupt::Interrupt;
use clock::{Clock, Thread, name_of, now_ns};
use lanes::Lanes;

/// One run of one strategy.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Timeline {
    pub(crate) strategy: String,
    pub(crate) cache: Cache,
    /// Seconds from before discovery to after the last record.
    pub(crate) elapsed_s: f64,
    /// One for each thread or process that read anything, or the 32 of them that were busy for longest.
    pub(crate) lanes: Vec<Lane>,
    /// Records that have no place in it: of files that failed, of what was skipped, of lanes that are left out.
    pub(crate) not_shown: u64,
}

/// What one worker did.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Lane {
    /// Such as `thread-1`, `process-4711` or `ring-0`, as records say; `blocking thread 1` for those on which the tasks of a
    /// runtime read. With the side in front where a run has two: `large: thread-0`.
    pub(crate) worker: String,
    /// In the order of time; none overlaps another. At most 200: where there were more, short ones were made one.
    pub(crate) spans: Vec<Span>,
}

/// A stretch of time in which a worker read one file, or several small ones one after the other.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Span {
    /// Seconds since the run began, as the next.
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    /// Those whose reading ended in it: 0 for a part of a file that somebody else read the last of.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Of the file that took the longest, from the root on; lossy where it is not UTF-8.
    pub(crate) path: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_enum)]
    strategy: Strategy,
    #[arg(long, value_enum)]
    analysis: Analysis,
    /// What the parent has made of it: nothing here depends on it
    #[arg(long, value_enum)]
    cache: Cache,
    path: PathBuf,
}

/// What a process of this program is if it was started as a worker: it knows what a timeline asks for.
pub(crate) fn worker() -> Worker {
    Worker::new().with::<(TextStats, Clock)>().with::<(ByteCount, Clock)>().with::<(Contents, Clock)>()
}

impl Timeline {
    /// Runs a strategy once, in a process of its own. What the cache is said to be it must have been made before.
    ///
    /// # Errors
    ///
    /// The process could not be started or did not tell; with the last that it said on standard error.
    pub(crate) fn take(
        corpus: &Corpus,
        strategy: Strategy,
        cache: Cache,
        analysis: Analysis,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = Command::new(program);
        command.args(["trace", "--strategy", strategy.name()]);
        command.args(["--analysis", analysis.name(), "--cache", cache.name(), "--"]).arg(&corpus.path);
        sample::told(&mut command, interrupt)
    }
}

/// The process of a timeline: prints one line of JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    sample::end_with_parent();
    let timeline = match args.analysis {
        Analysis::TextStats => trace(args, TextStats::default()),
        Analysis::Bytes => trace(args, ByteCount::default()),
        Analysis::Contents => trace(args, Contents::default()),
    }?;
    sample::tell(&timeline)
}

fn trace<A: PortableAnalysis>(args: &Args, analysis: A) -> Result<Timeline>
where
    (A, Clock): PortableAnalysis<Output = (A::Output, <Clock as polyread_core::Analysis>::Output)>,
{
    let begun = now_ns();
    let side_of: fn(WorkerId) -> _ = match args.strategy {
        // Tasks read the small files, threads the large ones.
        Strategy::Hybrid => |worker| Some(if worker.kind() == "thread" { "large" } else { "small" }),
        _ => |_| None,
    };
    let mut lanes = Lanes::new(&args.path, begun, side_of);
    let files = Discovery::new(&args.path).walk()?;
    let job = Job::new(files, (analysis, Clock::default()));
    args.strategy.reader().read(job, &mut |record| {
        lanes.add(record);
        ControlFlow::Continue(())
    })?;
    let elapsed_ns = now_ns() - begun;
    let (lanes, not_shown) = lanes.finish(elapsed_ns, Thread::own().process, &name_of);
    let elapsed_s = elapsed_ns as f64 / 1e9;
    Ok(Timeline { strategy: args.strategy.name().to_owned(), cache: args.cache, elapsed_s, lanes, not_shown })
}
