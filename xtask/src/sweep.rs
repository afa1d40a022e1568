//! `cargo xtask sweep`: how each model's cost grows as its work grows, where one model overtakes the other, and what
//! memory one more unit of concurrency costs.
//!
//! A sweep is a bench whose contestants are points: each strategy at each value of one axis ([`axis`]), on one tree or on
//! [`trees`] made for the purpose. [`measure`] takes the samples, [`crossover`] finds where curves cross, [`units`]
//! draws lines through memory, with [`slope`], and [`text`] writes it down for people. [`parked`] is the process in which bare
//! units are weighed.

pub(crate) mod axis;
mod crossover;
mod measure;
pub(crate) mod parked;
mod slope;
pub(crate) mod text;
mod trees;
pub(crate) mod units;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::error::ErrorKind;
use clap::{ValueEnum, ValueHint};
use polyread_cli::Strategy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bench::Corpus;
use crate::bench::cold::Cache;
use crate::bench::host::Host;
use crate::bench::progress::Progress;
use crate::bench::results::{Results, SCHEMA_VERSION, Stopped};
use crate::bench::sample::{Analysis, Order, Sabotage, Sample};
use crate::bench::stats::{FEWEST_SAMPLES, Interval, random};
use crate::interrupt::{self, Interrupt};
use crate::report;
use measure::{Bench, Plan};

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Over {
    /// Threads, tasks, processes or rings that read at the same time
    Workers,
    /// Bytes of each file, of a tree of as many bytes
    Size,
    /// Files of a tree, all of the same size
    Count,
    /// Bytes from which the hybrid takes a file for a large one
    Threshold,
    /// Hops or requests that are under way at the same time
    InFlight,
}

/// The curves of one sweep.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Sweep {
    pub(crate) over: Over,
    /// The tree, or what each tree of the sweep is like.
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    pub(crate) curves: Vec<Curve>,
    /// Where one curve crosses the other, from left to right.
    pub(crate) crossovers: Vec<Crossover>,
    /// The points that could not be measured.
    #[serde(default)]
    pub(crate) failures: Vec<Failed>,
    /// Who takes no part, and what was left out, for people.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

/// One strategy.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Curve {
    pub(crate) strategy: String,
    /// From left to right.
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Point {
    /// What was varied, in the unit of its axis. A threshold may be 0.
    pub(crate) at: f64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) median_s: f64,
    pub(crate) ci_low_s: f64,
    pub(crate) ci_high_s: f64,
    pub(crate) samples_s: Vec<f64>,
    pub(crate) peak_rss_bytes: u64,
    /// Over all processes, what they share counted once.
    pub(crate) peak_pss_bytes: Option<u64>,
    /// Whether the cache was in the state of the sweep at each sample.
    pub(crate) cache_verified: bool,
    /// Whether every sample found what the sequential reader found. A point where one did not is compared with nothing.
    pub(crate) verified: bool,
}

/// From here on the second is faster than the first, which was faster before.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Crossover {
    /// Interpolated between the two points that it lies between.
    pub(crate) at: f64,
    /// If it is certain, the nearest points on both sides at which the two can be told apart.
    pub(crate) between: [f64; 2],
    pub(crate) before: String,
    pub(crate) after: String,
    /// Whether the two can be told apart on both sides of it.
    pub(crate) certain: bool,
    /// Whether nobody is faster there than these two: the fastest changes.
    #[serde(default)]
    pub(crate) leads: bool,
}

/// A point that has no figures.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Failed {
    pub(crate) strategy: String,
    pub(crate) at: f64,
    /// How the process ended, and the last that it said.
    pub(crate) error: String,
}

/// The memory that one more unit of concurrency costs.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Unit {
    /// `task`, `thread`, `process` or `ring`.
    pub(crate) unit: String,
    /// Whose it is; `bare` for one that does nothing and belongs to nobody.
    pub(crate) strategy: String,
    /// The slope of memory over the number of units.
    pub(crate) bytes: f64,
    /// Its 95% interval.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// What the seed of the project said that it costs, in Python.
    pub(crate) seed_bytes: Option<u64>,
    /// What was measured, for people.
    pub(crate) how: String,
}

impl Point {
    pub(crate) fn interval(&self) -> Interval {
        Interval { value: self.median_s, low: self.ci_low_s, high: self.ci_high_s }
    }

    /// Whether there are samples enough for an interval.
    pub(crate) fn has_interval(&self) -> bool {
        self.samples_s.len() >= FEWEST_SAMPLES
    }

    /// Whether it is known which of the two is faster.
    pub(crate) fn is_apart_from(&self, other: &Self) -> bool {
        self.has_interval() && other.has_interval() && !self.interval().ties_with(&other.interval())
    }
}

impl Curve {
    /// The points that may be compared.
    pub(crate) fn verified(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.verified)
    }
}

/// All that one call of the command came to.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Swept {
    pub(crate) schema_version: u32,
    /// When it began, in UTC, as RFC 3339 writes it.
    pub(crate) begun: String,
    pub(crate) took_s: f64,
    /// The words of the command that repeats it.
    pub(crate) command: Vec<String>,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) host: Host,
    /// Samples of each point that is not too slow for so many.
    pub(crate) runs: usize,
    pub(crate) budget_s: Option<f64>,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) units: Vec<Unit>,
    pub(crate) notes: Vec<String>,
}

impl Swept {
    /// The same as a comparison in which nothing was ranked, for its page.
    pub(crate) fn results(&self) -> Results {
        Results {
            schema_version: self.schema_version,
            begun: self.begun.clone(),
            took_s: self.took_s,
            command: self.command.clone(),
            stopped: self.stopped,
            host: self.host.clone(),
            analysis: Analysis::TextStats.name().to_owned(),
            runs: self.runs,
            drop_caches: false,
            budget_s: self.budget_s,
            corpora: Vec::new(),
            recommendation: None,
            recommendations: Vec::new(),
            goals: Vec::new(),
            sweeps: self.sweeps.clone(),
            units: self.units.clone(),
            baseline: None,
            notes: self.notes.clone(),
        }
    }

    fn is_whole(&self) -> bool {
        let mut sweeps = self.sweeps.iter();
        sweeps.all(|sweep| {
            sweep.failures.is_empty() && sweep.curves.iter().all(|it| it.points.iter().all(|it| it.verified))
        })
    }
}

const RUNS: usize = 10;
const QUICK_RUNS: usize = FEWEST_SAMPLES;

/// Measure how each strategy's cost grows as its work grows, and where one overtakes the other
///
/// One thing is varied, all else stays: each strategy reads the tree at each value, in fresh processes that take turns in
/// random order. Whoever finds other totals than the sequential reader is told and left out; then, or when a sample
/// failed, the exit code is 1. Trees for `size` and `count` are made below fixtures/generated/sweep and kept: 0.9 GB and
/// 0.5 GB on disk, a tenth of that with --quick.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask sweep --over workers                       1 to 16 workers on the profile mixed
  cargo xtask sweep --over workers ~/src --budget 60     on a directory of your own, in about a minute
  cargo xtask sweep --over size --quick                  the same bytes in ever larger files
  cargo xtask sweep --over count --strategy rayon --strategy io-uring
  cargo xtask sweep --over threshold --values 0,4KiB,10000,64KiB
  cargo xtask sweep --over in-flight --cache cold
  cargo xtask sweep --units                              the memory of one more task, thread, process, ring")]
pub(crate) struct Args {
    /// Directory of your own to measure on
    #[arg(value_name = "PATH", value_hint = ValueHint::DirPath, conflicts_with = "profile")]
    path: Option<PathBuf>,

    /// What to vary
    #[arg(long, value_enum, required_unless_present = "units")]
    over: Option<Over>,

    /// Measure what memory one more unit of concurrency costs, within some fifteen seconds
    #[arg(long, conflicts_with_all = ["over", "path", "profile", "values", "strategies", "runs", "budget", "quick", "cache"])]
    units: bool,

    /// Generated tree to measure on; see `cargo xtask fixtures` [default: mixed]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Strategy to take part (repeatable) [default: all that have what is varied]
    #[arg(long = "strategy", value_name = "NAME", value_enum)]
    strategies: Vec<Strategy>,

    /// What to set it to, such as 1,2,4 or 0,4KiB,1MiB [default: a geometric series]
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = axis::value)]
    values: Vec<u64>,

    /// State of the page cache before each sample
    #[arg(long, value_enum, default_value = "warm")]
    cache: Cache,

    /// Samples for each point, fewer for the slow [default: 10, with --quick 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: Option<u16>,

    /// Seconds that the samples may take, but for one of each point
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    budget: Option<u32>,

    /// Trees of a tenth and six samples
    #[arg(long)]
    quick: bool,

    /// Make a strategy worse on purpose, to see that it is noticed: NAME=slow:PERCENT or NAME=miscount (repeatable)
    #[arg(long, value_name = "NAME=HOW", value_parser = crate::bench::sabotage)]
    sabotage: Vec<(String, Sabotage)>,

    /// How to write the results
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Also write a page with charts, and the same as Markdown, CSV and JSON into this directory: report.html, report.md,
    /// sweep.csv, sweep.json
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table, and the crossovers in words
    Text,
    /// The same as a Markdown page
    Markdown,
    /// One JSON object with every sample
    Json,
    /// A line for each point
    Csv,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let begun = SystemTime::now();
    if let Some(directory) = &args.report {
        // Before minutes are spent.
        report::prepare(directory)?;
    }
    let runs = args.runs.map_or(if args.quick { QUICK_RUNS } else { RUNS }, usize::from);
    let budget = args.budget.map(|seconds| Duration::from_secs(seconds.into()));
    let (mut sweeps, mut units, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut interrupt = None;
    if let Some(over) = args.over {
        let plan = plan(over, args, runs, budget)?;
        // Not before: trees that are being made end at once.
        let interrupt = interrupt.insert(Interrupt::watch().context("cannot listen to signals")?);
        sweeps.push(sweep(&plan, interrupt, &args.sabotage)?);
    }
    if args.units {
        let interrupt = interrupt.insert(Interrupt::watch().context("cannot listen to signals")?);
        (units, notes) = units::units(interrupt)?;
    }
    let signal = interrupt.and_then(|interrupt| interrupt.signal());
    notes.extend(args.sabotage.iter().map(|(name, how)| format!("{name} was sabotaged on purpose: {how}.")));
    let swept = Swept {
        schema_version: SCHEMA_VERSION,
        begun: humantime::format_rfc3339_seconds(begun).to_string(),
        took_s: begun.elapsed().unwrap_or_default().as_secs_f64(),
        command: crate::command(),
        stopped: signal.map(|_| Stopped::Signal),
        host: Host::read(),
        runs,
        budget_s: budget.map(|budget| budget.as_secs_f64()),
        sweeps,
        units,
        notes,
    };
    // Neither that one fails must cost the other.
    let printed = report::write_out(&match args.format {
        Format::Json => json(&swept)?,
        Format::Text => text::render(&swept, text::Page::of_stdout()),
        Format::Markdown => text::render(&swept, text::Page::Markdown),
        Format::Csv => text::csv(&swept),
    });
    if let Some(directory) = &args.report {
        let beside = [("sweep.csv", text::csv(&swept)), ("sweep.json", json(&swept)?)];
        report::save_with(&swept.results(), directory, beside)?;
    }
    printed?;
    Ok(match signal {
        Some(signal) => interrupt::exit_code(signal),
        None if swept.is_whole() => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

/// What the command line asks for. Wrong usage ends the program here.
fn plan(over: Over, args: &Args, runs: usize, budget: Option<Duration>) -> Result<Plan> {
    let usage = |said: &str| clap::Error::raw(ErrorKind::ArgumentConflict, format!("{said}\n")).exit();
    let has_own_trees = matches!(over, Over::Size | Over::Count);
    if has_own_trees && (args.path.is_some() || args.profile.is_some()) {
        usage(&format!("--over {} makes trees of its own: it takes no PATH and no --profile", over.name()));
    }
    let (strategies, notes) = over.party(&args.strategies);
    if strategies.is_empty() {
        usage(&format!("nobody is left to measure. {}", notes.join(" ")));
    }
    let check = |values: Vec<u64>| over.check(values).unwrap_or_else(|said| usage(&said));
    let asked = (!args.values.is_empty()).then(|| check(args.values.clone()));
    let (corpora, values, description) = if has_own_trees {
        let values = asked.unwrap_or_else(|| over.own_values(args.quick));
        let trees = trees::make(over, &values, args.quick)?;
        (trees.corpora, values, trees.description)
    } else {
        let corpus = trees::one(args.path.as_deref(), args.profile.as_deref(), args.quick)?;
        let values = asked.unwrap_or_else(|| over.values_for(&corpus));
        let description = corpus.name.clone();
        (vec![corpus], values, description)
    };
    Ok(Plan { over, corpora, description, values, strategies, cache: args.cache, runs, budget, notes })
}

/// A small sweep over workers on the user's own tree, for the page of a bench: at most six samples of each point, which is
/// what an interval takes.
///
/// # Errors
///
/// - the tree cannot be read, or has no file
/// - it is so large that not even two points of each strategy would be measured in that time
pub(crate) fn short(
    corpus: &Corpus,
    strategies: &[Strategy],
    cache: Cache,
    budget: Duration,
    sabotage: &[(String, Sabotage)],
    interrupt: &Interrupt,
) -> Result<Sweep> {
    let corpus = Corpus { name: corpus.name.clone(), path: corpus.path.clone(), goals: None };
    let (description, over) = (corpus.name.clone(), Over::Workers);
    let (strategies, notes) = over.party(strategies);
    let mut plan = Plan {
        over,
        corpora: vec![corpus],
        description,
        values: vec![1, 2, 4, 8],
        strategies,
        cache,
        runs: FEWEST_SAMPLES,
        budget: Some(budget),
        notes,
    };
    // A trial and a sample of each point have to fit, and nobody should be slower than this one.
    let mut lab = Processes { interrupt, sabotage: &[], begun: Instant::now() };
    let sequential = lab.sample(&plan.reference(&plan.corpora[0]))?.elapsed_s;
    while 2.0 * sequential * (plan.values.len() * plan.strategies.len()) as f64 > budget.as_secs_f64() {
        plan.values.pop();
        if plan.values.len() < 2 {
            bail!("{} is too large for a sweep within {} seconds", plan.description, budget.as_secs());
        }
    }
    sweep(&plan, interrupt, sabotage)
}

fn sweep(plan: &Plan, interrupt: &Interrupt, sabotage: &[(String, Sabotage)]) -> Result<Sweep> {
    let mut lab = Processes { interrupt, sabotage, begun: Instant::now() };
    let rng = random();
    let measured = measure::measure(plan, &mut lab, rng, Progress::new())?;
    Ok(Sweep {
        over: plan.over,
        corpus: plan.description.clone(),
        cache: plan.cache,
        crossovers: crossover::find(&measured.curves),
        curves: measured.curves,
        failures: measured.failures,
        notes: plan.notes.iter().cloned().chain(measured.notes).collect(),
    })
}

/// The laboratory proper: each sample in a process of its own.
struct Processes<'a> {
    interrupt: &'a Interrupt,
    sabotage: &'a [(String, Sabotage)],
    begun: Instant,
}

impl Bench for Processes<'_> {
    fn sample(&mut self, order: &Order<'_>) -> Result<Sample> {
        let sabotage = self.sabotage.iter().find(|(name, _)| name == order.contestant.name()).map(|(_, how)| *how);
        Sample::take(&Order { sabotage, ..*order }, self.interrupt)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.signal().is_some()
    }
}

fn json(swept: &Swept) -> Result<String> {
    Ok(serde_json::to_string(swept).context("cannot write the results as JSON")? + "\n")
}
