//! One sample: a process in which one contestant reads one tree once, and tells what it cost.
//!
//! As little as possible happens in it besides: what it measures is measured from inside, so that the start of the
//! process does not count, and the figures are the kernel's own.

use std::fmt;
use std::io::{self, Write};
use std::ops::{AddAssign, ControlFlow};
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use polyread_cli::multiprocess::{Config, Pool};
use polyread_cli::{PortableAnalysis, Strategy, Tuning};
use polyread_core::{ByteCount, Contents, Discovery, Escaped, Job, Limits, TextCounts, TextStats};
use rustix::process::{Signal, set_parent_process_death_signal};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::contestant::Contestant;
use super::observe::{Observed, Observer};
use super::residency::Resident;
use super::usage::{Usage, peak_rss};
use super::{Corpus, floor, naive, peers};
use crate::interrupt::Interrupt;

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
    pub(crate) fn name(self) -> &'static str {
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
    /// Look on while it runs, which costs it a little: for samples that do not count
    #[arg(long)]
    observe: bool,
    /// Make it worse on purpose
    #[arg(long)]
    sabotage: Option<Sabotage>,
    #[command(flatten)]
    settings: Settings,
    path: PathBuf,
}

/// What is done to a contestant on purpose, for those who doubt that the bench would notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sabotage {
    /// It takes longer by so many percent.
    Slow(f64),
    /// It counts one word too many.
    Miscount,
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_prefix("slow:").and_then(|percent| percent.parse().ok());
        match (text, percent) {
            ("miscount", _) => Ok(Self::Miscount),
            (_, Some(percent)) if (0.0..=10_000.0).contains(&percent) => Ok(Self::Slow(percent)),
            _ => Err(format!("'{text}' is neither slow:PERCENT nor miscount")),
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(percent) => write!(f, "slow:{percent}"),
            Self::Miscount => f.write_str("miscount"),
        }
    }
}

/// What a strategy is told beside its defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Settings {
    /// Files that are read at the same time: see [`Limits::workers`]
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// See [`Tuning::in_flight`]
    #[arg(long)]
    pub(crate) in_flight: Option<usize>,
    /// See [`Tuning::threshold`]
    #[arg(long)]
    pub(crate) threshold: Option<u64>,
}

impl Settings {
    /// The same on a command line.
    fn arguments(self) -> Vec<String> {
        let workers = self.workers.map(|workers| format!("--workers={workers}"));
        let in_flight = self.in_flight.map(|in_flight| format!("--in-flight={in_flight}"));
        let threshold = self.threshold.map(|threshold| format!("--threshold={threshold}"));
        [workers, in_flight, threshold].into_iter().flatten().collect()
    }

    fn limits(self) -> Limits {
        self.workers.into_iter().fold(Limits::default(), Limits::workers)
    }

    fn tuning(self) -> Tuning {
        Tuning { in_flight: self.in_flight, threshold: self.threshold }
    }
}

/// What a sample is to be of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) corpus: &'a Corpus,
    pub(crate) contestant: Contestant,
    pub(crate) cache: Cache,
    pub(crate) analysis: Analysis,
    pub(crate) settings: Settings,
    /// Whether to look on: see [`Observed`].
    pub(crate) observe: bool,
    pub(crate) sabotage: Option<Sabotage>,
}

/// Threads of the floor on a cold cache, where it is the number of requests in flight that counts and not that of cores.
const THREADS_WHEN_COLD: usize = 64;

/// What one sample found and cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Wall-clock time in seconds, from before discovery to after the last thread's end.
    pub(crate) elapsed_s: f64,
    /// The most physical memory in bytes that the process has had, `VmHWM`, and that each of its workers has. What several
    /// processes share, such as the pages of the program, counts in each. Of a peer, that of its largest process alone.
    pub(crate) peak_rss_bytes: u64,
    pub(crate) usage: Usage,
    /// What looking on told, if it was a trial.
    pub(crate) observed: Option<Observed>,
    /// What was left of the tree in the cache before it, if it was to be cold: its parent knows.
    #[serde(skip)]
    pub(crate) resident: Option<Resident>,
    pub(crate) found: Found,
}

/// What a strategy found: the same for all of them, or one of them is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Found {
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) totals: Totals,
}

impl Found {
    /// Whether it is what this contestant must find where the sequential reader found `reference`.
    pub(crate) fn agrees_with(&self, reference: &Self, contestant: Contestant) -> bool {
        let (own, expected) = (self.totals, reference.totals);
        let totals = match contestant {
            Contestant::Strategy(_) => self.skipped == reference.skipped && own == expected,
            // It keeps no record of what it skips.
            Contestant::Naive(_) => own == expected,
            // It does not look at what it reads.
            Contestant::Floor(_) => (own.files, own.bytes) == (expected.files, expected.bytes),
            // Most do not count what they fail on; it is missing from their files.
            Contestant::Peer(peer) => return peer.comparable(own) == peer.comparable(expected),
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) words: u64,
    pub(crate) chars: u64,
    pub(crate) lines: u64,
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
    pub(crate) fn take(order: &Order<'_>, interrupt: &Interrupt) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = Command::new(program);
        command.arg("sample").args(["--contestant", order.contestant.name()]);
        command.args(["--analysis", order.analysis.name(), "--cache", order.cache.name()]);
        command.args(order.observe.then_some("--observe")).args(order.settings.arguments());
        command.args(order.sabotage.iter().flat_map(|it| ["--sabotage".to_owned(), it.to_string()]));
        command.arg("--").arg(&order.corpus.path);
        told(&mut command, interrupt)
    }
}

/// What a process of this program tells in a line of JSON.
///
/// # Errors
///
/// It could not be started or did not tell; with the last that it said on standard error.
pub(crate) fn told<T: DeserializeOwned>(command: &mut Command, interrupt: &Interrupt) -> Result<T> {
    let output = interrupt.output(command).context("cannot start the process of a sample")?;
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

/// Tells in a line of JSON.
///
/// # Errors
///
/// Nobody listens.
pub(crate) fn tell(what: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(what).context("cannot write the sample as JSON")?;
    line.push(b'\n');
    io::stdout().write_all(&line).context("cannot write the sample")
}

/// A comparison that is killed must not leave a process behind that reads on.
pub(crate) fn end_with_parent() {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// The process of a sample: prints one line of JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    end_with_parent();
    // The first thread of all: what begins after it is seen and counted.
    let observer = args.observe.then(Observer::start).transpose()?;
    let looking_on = observer.as_ref();
    let (mut started, mut before) = (Instant::now(), Usage::until_now()?);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut run = match (args.contestant, args.analysis) {
        (Contestant::Strategy(strategy), Analysis::TextStats) => {
            strategy_run(strategy, args, looking_on, TextStats::default(), |counts, _| counts)
        }
        (Contestant::Strategy(strategy), Analysis::Bytes) => {
            strategy_run(strategy, args, looking_on, ByteCount::default(), only_bytes)
        }
        (Contestant::Strategy(strategy), Analysis::Contents) => {
            strategy_run(strategy, args, looking_on, Contents::default(), only_bytes)
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
        (Contestant::Peer(peer), analysis) => {
            let ready = peer.ready(&args.path)?;
            // To find its program is no part of reading.
            (started, before) = (Instant::now(), Usage::until_now()?);
            let mut found = ready.run()?;
            let elapsed = started.elapsed();
            if analysis != Analysis::TextStats {
                found.totals = Totals { words: 0, chars: 0, lines: 0, ..found.totals };
            }
            Ok(Run { found, elapsed, own_rss_bytes: 0, workers_rss_bytes: peers::peak_rss()? })
        }
    }?;
    match args.sabotage {
        Some(Sabotage::Slow(percent)) => {
            let until = run.elapsed.mul_f64(1.0 + percent / 100.0);
            let spinning = Instant::now();
            while run.elapsed + spinning.elapsed() < until {
                std::hint::spin_loop();
            }
            run.elapsed = until;
        }
        Some(Sabotage::Miscount) => run.found.totals.words += 1,
        None => {}
    }
    let usage = Usage::until_now()?.since(before);
    let observed = observer.map(Observer::end).transpose()?;
    let sample = Sample {
        elapsed_s: run.elapsed.as_secs_f64(),
        peak_rss_bytes: run.own_rss_bytes + run.workers_rss_bytes,
        usage,
        observed,
        resident: None,
        found: run.found,
    };
    tell(&sample)
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
    observer: Option<&Observer>,
    analysis: A,
    counts: impl Fn(A::Output, u64) -> TextCounts,
) -> Result<Run> {
    let started = Instant::now();
    // Kept until their memory has been asked for. A model that has no processes must not show the thread of a pool.
    let pool = (strategy == Strategy::Multiprocess).then(|| Pool::start(Config::default())).transpose();
    let pool = pool.context("cannot start the pool of worker processes")?;
    let mut totals = Totals::default();
    let summary = {
        let files = Discovery::new(&args.path).walk()?;
        let reader = match &pool {
            Some(pool) => Box::new(pool.reader()),
            None => strategy.reader_with(&args.settings.tuning()),
        };
        let job = Job::new(files, analysis).limits(args.settings.limits());
        reader.read(job, &mut |record| {
            if let Ok(output) = record.outcome {
                totals += counts(output, record.bytes);
            }
            ControlFlow::Continue(())
        })?
    };
    let read = started.elapsed();
    if let Some(observer) = observer {
        // The last moment at which the workers have all that they came to have.
        observer.look();
    }
    let processes = pool.as_ref().map(Pool::idle_processes).unwrap_or_default();
    let own_rss_bytes = peak_rss("self")?;
    let workers_rss_bytes = processes.iter().map(|id| peak_rss(&id.to_string())).sum::<Result<u64>>()?;
    // That the processes have ended belongs to the run, asking them does not.
    let ending = Instant::now();
    drop(pool);
    let found = Found { failed: summary.failed(), skipped: summary.skipped(), totals };
    Ok(Run { found, elapsed: read + ending.elapsed(), own_rss_bytes, workers_rss_bytes })
}
