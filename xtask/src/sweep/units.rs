//! What memory one more unit of concurrency costs: the slope of a line through peak memory over the number of units, once of
//! units that do nothing and once of those of each model at its work.

use std::process::Command;

use anyhow::{Context, Result, bail};
use polyread_cli::Strategy;

use super::parked::What;
use super::{Over, Unit, slope, trees};
use crate::bench::Corpus;
use crate::bench::cold::Cache;
use crate::bench::contestant::Contestant;
use crate::bench::sample::{Analysis, Order, Sample};
use crate::interrupt::Interrupt;

/// What the seed says of Python: about 8 kB for a coroutine, 8 MB of stack for a thread, 10 MB for a process.
const SEED_TASK: u64 = 8 << 10;
const SEED_THREAD: u64 = 8 << 20;
const SEED_PROCESS: u64 = 10 << 20;

/// How often each number of units is measured.
const TIMES: usize = 5;

/// A unit that does nothing.
struct Bare {
    what: What,
    numbers: [usize; 4],
    seed_bytes: u64,
    how: &'static str,
}

const BARE: [Bare; 3] = [
    Bare {
        what: What::Task,
        numbers: [10_000, 20_000, 30_000, 40_000],
        seed_bytes: SEED_TASK,
        how: "a task of tokio that waits and whose future holds nothing, of 10,000 to 40,000, with its handle",
    },
    Bare {
        what: What::Thread,
        numbers: [50, 100, 200, 400],
        seed_bytes: SEED_THREAD,
        how: "a thread that waits, of 50 to 400; its stack, of 2 MiB in Rust, is reserved and takes no memory until it is used",
    },
    Bare {
        what: What::Process,
        numbers: [1, 2, 4, 8],
        seed_bytes: SEED_PROCESS,
        how: "a process of this program that waits, of 1 to 8; what they share counts once",
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
}

const AT_WORK: [AtWork; 5] = [
    AtWork {
        strategy: Strategy::Tokio,
        unit: "task",
        over: Over::InFlight,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_TASK),
    },
    AtWork {
        strategy: Strategy::AsyncStd,
        unit: "task",
        over: Over::InFlight,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_TASK),
    },
    AtWork {
        strategy: Strategy::Rayon,
        unit: "thread",
        over: Over::Workers,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_THREAD),
    },
    AtWork {
        strategy: Strategy::Multiprocess,
        unit: "process",
        over: Over::Workers,
        numbers: &[1, 2, 4, 8],
        seed_bytes: Some(SEED_PROCESS),
    },
    AtWork {
        strategy: Strategy::IoUring,
        unit: "ring",
        over: Over::Workers,
        // With more of them each would have fewer files in flight: there is a bound for open files.
        numbers: &[1, 2, 3, 4],
        seed_bytes: None,
    },
];

/// The cost of every unit that can be measured here, in some fifteen seconds at the most, and what is to be said about those
/// that cannot. If it is stopped, of those that were finished.
///
/// # Errors
///
/// The tree that is read cannot be made.
pub(crate) fn units(interrupt: &Interrupt) -> Result<(Vec<Unit>, Vec<String>)> {
    let tree = trees::for_units()?;
    let (mut units, mut notes) = (Vec::new(), Vec::new());
    let mut keep = |name: String, unit: Result<Unit>| match unit {
        Ok(unit) => units.push(unit),
        Err(_) if interrupt.signal().is_some() => {}
        Err(error) => notes.push(format!("{name} could not be measured: {error:#}.")),
    };
    for bare in &BARE {
        keep(format!("A bare {}", bare.what.name()), weigh_bare(bare, interrupt));
    }
    for model in &AT_WORK {
        let weighed = model.strategy.available().map_err(anyhow::Error::new);
        let weighed = weighed.and_then(|()| weigh(model, &tree, interrupt));
        keep(format!("A {} of {}", model.unit, model.strategy.name()), weighed);
    }
    Ok((units, notes))
}

fn weigh_bare(bare: &Bare, interrupt: &Interrupt) -> Result<Unit> {
    let mut points = Vec::new();
    for number in bare.numbers.into_iter().cycle().take(TIMES * bare.numbers.len()) {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = Command::new(program);
        let output = interrupt.output(command.args(["parked", bare.what.name(), &number.to_string()]))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}", output.status, said.lines().last().unwrap_or_default().trim());
        }
        let bytes: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().context("it told no figure")?;
        points.push((number as f64, bytes));
    }
    unit(bare.what.name(), "bare", &points, Some(bare.seed_bytes), bare.how.to_owned())
}

fn weigh(model: &AtWork, tree: &Corpus, interrupt: &Interrupt) -> Result<Unit> {
    // In one process the kernel's own peak is exact. Of several only looking on tells what they share.
    let is_several = model.strategy == Strategy::Multiprocess;
    let (mut resident, mut shared_once) = (Vec::new(), Vec::new());
    for number in model.numbers.iter().cycle().take(TIMES * model.numbers.len()) {
        let sample = Sample::take(
            &Order {
                corpus: tree,
                contestant: Contestant::Strategy(model.strategy),
                cache: Cache::Warm,
                analysis: Analysis::TextStats,
                settings: model.over.settings(*number),
                observe: is_several,
                sabotage: None,
            },
            interrupt,
        )?;
        resident.push((*number as f64, sample.peak_rss_bytes as f64));
        let pss = sample.observed.and_then(|it| it.peak_pss_bytes);
        shared_once.extend(pss.map(|bytes| (*number as f64, bytes as f64)));
    }
    let (first, last) = (model.numbers[0], model.numbers[model.numbers.len() - 1]);
    let range = format!("of {first} to {last}, reading 8,192 files of 4 KiB");
    let (points, how) = match (is_several, shared_once.len() == resident.len()) {
        (false, _) => (&resident, range),
        (true, true) => (&shared_once, format!("{range}; what processes share counts once")),
        (true, false) => (&resident, format!("{range}; what processes share counts in each of them")),
    };
    let what = match model.strategy {
        Strategy::Tokio | Strategy::AsyncStd => "a hop in flight, with the thread that carries it and its buffer",
        Strategy::Rayon => "a thread of the pool, with its buffer",
        Strategy::Multiprocess => "a worker process, and what is kept of it in this one",
        _ => "a ring of 64 files in flight, with its thread and its buffers",
    };
    unit(model.unit, model.strategy.name(), points, model.seed_bytes, format!("{what}, {how}"))
}

fn unit(unit: &str, strategy: &str, points: &[(f64, f64)], seed_bytes: Option<u64>, how: String) -> Result<Unit> {
    let slope = slope::of(points).context("there is nothing to draw a line through")?;
    Ok(Unit {
        unit: unit.to_owned(),
        strategy: strategy.to_owned(),
        bytes: slope.value,
        low: slope.low,
        high: slope.high,
        seed_bytes,
        how,
    })
}
