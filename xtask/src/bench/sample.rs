//! One sample: a process in which one contestant reads one tree once, and tells what it cost.
//!
//! As little as possible happens in it besides: what it measures is measured from inside, so that the start of the
//! process does not count, and the figures are the kernel's own.

use std::fs;
use std::io::{self, Write};
use std::ops::{AddAssign, ControlFlow};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use polyread_cli::multiprocess::{Config, Pool};
use polyread_cli::{PortableAnalysis, Strategy};
use polyread_core::{ByteCount, Contents, Discovery, Escaped, Job, TextCounts, TextStats};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::contestant::{Contestant, Kind};
use super::{Corpus, floor, naive};

/// What a strategy does with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Analysis {
    /// Count words, characters, lines and bytes
    TextStats,
    /// Count bytes and look at none
    Bytes,
    /// Keep the content of each file until it is handed over
    Contents,
}

impl Analysis {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TextStats => "text-stats",
            Self::Bytes => "bytes",
            Self::Contents => "contents",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_parser = Contestant::named)]
    contestant: Contestant,
    #[arg(long, value_enum)]
    analysis: Analysis,
    /// What the parent has made of it: nothing here depends on it but how many threads the floor has
    #[arg(long, value_enum)]
    cache: Cache,
    path: PathBuf,
}

/// Threads of the floor on a cold cache, where it is the number of requests in flight that counts and not that of cores.
const THREADS_WHEN_COLD: usize = 64;

/// What one sample found and cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Sample {
    /// Wall-clock time in seconds, from before discovery to after the last thread's end.
    pub(super) elapsed_s: f64,
    /// Processor time in seconds of all threads and workers, in user and kernel mode.
    pub(super) cpu_s: f64,
    /// The most physical memory in bytes that the process has had, `VmHWM`, and that each of its workers has. What several
    /// processes share, such as the pages of the program, counts in each.
    pub(super) peak_rss_bytes: u64,
    /// What it has caused to be fetched from storage, in bytes: pages that were in the cache do not count.
    pub(super) fetched_bytes: u64,
    pub(super) found: Found,
}

/// What a strategy found: the same for all of them, or one of them is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Found {
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) totals: Totals,
}

impl Found {
    /// Whether it is what a contestant of this kind must find where the sequential reader found `reference`.
    pub(super) fn agrees_with(&self, reference: &Self, kind: Kind) -> bool {
        let (own, expected) = (self.totals, reference.totals);
        let totals = match kind {
            Kind::Strategy => self.skipped == reference.skipped && own == expected,
            // It keeps no record of what it skips.
            Kind::Naive => own == expected,
            // It does not look at what it reads.
            Kind::Floor => (own.files, own.bytes) == (expected.files, expected.bytes),
        };
        totals && self.failed == reference.failed
    }
}

impl AddAssign for Found {
    fn add_assign(&mut self, other: Self) {
        self.failed += other.failed;
        self.skipped += other.skipped;
        let (own, other) = (&mut self.totals, other.totals);
        own.files += other.files;
        own.bytes += other.bytes;
        own.words += other.words;
        own.chars += other.chars;
        own.lines += other.lines;
    }
}

/// Sums over the files that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Totals {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) words: u64,
    pub(super) chars: u64,
    pub(super) lines: u64,
}

impl AddAssign<TextCounts> for Totals {
    fn add_assign(&mut self, counts: TextCounts) {
        self.files += 1;
        self.bytes += counts.bytes;
        self.words += counts.words;
        self.chars += counts.chars;
        self.lines += counts.lines;
    }
}

impl Sample {
    /// Takes a sample in a process of its own.
    ///
    /// # Errors
    ///
    /// The process could not be started or did not tell what it found; with the last that it said on standard error.
    pub(super) fn take(corpus: &Corpus, contestant: Contestant, cache: Cache, analysis: Analysis) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = Command::new(program);
        command.arg("sample").args(["--contestant", contestant.name(), "--analysis", analysis.name()]);
        command.args(["--cache", cache.name(), "--"]).arg(&corpus.path).stdin(Stdio::null());
        let output = command.output().context("cannot start the process of a sample")?;
        if output.status.success() {
            // Whatever it had to say is the user's to read.
            let _ = io::stderr().write_all(&output.stderr);
            return serde_json::from_slice(&output.stdout).context("the process of a sample told nothing");
        }
        let said = String::from_utf8_lossy(&output.stderr);
        match said.lines().rfind(|line| !line.trim().is_empty()) {
            Some(last) => bail!("{}: {}", output.status, Escaped(last.trim().as_ref())),
            None => bail!("{}", output.status),
        }
    }
}

/// The process of a sample: prints one line of JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    // A comparison that is killed must not leave a sample behind that reads on.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let (started, before) = (Instant::now(), Spent::until_now()?);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let run = match (args.contestant, args.analysis) {
        (Contestant::Strategy(strategy), Analysis::TextStats) => {
            strategy_run(strategy, args, TextStats::default(), |counts, _| counts)
        }
        (Contestant::Strategy(strategy), Analysis::Bytes) => {
            strategy_run(strategy, args, ByteCount::default(), only_bytes)
        }
        (Contestant::Strategy(strategy), Analysis::Contents) => {
            strategy_run(strategy, args, Contents::default(), only_bytes)
        }
        (Contestant::Naive(strategy), analysis) => {
            let (found, workers_rss_bytes) = naive::read_all(strategy, &args.path, analysis)?;
            Ok(Run { found, elapsed: started.elapsed(), own_rss_bytes: peak_rss("self")?, workers_rss_bytes })
        }
        (Contestant::Floor(form), _) => {
            let threads = if args.cache == Cache::Cold { THREADS_WHEN_COLD } else { cores };
            let found = floor::read_all(&args.path, threads, form)?;
            Ok(Run { found, elapsed: started.elapsed(), own_rss_bytes: peak_rss("self")?, workers_rss_bytes: 0 })
        }
    }?;
    let after = Spent::until_now()?;
    let sample = Sample {
        elapsed_s: run.elapsed.as_secs_f64(),
        cpu_s: after.cpu_s - before.cpu_s,
        peak_rss_bytes: run.own_rss_bytes + run.workers_rss_bytes,
        fetched_bytes: after.fetched_bytes - before.fetched_bytes,
        found: run.found,
    };
    let mut line = serde_json::to_vec(&sample).context("cannot write the sample as JSON")?;
    line.push(b'\n');
    io::stdout().write_all(&line).context("cannot write the sample")
}

/// What only the run itself can tell.
struct Run {
    found: Found,
    elapsed: Duration,
    own_rss_bytes: u64,
    workers_rss_bytes: u64,
}

fn only_bytes<T>(_: T, bytes: u64) -> TextCounts {
    TextCounts { bytes, ..TextCounts::default() }
}

fn strategy_run<A: PortableAnalysis>(
    strategy: Strategy,
    args: &Args,
    analysis: A,
    counts: impl Fn(A::Output, u64) -> TextCounts,
) -> Result<Run> {
    let started = Instant::now();
    // Kept until their memory has been asked for; without a run in it a pool has no processes.
    let pool = Pool::start(Config::default()).context("cannot start the pool of worker processes")?;
    let mut totals = Totals::default();
    let summary = {
        let files = Discovery::new(&args.path).walk()?;
        let reader = match strategy {
            Strategy::Multiprocess => Box::new(pool.reader()),
            strategy => strategy.reader(),
        };
        reader.read(Job::new(files, analysis), &mut |record| {
            if let Ok(output) = record.outcome {
                totals += counts(output, record.bytes);
            }
            ControlFlow::Continue(())
        })?
    };
    let read = started.elapsed();
    let processes = pool.idle_processes();
    let own_rss_bytes = peak_rss("self")?;
    let workers_rss_bytes = processes.iter().map(|id| peak_rss(&id.to_string())).sum::<Result<u64>>()?;
    // That the processes have ended belongs to the run, asking them does not.
    let ending = Instant::now();
    drop(pool);
    let found = Found { failed: summary.failed(), skipped: summary.skipped(), totals };
    Ok(Run { found, elapsed: read + ending.elapsed(), own_rss_bytes, workers_rss_bytes })
}

/// Of this process and of the children that have ended.
struct Spent {
    cpu_s: f64,
    fetched_bytes: u64,
}

impl Spent {
    fn until_now() -> Result<Self> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let own = getrusage(UsageWho::RUSAGE_SELF).context("cannot ask for what this process has fetched")?;
        let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for the time of the workers")?;
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let own_cpu_s = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        // In blocks of 512 bytes, whatever the blocks of the device are.
        let blocks = own.block_reads() + children.block_reads();
        Ok(Self {
            cpu_s: own_cpu_s + seconds(children.user_time()) + seconds(children.system_time()),
            fetched_bytes: u64::try_from(blocks).unwrap_or(0) * 512,
        })
    }
}

/// `getrusage` would count what the parent had when it forked; this begins with the program.
pub(super) fn peak_rss(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.ok_or_else(|| anyhow!("{path} has no VmHWM"))? * 1024)
}
