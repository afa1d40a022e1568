//! `cargo xtask sweep`: how each model's cost grows as its work grows.

use serde::{Deserialize, Serialize};

use crate::bench::cold::Cache;

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
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
    /// Hops, messages or requests that are under way at the same time
    InFlight,
}

/// The curves of one sweep.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sweep {
    pub(crate) over: Over,
    /// The tree, or what each tree of the sweep is like.
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    pub(crate) curves: Vec<Curve>,
    /// Where one curve crosses the other, from left to right.
    pub(crate) crossovers: Vec<Crossover>,
}

/// One strategy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Curve {
    pub(crate) strategy: String,
    /// From left to right.
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Point {
    /// What was varied, in the unit of its axis.
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
    pub(crate) verified: bool,
}

/// From here on the second is faster than the first, which was faster before.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Crossover {
    /// Interpolated between the two points that it lies between.
    pub(crate) at: f64,
    pub(crate) between: [f64; 2],
    pub(crate) before: String,
    pub(crate) after: String,
    /// Whether the two can be told apart on both sides of it.
    pub(crate) certain: bool,
}

/// The memory that one more unit of concurrency costs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Unit {
    /// `task`, `thread`, `process` or `ring`.
    pub(crate) unit: String,
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
