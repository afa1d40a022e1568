//! `cargo xtask bench`: which model reads these files fastest on this machine?
//!
//! Every sample is a fresh process in which one contestant reads one tree once ([`sample`]). Contestants are the
//! strategies, the [`naive`] twin of each, the [`floor`] and the [`peers`]; they take turns in an order that is drawn anew for each
//! round, so that a machine that slows down slows all of them. Whoever finds other totals than the sequential reader is
//! not ranked: a benchmark is also a test.
//!
//! From the top: [`contestant`] says who takes part, [`measure`] takes the samples, on a cache that [`cold`] may have
//! emptied, while [`observe`] looks on where that costs no figure; [`timeline`] tells who read what when. [`stats`] makes
//! medians and intervals of the samples, [`results`] is what comes out, [`goals`] holds it against what polyread wants to
//! be, and [`report`] shows it.

mod assemble;
pub(crate) mod baseline;
pub(crate) mod cold;
pub(crate) mod contestant;
mod extras;
mod floor;
pub(crate) mod goals;
pub(crate) mod host;
pub(crate) mod measure;
pub(crate) mod naive;
pub(crate) mod noise;
pub(crate) mod observe;
mod peers;
pub(crate) mod progress;
pub(crate) mod recommend;
mod residency;
pub(crate) mod results;
pub(crate) mod sample;
pub(crate) mod schema;
pub(crate) mod stats;
pub(crate) mod timeline;
pub(crate) mod usage;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::error::ErrorKind;
use clap::{ValueEnum, ValueHint};
use polyread_cli::Strategy;
use polyread_core::Escaped;

use crate::interrupt::{self, Interrupt};
use crate::{fixtures, report};
use baseline::Comparison;
use cold::Cache;
use contestant::Contestant;
use measure::{Laboratory, Plan};
use progress::Progress;
use results::Results;
use sample::{Analysis, Order, Sabotage, Sample, Settings};

/// Profiles that are compared when nothing is named: many small files, files of all sizes, few large ones, a single one.
const DEFAULT_PROFILES: [&str; 4] = ["small", "mixed", "large", "one"];

/// What `--quick` multiplies the profiles by: a first answer, not one to decide upon.
pub(crate) const QUICK_SCALE: f64 = 0.1;

/// How long samples are added to a ranking whose intervals are wide, if no budget is given.
const PATIENCE: Duration = Duration::from_secs(60);
const QUICK_PATIENCE: Duration = Duration::from_secs(6);

const RUNS: usize = 10;
const QUICK_RUNS: usize = stats::FEWEST_SAMPLES;

/// Compare the strategies on made-up trees or on a directory of your own
///
/// Each sample is a fresh process that reads the tree once; the contestants take turns in random order. Beside the
/// strategies there are, for orientation and never ranked, the naive twin of each (the program that one would write first)
/// and the floor (open, read, close on all cores, nothing counted), and with --peers programs of others. Each reads the tree once before the samples that
/// count. Whoever is slow has fewer samples, and the output says so. A strategy that finds other totals than the
/// sequential reader is not ranked; if there is one, or a sample failed, the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                              the default profiles: small, mixed, large, one
  cargo xtask bench --quick                      a tenth of them, six samples each
  cargo xtask bench ~/src --runs 5               a directory of your own
  cargo xtask bench --profile unicode --strategy rayon --strategy tokio
  cargo xtask bench ~/src --cache both           on a cold cache too
  cargo xtask bench ~/src --report out           a page with charts too: out/report.html
  cargo xtask bench ~/src --peers                beside programs of others
  cargo xtask bench --format json > bench.json   for programs")]
pub(crate) struct Args {
    /// Directories of your own to compare on
    #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
    paths: Vec<PathBuf>,

    /// Generated tree to compare on (repeatable); see `cargo xtask fixtures`
    /// [default: small, mixed, large, one, unless a PATH is given]
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// Strategy to take part, with its naive twin and the floor (repeatable) [default: all]
    #[arg(long = "strategy", value_name = "NAME", value_enum)]
    strategies: Vec<Strategy>,

    /// Leave the naive twins out, which take most of the time
    #[arg(long)]
    no_twins: bool,

    /// Let programs of others take part, as far as they are installed: find with xargs and wc; the four readers of the Python
    /// document that polyread grew out of, two of which need aiofiles; rg; tokei
    #[arg(long)]
    peers: bool,

    /// State of the page cache before each sample. Cold: every page of every file evicted, and each sample checked to have
    /// fetched all of it from storage; directories and inodes stay cached
    #[arg(long, value_enum, default_value = "warm")]
    cache: Caches,

    /// With a cold cache: before each sample, have the kernel drop all it caches, directories and inodes too. Slows down
    /// whatever else the machine does, and needs root
    #[arg(long)]
    drop_caches: bool,

    /// What each strategy does with the bytes
    #[arg(long, value_enum, default_value = "text-stats")]
    analysis: Analysis,

    /// Samples for each contestant and tree, fewer for the slow, and with --budget perhaps more [default: 10, with --quick 6,
    /// and more where intervals are wide]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: Option<u16>,

    /// Seconds that all of it may take, but for what every strategy needs to be there at all [default: what RUNS take, and up to
    /// a minute more for each ranking whose intervals are wide]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    budget: Option<u32>,

    /// A tenth of each profile and six samples: a first answer within seconds
    #[arg(long)]
    quick: bool,

    /// Results of an earlier comparison, as --format json writes them: if a strategy is slower now, beyond the noise, the exit
    /// code is 1
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    baseline: Option<PathBuf>,

    /// Make a strategy worse on purpose, to see that it is noticed: NAME=slow:PERCENT or NAME=miscount (repeatable)
    #[arg(long, value_name = "NAME=HOW", value_parser = sabotage)]
    sabotage: Vec<(String, Sabotage)>,

    /// How to write the results
    #[arg(long, value_enum, default_value = "text")]
    format: report::Format,

    /// Also write a page with charts and the same as Markdown, CSV and JSON into this directory: report.html, report.md,
    /// report.csv, results.json
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    report: Option<PathBuf>,
}

pub(crate) fn sabotage(text: &str) -> Result<(String, Sabotage), String> {
    let (name, how) = text.split_once('=').ok_or("it is NAME=slow:PERCENT or NAME=miscount")?;
    let strategy = Strategy::from_str(name, false).map_err(|_| format!("there is no strategy '{name}'"))?;
    Ok((strategy.name().to_owned(), how.parse()?))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Caches {
    Warm,
    Cold,
    Both,
}

/// A tree to compare on.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) goals: Option<goals::Measure>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let begun = SystemTime::now();
    let baseline = prepare(args)?;
    let corpora = corpora(args)?;
    let strategies: Vec<_> =
        Strategy::ALL.into_iter().filter(|it| args.strategies.is_empty() || args.strategies.contains(it)).collect();
    let (plan, mut notes) = plan(args, &strategies);
    // Not before: trees that are being made end at once.
    let interrupt = Interrupt::watch().context("cannot listen to signals")?;
    let started = Instant::now();
    let mut lab = Processes { args, interrupt: &interrupt, begun: started, room: peers::Room::default() };
    let rng = stats::random();
    let measured = measure::measure(&corpora, &plan, &mut lab, rng, Progress::new())?;
    notes.extend(measured.notes);

    let mut results = Results {
        schema_version: results::SCHEMA_VERSION,
        begun: humantime::format_rfc3339_seconds(begun).to_string(),
        took_s: 0.0,
        command: crate::command(),
        stopped: None,
        host: host::Host::read(),
        analysis: args.analysis.name().to_owned(),
        runs: plan.runs,
        drop_caches: args.drop_caches,
        budget_s: args.budget.map(f64::from),
        recommendation: recommend::overall(&measured.corpora),
        recommendations: Vec::new(),
        // They were set for the analysis that counts.
        goals: if args.analysis == Analysis::TextStats { goals::Goal::all(&measured.corpora) } else { Vec::new() },
        sweeps: Vec::new(),
        units: Vec::new(),
        baseline: None,
        notes,
        corpora: measured.corpora,
    };
    if args.report.is_some() && interrupt.signal().is_none() {
        extras::Extras {
            corpora: &corpora,
            strategies: &strategies,
            caches: &plan.caches,
            analysis: args.analysis,
            until: args.budget().map(|budget| started + budget),
            sabotage: &args.sabotage,
            interrupt: &interrupt,
        }
        .add(&mut results);
    }
    results.recommendations = recommend::each(&results, &interrupt);
    results.baseline = baseline.map(|before| Comparison::of(&results, &before));
    results.stopped = interrupt.signal().map(|_| results::Stopped::Signal);
    results.took_s = begun.elapsed().unwrap_or_default().as_secs_f64();

    // Neither that one fails must cost the other.
    let printed = report::print(&results, args.format);
    if let Some(directory) = &args.report {
        report::save(&results, directory)?;
    }
    printed?;
    Ok(match interrupt.signal() {
        Some(signal) => interrupt::exit_code(signal),
        None if results.baseline.as_ref().is_some_and(Comparison::is_slower) => ExitCode::FAILURE,
        None if results.all_verified() => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

/// Whatever can be found to be in the way before minutes are spent; and what is to be compared with.
fn prepare(args: &Args) -> Result<Option<Results>> {
    if args.drop_caches {
        if args.cache == Caches::Warm {
            let told = "--drop-caches is of no use with a warm cache: add --cache cold or --cache both\n";
            clap::Error::raw(ErrorKind::ArgumentConflict, told).exit();
        }
        cold::drop_caches()?;
    }
    if let Some(directory) = &args.report {
        report::prepare(directory)?;
    }
    let takes_part = |name: &str| args.strategies.is_empty() || args.strategies.iter().any(|it| it.name() == name);
    if let Some((name, _)) = args.sabotage.iter().find(|(name, _)| !takes_part(name)) {
        bail!("--sabotage {name}: {name} takes no part");
    }
    let baseline = args.baseline.as_deref().map(Results::load).transpose()?;
    if let Some(baseline) = baseline.as_ref().filter(|it| it.analysis != args.analysis.name()) {
        bail!("the baseline is of --analysis {}, and this is of {}", baseline.analysis, args.analysis.name());
    }
    Ok(baseline)
}

/// What is to be measured, and what is to be said about what is not.
fn plan(args: &Args, strategies: &[Strategy]) -> (Plan, Vec<String>) {
    let (party, mut notes) = contestant::party(strategies, !args.no_twins, args.peers);
    if let Err(reason) = observe::system_calls_available() {
        notes.push(format!("System calls were not counted: {reason}."));
    }
    let caches = match args.cache {
        Caches::Warm => vec![Cache::Warm],
        Caches::Cold => vec![Cache::Cold],
        Caches::Both => vec![Cache::Warm, Cache::Cold],
    };
    if caches.contains(&Cache::Cold) {
        notes.extend(residency::available().err());
    }
    notes.extend(args.sabotage.iter().map(|(name, how)| format!("{name} was sabotaged on purpose: {how}.")));
    let patience = match args.runs {
        // Who says how many wants so many.
        Some(_) => Duration::ZERO,
        None if args.quick => QUICK_PATIENCE,
        None => PATIENCE,
    };
    // The page needs its part of it.
    let share = if args.report.is_some() { 1.0 - extras::SHARE } else { 1.0 };
    let budget = args.budget().map(|budget| budget.mul_f64(share));
    let runs = args.runs.map_or(if args.quick { QUICK_RUNS } else { RUNS }, usize::from);
    (Plan { party, caches, runs, budget, patience }, notes)
}

impl Args {
    fn budget(&self) -> Option<Duration> {
        self.budget.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The laboratory proper: each sample in a process of its own.
struct Processes<'a> {
    args: &'a Args,
    interrupt: &'a Interrupt,
    begun: Instant,
    /// Memory for peers that keep what they read.
    room: peers::Room,
}

impl Laboratory for Processes<'_> {
    fn sample(&mut self, corpus: &Corpus, contestant: Contestant, cache: Cache, observe: bool) -> Result<Sample> {
        if let Contestant::Peer(peer) = contestant {
            self.room.check(peer, &corpus.path)?;
        }
        if self.args.drop_caches && cache == Cache::Cold {
            // After the eviction and whoever was asked about it, who have looked at every inode.
            cold::drop_caches()?;
        }
        let (analysis, settings) = (self.args.analysis, Settings::default());
        let sabotage = self.args.sabotage.iter().find(|(name, _)| name == contestant.name()).map(|(_, how)| *how);
        Sample::take(&Order { corpus, contestant, cache, analysis, settings, observe, sabotage }, self.interrupt)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.signal().is_some()
    }
}

/// The user's own directories, the profiles that are named, or the default ones; made where they are not there yet.
fn corpora(args: &Args) -> Result<Vec<Corpus>> {
    let mut corpora = Vec::new();
    let mut seen = BTreeSet::new();
    for path in args.paths.iter().filter(|path| seen.insert(*path)) {
        // Before minutes are spent on the others.
        fs::metadata(path).with_context(|| format!("cannot read {}", Escaped(path.as_os_str())))?;
        corpora.push(Corpus { name: Escaped(path.as_os_str()).to_string(), path: path.clone(), goals: None });
    }
    let mut options = fixtures::Options::default();
    if args.quick {
        // Beside the full trees, so that neither has to be made again for the other.
        options.scale = QUICK_SCALE;
        options.out = options.out.join("quick");
    }
    let mut profiles: Vec<&str> = args.profiles.iter().map(String::as_str).collect();
    if args.paths.is_empty() && profiles.is_empty() {
        profiles = DEFAULT_PROFILES.into();
    }
    let mut seen = BTreeSet::new();
    for profile in profiles.into_iter().filter(|profile| seen.insert(*profile)) {
        let tree = fixtures::ensure(profile, &options)?;
        let goals = goals::Measure::of(profile, !args.quick);
        corpora.push(Corpus { name: tree.name, path: tree.path, goals });
    }
    if corpora.is_empty() {
        bail!("there is nothing to compare on");
    }
    Ok(corpora)
}
