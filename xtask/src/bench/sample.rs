//! One sample: a process that reads one tree once with one strategy, and tells what it cost.
//!
//! As little as possible happens in it besides: what it measures is measured from inside, so that the start of the
//! process does not count, and the figures are the kernel's own.

use std::fs;
use std::io::{self, Write};
use std::ops::{AddAssign, ControlFlow};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

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

use super::Corpus;

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

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long, value_enum)]
    strategy: Strategy,
    #[arg(long, value_enum)]
    analysis: Analysis,
    path: PathBuf,
}

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
    pub(super) found: Found,
}

/// What a strategy found: the same for all of them, or one of them is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Found {
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) totals: Totals,
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
    /// The process could not be started or did not tell what it found.
    pub(super) fn take(corpus: &Corpus, strategy: Strategy, analysis: Analysis) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let output = Command::new(program)
            .arg("sample")
            .arg("--strategy")
            .arg(strategy.name())
            .arg("--analysis")
            .args(name(analysis.to_possible_value()))
            .arg("--")
            .arg(&corpus.path)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output();
        let output = output.with_context(|| format!("cannot start a sample of {}", strategy.name()))?;
        if !output.status.success() {
            bail!(
                "a sample of {} on {} ended with {}",
                strategy.name(),
                Escaped(corpus.path.as_os_str()),
                output.status
            );
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("a sample of {} told nothing", strategy.name()))
    }
}

/// The process of a sample: prints one line of JSON.
pub(crate) fn run(args: &Args) -> Result<()> {
    // A comparison that is killed must not leave a sample behind that reads on.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let sample = match args.analysis {
        Analysis::TextStats => sample(args, TextStats::default(), |counts, _| counts),
        Analysis::Bytes => sample(args, ByteCount::default(), only_bytes),
        Analysis::Contents => sample(args, Contents::default(), only_bytes),
    }?;
    let mut line = serde_json::to_vec(&sample).context("cannot write the sample as JSON")?;
    line.push(b'\n');
    io::stdout().write_all(&line).context("cannot write the sample")
}

fn only_bytes<T>(_: T, bytes: u64) -> TextCounts {
    TextCounts { bytes, ..TextCounts::default() }
}

fn sample<A: PortableAnalysis>(
    args: &Args,
    analysis: A,
    counts: impl Fn(A::Output, u64) -> TextCounts,
) -> Result<Sample> {
    let (started, cpu_before) = (Instant::now(), cpu_seconds()?);
    // Kept until their memory has been asked for; without a run in it a pool has no processes.
    let pool = Pool::start(Config::default()).context("cannot start the pool of worker processes")?;
    let mut totals = Totals::default();
    let summary = {
        let files = Discovery::new(&args.path).walk()?;
        let reader = match args.strategy {
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
    let own = peak_rss("self")?;
    let peak_rss_bytes = own + processes.iter().map(|id| peak_rss(&id.to_string())).sum::<Result<u64>>()?;
    // That the processes have ended belongs to the run, asking them does not.
    let ending = Instant::now();
    drop(pool);
    let elapsed = read + ending.elapsed();
    Ok(Sample {
        elapsed_s: elapsed.as_secs_f64(),
        cpu_s: cpu_seconds()? - cpu_before,
        peak_rss_bytes,
        found: Found { failed: summary.failed(), skipped: summary.skipped(), totals },
    })
}

/// Of this process and of the children that have ended.
fn cpu_seconds() -> Result<f64> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for the time of the workers")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let own = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    Ok(own + seconds(children.user_time()) + seconds(children.system_time()))
}

/// `getrusage` would count what the parent had when it forked; this begins with the program.
fn peak_rss(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.ok_or_else(|| anyhow!("{path} has no VmHWM"))? * 1024)
}
