//! What a comparison comes to. The keys are stable: scripts depend on them, `docs/bench.schema.json` describes them, and
//! results that were recorded are read again, to be compared with and to be shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::baseline::Comparison;
use super::cold::Cache;
use super::contestant::Kind;
use super::goals::{Goal, Measure};
use super::host::Host;
use super::noise::Noise;
use super::observe::Observed;
use super::recommend::Recommendation;
use super::residency::Resident;
use super::sample::Totals;
use super::stats::{FEWEST_SAMPLES, Interval};
use super::timeline::Timeline;
use crate::sweep::{Sweep, Unit};

pub(crate) const SCHEMA_VERSION: u32 = 1;

/// All of one comparison.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Results {
    pub(crate) schema_version: u32,
    /// When it began, in UTC, as RFC 3339 writes it.
    pub(crate) begun: String,
    /// Seconds that it took.
    pub(crate) took_s: f64,
    /// The words of the command that repeats it.
    pub(crate) command: Vec<String>,
    /// Why it ended before its time, if it did: what is here is finished, what is missing is missing.
    pub(crate) stopped: Option<Stopped>,
    pub(crate) host: Host,
    pub(crate) analysis: String,
    /// Samples that each contestant has that is not too slow for so many, before more are added.
    pub(crate) runs: usize,
    /// Whether directories and inodes were cold too, where the cache was.
    pub(crate) drop_caches: bool,
    /// Seconds that it was to take at the most.
    pub(crate) budget_s: Option<f64>,
    pub(crate) corpora: Vec<CorpusResult>,
    /// The strategy with the smallest geometric mean of its times relative to the fastest, over all corpora and states of
    /// the cache.
    pub(crate) recommendation: Option<String>,
    /// For each corpus and state of the cache.
    pub(crate) recommendations: Vec<Recommendation>,
    pub(crate) goals: Vec<Goal>,
    /// How cost grows as work grows: empty unless it was asked for.
    pub(crate) sweeps: Vec<Sweep>,
    /// The memory that one more task, thread or process costs: empty unless it was asked for.
    pub(crate) units: Vec<Unit>,
    /// Held against an earlier comparison, if one was given.
    pub(crate) baseline: Option<Comparison>,
    /// Who was left out, and why.
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stopped {
    /// Ctrl-C or SIGTERM.
    Signal,
}

/// What was measured on one tree.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct CorpusResult {
    pub(crate) name: String,
    pub(crate) path: String,
    /// The type of the file system that it is on.
    pub(crate) file_system: Option<String>,
    /// As the sequential reader found them.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// The same in full: what everybody has to find.
    pub(crate) totals: Totals,
    /// For each state of the cache the fastest first, those that are not verified last.
    pub(crate) cells: Vec<Cell>,
    /// Who did not get as far as a cell.
    pub(crate) failures: Vec<Failure>,
    /// The sequential reader has contradicted itself: the tree is not what it was.
    pub(crate) changed: bool,
    /// The fastest strategy, by state of the cache.
    pub(crate) fastest: BTreeMap<Cache, String>,
    /// How quiet the machine was, by state of the cache.
    pub(crate) noise: BTreeMap<Cache, Noise>,
    /// One run of each strategy: who read what when. Empty unless it was asked for.
    pub(crate) timelines: Vec<Timeline>,
    /// The goals that hold for it, if there are any.
    #[serde(skip)]
    pub(crate) goals: Option<Measure>,
}

/// One contestant on one corpus in one state of the cache.
///
/// Figures that a sample has one of are medians over the samples, but where something else is said.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Cell {
    /// The contestant's name, whatever its kind.
    pub(crate) strategy: String,
    pub(crate) kind: Kind,
    pub(crate) cache: Cache,
    /// Whether the cache was in that state at each sample.
    pub(crate) cache_verified: bool,
    pub(crate) median_s: f64,
    pub(crate) ci_low_s: f64,
    pub(crate) ci_high_s: f64,
    /// In the order in which they were taken.
    pub(crate) samples_s: Vec<f64>,
    /// Whether there was time for no other sample than the trial, in which it was looked at.
    pub(crate) trial_only: bool,
    /// Which of them lie so far from the others that something else than the contestant was at work. They count.
    pub(crate) outliers: Vec<usize>,
    /// Whether the interval is as narrow as was asked for.
    pub(crate) settled: bool,
    /// Its time divided by that of the fastest strategy.
    pub(crate) to_fastest: Option<Interval>,
    pub(crate) to_floor: Option<Interval>,
    pub(crate) to_sequential: Option<Interval>,
    /// Of strategies alone, as the next.
    pub(crate) to_twin: Option<Interval>,
    /// Whether it cannot be told from the fastest strategy. Of the fastest itself: whether anybody cannot be told from it.
    pub(crate) tie: bool,
    pub(crate) files_per_s: f64,
    pub(crate) bytes_per_s: f64,
    /// The most that any sample has had: `VmHWM`, added up over its processes.
    pub(crate) peak_rss_bytes: u64,
    pub(crate) cpu_s: f64,
    pub(crate) cpu_user_s: f64,
    pub(crate) cpu_system_s: f64,
    pub(crate) voluntary_switches: f64,
    pub(crate) involuntary_switches: f64,
    pub(crate) minor_faults: f64,
    pub(crate) major_faults: f64,
    /// Of the sample that was farthest from the state of the cache: what came from storage.
    pub(crate) fetched_bytes: u64,
    /// What is stored: all of this has to be fetched when the cache is cold.
    pub(crate) stored_bytes: u64,
    /// What was left in the cache before the sample that had most of it: only of a cold cell, and where it can be asked.
    #[serde(flatten)]
    pub(crate) resident: Option<Resident>,
    /// What only looking on tells, seen in the trial before the samples.
    pub(crate) observed: Option<Observed>,
    pub(crate) failed: u64,
    /// Whether every sample found what the sequential reader found.
    pub(crate) verified: bool,
    pub(crate) totals: Totals,
}

/// A contestant whose sample failed.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Failure {
    pub(crate) strategy: String,
    pub(crate) kind: Kind,
    pub(crate) cache: Cache,
    /// How the process ended, and the last that it said.
    pub(crate) error: String,
}

impl Results {
    /// Whether nothing failed and nobody found anything else than the sequential reader.
    pub(crate) fn all_verified(&self) -> bool {
        // That a program of others fails is not our fault; that it counts something else might be.
        let has_failed = |failure: &Failure| failure.kind != Kind::Peer;
        let is_fine = |corpus: &CorpusResult| {
            !corpus.failures.iter().any(has_failed) && corpus.cells.iter().all(|cell| cell.verified)
        };
        self.corpora.iter().all(is_fine)
    }

    /// Every table that there is: each corpus in each state of the cache.
    pub(crate) fn rankings(&self) -> impl Iterator<Item = (&CorpusResult, Cache)> {
        self.corpora.iter().flat_map(|corpus| corpus.caches().into_iter().map(move |cache| (corpus, cache)))
    }
}

impl CorpusResult {
    /// Why there is nothing to compare on, if there is nothing.
    pub(crate) fn unreadable(&self) -> Option<&str> {
        if self.files == 0 { self.failures.first().map(|failure| failure.error.as_str()) } else { None }
    }

    /// The states of the cache that it was measured in.
    pub(crate) fn caches(&self) -> Vec<Cache> {
        let mut caches: Vec<_> = self.cells.iter().map(|cell| cell.cache).collect();
        caches.extend(self.failures.iter().map(|failure| failure.cache));
        caches.sort_unstable();
        caches.dedup();
        caches
    }

    /// Those that found what they should, whatever their kind, the fastest first.
    pub(crate) fn verified(&self, cache: Cache) -> impl DoubleEndedIterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.verified && cell.cache == cache)
    }

    /// The strategies among them: one that finds something else is wrong, however fast.
    pub(crate) fn ranked(&self, cache: Cache) -> impl DoubleEndedIterator<Item = &Cell> {
        self.verified(cache).filter(|cell| cell.kind == Kind::Strategy)
    }

    /// The one of that name, if it found what it should.
    pub(crate) fn cell(&self, cache: Cache, name: &str) -> Option<&Cell> {
        self.verified(cache).find(|cell| cell.strategy == name)
    }

    /// The naive twin of a strategy, if it has one here.
    pub(crate) fn twin(&self, cell: &Cell) -> Option<&Cell> {
        self.cell(cell.cache, &format!("naive-{}", cell.strategy))
    }

    /// The strategies that cannot be told from this one.
    pub(crate) fn ties(&self, cache: Cache, strategy: &str) -> Vec<&str> {
        let Some(it) = self.ranked(cache).find(|cell| cell.strategy == strategy) else { return Vec::new() };
        let others = self.ranked(cache).filter(|cell| cell.strategy != strategy);
        others.filter(|cell| cell.median().ties_with(&it.median())).map(|cell| cell.strategy.as_str()).collect()
    }
}

impl Cell {
    /// Whether there are samples enough for an interval.
    pub(crate) fn has_interval(&self) -> bool {
        self.samples_s.len() >= FEWEST_SAMPLES
    }

    /// The peak of its memory. Of a peer the kernel tells that of its largest process alone; what was seen of all of them is
    /// nearer to it.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let seen = self.observed.filter(|_| self.kind == Kind::Peer).and_then(|observed| observed.peak_pss_bytes);
        self.peak_rss_bytes.max(seen.unwrap_or(0))
    }

    /// Of the time, in seconds.
    pub(crate) fn median(&self) -> Interval {
        Interval { value: self.median_s, low: self.ci_low_s, high: self.ci_high_s }
    }
}
