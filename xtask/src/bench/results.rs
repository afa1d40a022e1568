//! What a comparison comes to. The keys are stable: scripts depend on them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Corpus;
use super::cold::{Cache, is_as_told};
use super::contestant::{Contestant, Kind};
use super::goals::{Goal, Measure};
use super::host::Host;
use super::sample::{Analysis, Found, Sample, Totals};
use super::stats::{FEWEST_SAMPLES, Median, median};

const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct Results {
    schema_version: u32,
    pub(super) host: Host,
    pub(super) analysis: &'static str,
    /// Samples that each contestant has that is not too slow for so many.
    pub(super) runs: usize,
    pub(super) corpora: Vec<CorpusResult>,
    /// The strategy with the smallest geometric mean of its times relative to the fastest, over all corpora and states of
    /// the cache.
    pub(super) recommendation: Option<&'static str>,
    pub(super) goals: Vec<Goal>,
    /// Who was left out, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct CorpusResult {
    pub(super) name: String,
    pub(super) path: String,
    /// As the sequential reader found them.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// For each state of the cache the fastest first, those that are not verified last.
    pub(super) cells: Vec<Cell>,
    /// Who did not get as far as a cell.
    pub(super) failures: Vec<Failure>,
    /// The sequential reader has contradicted itself: the tree is not what it was.
    #[serde(skip)]
    pub(super) changed: bool,
    /// The goals that hold for it, if there are any.
    #[serde(skip)]
    pub(super) goals: Option<Measure>,
    /// By state of the cache.
    fastest: BTreeMap<Cache, &'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Cell {
    /// The contestant's name, whatever its kind.
    pub(super) strategy: &'static str,
    pub(super) kind: Kind,
    #[serde(skip)]
    pub(super) twin: Option<&'static str>,
    pub(super) cache: Cache,
    /// Whether the cache was in that state at each sample.
    pub(super) cache_verified: bool,
    pub(super) median_s: f64,
    pub(super) ci_low_s: f64,
    pub(super) ci_high_s: f64,
    pub(super) samples_s: Vec<f64>,
    pub(super) files_per_s: f64,
    pub(super) bytes_per_s: f64,
    pub(super) peak_rss_bytes: u64,
    pub(super) cpu_s: f64,
    /// Of the sample that was farthest from the state of the cache: what came from storage.
    pub(super) fetched_bytes: u64,
    /// What is stored: all of this has to be fetched when the cache is cold.
    pub(super) stored_bytes: u64,
    pub(super) failed: u64,
    /// Whether every sample found what the sequential reader found.
    pub(super) verified: bool,
    pub(super) totals: Totals,
}

/// A contestant whose sample failed.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    pub(super) strategy: &'static str,
    pub(super) kind: Kind,
    pub(super) cache: Cache,
    /// How the process ended, and the last that it said.
    pub(super) error: String,
}

impl Failure {
    pub(super) fn new(contestant: Contestant, cache: Cache, error: &anyhow::Error) -> Self {
        Self { strategy: contestant.name(), kind: contestant.kind(), cache, error: format!("{error:#}") }
    }
}

impl Results {
    pub(super) fn new(analysis: Analysis, runs: usize, notes: Vec<String>, corpora: Vec<CorpusResult>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            host: Host::read(),
            analysis: analysis.name(),
            runs,
            recommendation: recommend(&corpora),
            // They were set for the analysis that counts.
            goals: if analysis == Analysis::TextStats { Goal::all(&corpora) } else { Vec::new() },
            notes,
            corpora,
        }
    }

    /// Whether nothing failed and nobody found anything else than the sequential reader.
    pub(super) fn all_verified(&self) -> bool {
        self.corpora.iter().all(|corpus| corpus.failures.is_empty() && corpus.cells.iter().all(|cell| cell.verified))
    }
}

impl CorpusResult {
    pub(super) fn new(corpus: &Corpus, reference: &Found, mut cells: Vec<Cell>, failures: Vec<Failure>) -> Self {
        cells.sort_by(|a, b| {
            let wrong_last = a.cache.cmp(&b.cache).then(b.verified.cmp(&a.verified));
            wrong_last.then(a.median_s.total_cmp(&b.median_s))
        });
        let mut result = Self {
            name: corpus.name.clone(),
            path: corpus.path.to_string_lossy().into_owned(),
            files: reference.totals.files,
            bytes: reference.totals.bytes,
            changed: cells.iter().any(|cell| cell.strategy == "sequential" && !cell.verified),
            goals: corpus.goals,
            fastest: BTreeMap::new(),
            cells,
            failures,
        };
        for cache in result.caches() {
            let fastest = result.ranked(cache).next().map(|cell| cell.strategy);
            result.fastest.extend(fastest.map(|fastest| (cache, fastest)));
        }
        result
    }

    /// One that even the sequential reader could not read.
    pub(super) fn unread(corpus: &Corpus, error: String) -> Self {
        let sequential = Contestant::Strategy(polyread_cli::Strategy::Sequential);
        let failure = Failure { error, ..Failure::new(sequential, Cache::Warm, &anyhow::anyhow!("")) };
        Self::new(corpus, &Found::default(), Vec::new(), vec![failure])
    }

    /// Why there is nothing to compare on, if there is nothing.
    pub(super) fn unreadable(&self) -> Option<&str> {
        if self.files == 0 { self.failures.first().map(|failure| failure.error.as_str()) } else { None }
    }

    /// The states of the cache that it was measured in.
    pub(super) fn caches(&self) -> Vec<Cache> {
        let mut caches: Vec<_> = self.cells.iter().map(|cell| cell.cache).collect();
        caches.extend(self.failures.iter().map(|failure| failure.cache));
        caches.sort_unstable();
        caches.dedup();
        caches
    }

    /// Those that found what they should, whatever their kind, the fastest first.
    pub(super) fn verified(&self, cache: Cache) -> impl DoubleEndedIterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.verified && cell.cache == cache)
    }

    /// The strategies among them: one that finds something else is wrong, however fast.
    pub(super) fn ranked(&self, cache: Cache) -> impl DoubleEndedIterator<Item = &Cell> {
        self.verified(cache).filter(|cell| cell.kind == Kind::Strategy)
    }

    /// The one of that name, if it found what it should.
    pub(super) fn cell(&self, cache: Cache, name: &str) -> Option<&Cell> {
        self.verified(cache).find(|cell| cell.strategy == name)
    }
}

impl Cell {
    pub(super) fn new(
        contestant: Contestant,
        cache: Cache,
        samples: &[Sample],
        reference: &Found,
        stored_bytes: u64,
    ) -> Self {
        let kind = contestant.kind();
        let of = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<_>>();
        let samples_s = of(|sample| sample.elapsed_s);
        let Median { value, low, high } = Median::of(&samples_s);
        let wrong = samples.iter().find(|sample| !sample.found.agrees_with(reference, kind));
        let found = wrong.or(samples.first()).map(|sample| sample.found.clone()).unwrap_or_default();
        let fetched = samples.iter().map(|sample| sample.fetched_bytes);
        let farthest = if cache == Cache::Warm { fetched.max() } else { fetched.min() };
        Self {
            strategy: contestant.name(),
            kind,
            twin: contestant.twin(),
            cache,
            cache_verified: samples.iter().all(|sample| is_as_told(cache, sample, stored_bytes)),
            median_s: value,
            ci_low_s: low,
            ci_high_s: high,
            files_per_s: found.totals.files as f64 / value,
            bytes_per_s: found.totals.bytes as f64 / value,
            peak_rss_bytes: samples.iter().map(|sample| sample.peak_rss_bytes).max().unwrap_or_default(),
            cpu_s: median(of(|sample| sample.cpu_s)),
            fetched_bytes: farthest.unwrap_or_default(),
            stored_bytes,
            failed: found.failed,
            verified: wrong.is_none(),
            totals: found.totals,
            samples_s,
        }
    }

    /// Whether there are samples enough for an interval.
    pub(super) fn has_interval(&self) -> bool {
        self.samples_s.len() >= FEWEST_SAMPLES
    }

    pub(super) fn interval(&self) -> Median {
        Median { value: self.median_s, low: self.ci_low_s, high: self.ci_high_s }
    }
}

fn recommend(corpora: &[CorpusResult]) -> Option<&'static str> {
    let mut sums: BTreeMap<&'static str, (f64, usize)> = BTreeMap::new();
    let mut rankings = 0;
    for corpus in corpora {
        for cache in corpus.caches() {
            rankings += 1;
            let Some(best) = corpus.ranked(cache).next() else { continue };
            for cell in corpus.ranked(cache) {
                let (logs, times) = sums.entry(cell.strategy).or_default();
                *logs += (cell.median_s / best.median_s).ln();
                *times += 1;
            }
        }
    }
    // Only who was right everywhere can be recommended.
    let everywhere = sums.into_iter().filter(|(_, (_, times))| *times == rankings);
    everywhere.min_by(|a, b| a.1.0.total_cmp(&b.1.0)).map(|(strategy, _)| strategy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::floor::Loop;
    use polyread_cli::Strategy::{Rayon, Sequential, Tokio};

    fn cell(contestant: Contestant, seconds: &[f64], files: u64) -> Cell {
        let reference = Found { totals: Totals { files: 7, ..Totals::default() }, ..Found::default() };
        let sample = |elapsed_s: &f64| Sample {
            elapsed_s: *elapsed_s,
            cpu_s: 1.0,
            peak_rss_bytes: 1,
            fetched_bytes: 0,
            found: Found { totals: Totals { files, ..Totals::default() }, ..Found::default() },
        };
        Cell::new(contestant, Cache::Warm, &seconds.iter().map(sample).collect::<Vec<_>>(), &reference, 0)
    }

    fn strategy(strategy: polyread_cli::Strategy, seconds: &[f64], files: u64) -> Cell {
        cell(Contestant::Strategy(strategy), seconds, files)
    }

    fn corpus(cells: Vec<Cell>) -> CorpusResult {
        let corpus = Corpus { name: "c".to_owned(), path: "/c".into(), goals: None };
        CorpusResult::new(&corpus, &Found::default(), cells, Vec::new())
    }

    #[test]
    fn who_finds_something_else_is_not_ranked_however_fast() {
        let slow = strategy(Sequential, &[3.0, 3.1], 7);
        let corpora = vec![corpus(vec![slow, strategy(Rayon, &[1.0], 6), strategy(Tokio, &[2.0], 7)])];
        let ranking: Vec<_> = corpora[0].cells.iter().map(|cell| (cell.strategy, cell.verified)).collect();
        assert_eq!(ranking, [("tokio", true), ("sequential", true), ("rayon", false)]);
        assert_eq!(corpora[0].fastest[&Cache::Warm], "tokio");
        let results = Results::new(Analysis::TextStats, 1, Vec::new(), corpora);
        assert!(!results.all_verified());
        assert_eq!(results.recommendation, Some("tokio"));
    }

    #[test]
    fn twins_and_floor_are_in_the_table_and_never_the_fastest() {
        let floor = cell(Contestant::Floor(Loop::Bare), &[0.5], 7);
        let twin = cell(Contestant::Naive(Tokio), &[1.0], 7);
        let corpus = corpus(vec![strategy(Tokio, &[2.0], 7), twin, floor]);
        let table: Vec<_> = corpus.verified(Cache::Warm).map(|cell| cell.strategy).collect();
        assert_eq!(table, ["floor", "naive-tokio", "tokio"]);
        assert_eq!(corpus.fastest[&Cache::Warm], "tokio");
        assert_eq!(recommend(&[corpus]), Some("tokio"));
    }

    #[test]
    fn recommended_is_who_loses_least_over_all_corpora() {
        let corpora = vec![
            corpus(vec![strategy(Rayon, &[1.0], 7), strategy(Tokio, &[1.2], 7)]),
            corpus(vec![strategy(Rayon, &[3.0], 7), strategy(Tokio, &[1.0], 7)]),
        ];
        assert_eq!(recommend(&corpora), Some("tokio"));
        assert_eq!(recommend(&[]), None);
    }
}
