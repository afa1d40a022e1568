//! What memory one more unit of concurrency costs: the slope of a line through peak memory over the number of units, once of
//! units that do nothing and once of those of each model at its work.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::HumanCount;
use polyread_cli::Strategy;

use super::parked::What;
use super::{Over, Unit, slope, trees};
use crate::bench::Corpus;
use crate::bench::cold::Cache;
use crate::bench::contestant::Contestant;
use crate::bench::progress::Progress;
use crate::bench::sample::{Analysis, Order, Sample};
use crate::interrupt::Interrupt;

/// What the seed says of Python: about 8 kB for a coroutine, 8 MB of stack for a thread, 10 MB for a process.
const SEED_TASK: u64 = 8 << 10;
const SEED_THREAD: u64 = 8 << 20;
const SEED_PROCESS: u64 = 10 << 20;

/// How often each number of units is weighed, if there is time.
const ROUNDS: u32 = 5;
const FEWEST_ROUNDS: u32 = 2;

/// Afterwards no other round is begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// A unit that does nothing.
struct Bare {
    what: What,
    numbers: [u64; 4],
    seed_bytes: u64,
    how: &'static str,
}

const BARE: [Bare; 3] = [
    Bare {
        what: What::Task,
        numbers: [10_000, 20_000, 30_000, 40_000],
        seed_bytes: SEED_TASK,
        how: "a task of tokio that waits and whose future holds nothing, with its handle",
    },
    Bare {
        what: What::Thread,
        numbers: [50, 100, 200, 400],
        seed_bytes: SEED_THREAD,
        how: "a thread that waits; its stack, of 2 MiB in Rust, is reserved and takes no memory until it is used",
    },
    Bare {
        what: What::Process,
        numbers: [1, 2, 4, 8],
        seed_bytes: SEED_PROCESS,
        how: "a process of this program that waits; what they share counts once",
    },
];

/// The units of a model at its work.
struct AtWork {
    strategy: Strategy,
    unit: &'static str,
    over: Over,
    /// So few that each has something to do, also on two cores.
    numbers: &'static [u64],
    seed_bytes: Option<u64>,
    how: &'static str,
}

const AT_WORK: [AtWork; 5] = [
    AtWork {
        strategy: Strategy::Tokio,
        unit: "task",
        over: Over::InFlight,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_TASK),
        how: "a hop in flight, with the thread that carries it and its buffer, while files of 4 KiB are read",
    },
    AtWork {
        strategy: Strategy::AsyncStd,
        unit: "task",
        over: Over::InFlight,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_TASK),
        how: "a hop in flight, with the thread that carries it and its buffer, while files of 4 KiB are read",
    },
    AtWork {
        strategy: Strategy::Rayon,
        unit: "thread",
        over: Over::Workers,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_THREAD),
        how: "a thread of the pool, with its buffer, while files of 4 KiB are read",
    },
    AtWork {
        strategy: Strategy::Multiprocess,
        unit: "process",
        over: Over::Workers,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_PROCESS),
        how: "a worker process, and what is kept of it in the one that started it, while files of 4 KiB are read",
    },
    AtWork {
        strategy: Strategy::IoUring,
        unit: "ring",
        over: Over::Workers,
        // With more of them each would have fewer files in flight: there is a bound for open files.
        numbers: &[1, 2, 3, 4],
        seed_bytes: None,
        how: "a ring of 64 files in flight, with its thread and its buffers, while files of 4 KiB are read",
    },
];

/// The cost of every unit that can be measured here, in some fifteen seconds at the most, and what is to be said about those
/// that cannot. If it is stopped there are none.
///
/// # Errors
///
/// The tree that is read cannot be made.
pub(crate) fn units(interrupt: &Interrupt) -> Result<(Vec<Unit>, Vec<String>)> {
    let tree = trees::for_units()?;
    let bare = BARE.iter().map(Scales::of_bare);
    let mut all: Vec<_> = bare.chain(AT_WORK.iter().map(|model| Scales::of_model(model, &tree))).collect();
    let (begun, mut progress) = (Instant::now(), Progress::new());
    let what = Corpus { name: "units".to_owned(), path: tree.path.clone(), goals: None };
    progress.begin(&what, Cache::Warm, all.len(), PATIENCE);
    for round in 0..ROUNDS {
        if round >= FEWEST_ROUNDS && begun.elapsed() > PATIENCE {
            break;
        }
        for scales in &mut all {
            progress.sample(&scales.name(), begun.elapsed());
            scales.weigh_all(interrupt);
        }
        progress.expect(begun.elapsed() / (round + 1) * ROUNDS);
    }
    progress.finish();
    if interrupt.signal().is_some() {
        return Ok((Vec::new(), vec!["Nothing was weighed to the end.".to_owned()]));
    }
    let (mut units, mut notes) = (Vec::new(), Vec::new());
    for scales in all {
        let name = scales.name();
        match scales.unit() {
            Ok(unit) => units.push(unit),
            Err(error) => notes.push(format!("A {name} could not be measured: {error:#}.")),
        }
    }
    Ok((units, notes))
}

/// What is weighed: once for each number of them in each round.
struct Scales<'a> {
    unit: &'static str,
    strategy: &'static str,
    numbers: &'static [u64],
    seed_bytes: Option<u64>,
    what: &'static str,
    weigh: Box<Weigh<'a>>,
    weights: Result<Vec<(u64, Weight)>>,
}

/// Weighs so many units.
type Weigh<'a> = dyn Fn(u64, &Interrupt) -> Result<Weight> + 'a;

/// Peak memory in bytes.
#[derive(Clone, Copy)]
struct Weight {
    bytes: f64,
    shared: Shared,
}

/// How pages count that several processes have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Once,
    InEach,
}

impl<'a> Scales<'a> {
    fn of_bare(bare: &'static Bare) -> Self {
        let weigh = |number, interrupt: &Interrupt| weigh_bare(bare.what, number, interrupt);
        Self {
            unit: bare.what.name(),
            strategy: "bare",
            numbers: &bare.numbers,
            seed_bytes: Some(bare.seed_bytes),
            what: bare.how,
            weigh: Box::new(weigh),
            weights: Ok(Vec::new()),
        }
    }

    fn of_model(model: &'static AtWork, tree: &'a Corpus) -> Self {
        Self {
            unit: model.unit,
            strategy: model.strategy.name(),
            numbers: model.numbers,
            seed_bytes: model.seed_bytes,
            what: model.how,
            weigh: Box::new(|number, interrupt| weigh(model, number, tree, interrupt)),
            weights: model.strategy.available().map(|()| Vec::new()).map_err(anyhow::Error::new),
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.strategy, self.unit)
    }

    fn weigh_all(&mut self, interrupt: &Interrupt) {
        for number in self.numbers {
            if interrupt.signal().is_some() {
                return;
            }
            let Ok(weights) = &mut self.weights else { return };
            match (self.weigh)(*number, interrupt) {
                Ok(weight) => weights.push((*number, weight)),
                Err(error) => self.weights = Err(error),
            }
        }
    }

    fn unit(self) -> Result<Unit> {
        let weights = self.weights?;
        let points: Vec<_> = weights.iter().map(|(number, weight)| (*number as f64, weight.bytes)).collect();
        let slope = slope::of(&points).context("there is nothing to draw a line through")?;
        let [first, .., last] = self.numbers else { bail!("there is nothing to draw a line through") };
        let shared = if weights.iter().any(|(_, weight)| weight.shared == Shared::InEach) {
            "; what processes share counts in each of them"
        } else {
            ""
        };
        Ok(Unit {
            unit: self.unit.to_owned(),
            strategy: self.strategy.to_owned(),
            bytes: slope.value,
            low: slope.low,
            high: slope.high,
            seed_bytes: self.seed_bytes,
            how: format!("{}, of {} to {}{shared}", self.what, HumanCount(*first), HumanCount(*last)),
        })
    }
}

fn weigh_bare(what: What, number: u64, interrupt: &Interrupt) -> Result<Weight> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut command = Command::new(program);
    let output = interrupt.output(command.args(["parked", what.name(), &number.to_string()]))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", output.status, said.lines().last().unwrap_or_default().trim());
    }
    let bytes = String::from_utf8_lossy(&output.stdout).trim().parse().context("it told no figure")?;
    Ok(Weight { bytes, shared: Shared::Once })
}

fn weigh(model: &AtWork, number: u64, tree: &Corpus, interrupt: &Interrupt) -> Result<Weight> {
    // In one process the kernel's own peak is exact. Of several only looking on tells what they share.
    let is_several = model.strategy == Strategy::Multiprocess;
    let order = Order {
        corpus: tree,
        contestant: Contestant::Strategy(model.strategy),
        cache: Cache::Warm,
        analysis: Analysis::TextStats,
        settings: model.over.settings(number),
        observe: is_several,
        sabotage: None,
    };
    let sample = Sample::take(&order, interrupt)?;
    Ok(match sample.observed.and_then(|it| it.peak_pss_bytes) {
        Some(bytes) if is_several => Weight { bytes: bytes as f64, shared: Shared::Once },
        _ if is_several => Weight { bytes: sample.peak_rss_bytes as f64, shared: Shared::InEach },
        _ => Weight { bytes: sample.peak_rss_bytes as f64, shared: Shared::Once },
    })
}
