//! From samples to cells, from cells to tables.

use std::collections::BTreeMap;
use std::env;

use super::Corpus;
use super::cold::{Cache, is_as_told};
use super::contestant::Contestant;
use super::host;
use super::noise::Noise;
use super::results::{Cell, CorpusResult, Failure};
use super::sample::{Found, Sample};
use super::stats::{Interval, median, outliers};
use super::usage::Usage;

/// A cell is settled when its interval reaches at most so far to both sides of its median, as a part of it.
pub(crate) const PRECISION: f64 = 0.015;

impl CorpusResult {
    pub(crate) fn new(corpus: &Corpus, reference: &Found, mut cells: Vec<Cell>, failures: Vec<Failure>) -> Self {
        cells.sort_by(|a, b| {
            let wrong_last = a.cache.cmp(&b.cache).then(b.verified.cmp(&a.verified));
            wrong_last.then(a.median_s.total_cmp(&b.median_s))
        });
        let mut result = Self {
            name: corpus.name.clone(),
            // Relative to where it was measured from, where it can be: results are shown to others.
            path: corpus
                .path
                .strip_prefix(env::current_dir().unwrap_or_default())
                .unwrap_or(&corpus.path)
                .to_string_lossy()
                .into_owned(),
            file_system: host::file_system(&corpus.path),
            files: reference.totals.files,
            bytes: reference.totals.bytes,
            totals: reference.totals,
            changed: cells.iter().any(|cell| cell.strategy == "sequential" && !cell.verified),
            goals: corpus.goals,
            fastest: BTreeMap::new(),
            noise: BTreeMap::new(),
            timelines: Vec::new(),
            cells,
            failures,
        };
        for cache in result.caches() {
            let fastest = result.ranked(cache).next().map(|cell| cell.strategy.clone());
            result.fastest.extend(fastest.map(|fastest| (cache, fastest)));
            result.noise.insert(cache, Noise::of(result.cells.iter().filter(|cell| cell.cache == cache)));
        }
        result.relate();
        result
    }

    /// One that even the sequential reader could not read.
    pub(crate) fn unread(corpus: &Corpus, error: String) -> Self {
        let sequential = Contestant::Strategy(polyread_cli::Strategy::Sequential);
        let failure = Failure { error, ..Failure::new(sequential, Cache::Warm, &anyhow::anyhow!("")) };
        Self::new(corpus, &Found::default(), Vec::new(), vec![failure])
    }

    /// What each cell is to the others.
    fn relate(&mut self) {
        let relations: Vec<_> = self
            .cells
            .iter()
            .map(|cell| {
                let to = |other: Option<&Cell>| match other.filter(|_| cell.verified)? {
                    other if std::ptr::eq(other, cell) => Some(Interval::ONE),
                    other => Some(Interval::of_ratio(&cell.samples_s, &other.samples_s)),
                };
                let of = |name: &str| to(self.cell(cell.cache, name));
                let fastest = self.fastest.get(&cell.cache);
                let is_ranked = fastest.is_some() && self.ranked(cell.cache).any(|it| std::ptr::eq(it, cell));
                let ties = self.ties(cell.cache, &cell.strategy);
                let tie = match fastest {
                    Some(fastest) if *fastest == cell.strategy => !ties.is_empty(),
                    Some(fastest) => ties.contains(&fastest.as_str()),
                    None => false,
                };
                let to_fastest = fastest.and_then(|fastest| of(fastest));
                (
                    to_fastest,
                    of("floor"),
                    of("sequential"),
                    to(self.twin(cell)),
                    tie && is_ranked && cell.has_interval(),
                )
            })
            .collect();
        for (cell, relation) in self.cells.iter_mut().zip(relations) {
            (cell.to_fastest, cell.to_floor, cell.to_sequential, cell.to_twin, cell.tie) = relation;
        }
    }
}

impl Failure {
    pub(crate) fn new(contestant: Contestant, cache: Cache, error: &anyhow::Error) -> Self {
        let strategy = contestant.name().to_owned();
        Self { strategy, kind: contestant.kind(), cache, error: format!("{error:#}") }
    }
}

impl Cell {
    /// `trial` is the run before the samples, which counts for what it found and for what was observed in it alone; unless
    /// there are no samples, because there was time for one run only.
    pub(crate) fn new(
        contestant: Contestant,
        cache: Cache,
        trial: &Sample,
        samples: &[Sample],
        reference: &Found,
        stored_bytes: u64,
    ) -> Self {
        let trial_only = samples.is_empty();
        let samples = if trial_only { std::slice::from_ref(trial) } else { samples };
        let kind = contestant.kind();
        let of = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<_>>();
        let usage = |figure: fn(&Usage) -> f64| median(samples.iter().map(|sample| figure(&sample.usage)).collect());
        let samples_s = of(|sample| sample.elapsed_s);
        let Interval { value, low, high } = Interval::of_median(&samples_s);
        let wrong = samples.iter().chain([trial]).find(|sample| !sample.found.agrees_with(reference, contestant));
        let found = wrong.or(samples.first()).map(|sample| sample.found.clone()).unwrap_or_default();
        let fetched = samples.iter().map(|sample| sample.usage.fetched_bytes);
        let farthest = if cache == Cache::Warm { fetched.max() } else { fetched.min() };
        Self {
            strategy: contestant.name().to_owned(),
            kind,
            cache,
            cache_verified: samples.iter().all(|sample| is_as_told(cache, sample, stored_bytes)),
            median_s: value,
            ci_low_s: low,
            ci_high_s: high,
            trial_only,
            outliers: outliers(&samples_s),
            settled: samples.len() >= super::stats::FEWEST_SAMPLES
                && Interval { value, low, high }.precision() <= PRECISION,
            to_fastest: None,
            to_floor: None,
            to_sequential: None,
            to_twin: None,
            tie: false,
            files_per_s: found.totals.files as f64 / value,
            bytes_per_s: contestant.bytes_read(found.totals, reference.totals) as f64 / value,
            peak_rss_bytes: samples.iter().map(|sample| sample.peak_rss_bytes).max().unwrap_or_default(),
            cpu_s: usage(|usage| usage.cpu_s),
            cpu_user_s: usage(|usage| usage.cpu_user_s),
            cpu_system_s: usage(|usage| usage.cpu_system_s),
            voluntary_switches: usage(|usage| usage.voluntary_switches as f64),
            involuntary_switches: usage(|usage| usage.involuntary_switches as f64),
            minor_faults: usage(|usage| usage.minor_faults as f64),
            major_faults: usage(|usage| usage.major_faults as f64),
            fetched_bytes: farthest.unwrap_or_default(),
            stored_bytes,
            resident: samples.iter().filter_map(|sample| sample.resident.clone()).max_by_key(|it| it.bytes),
            observed: trial.observed,
            failed: found.failed,
            verified: wrong.is_none(),
            totals: found.totals,
            samples_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::floor::Loop;
    use crate::bench::recommend::overall;
    use crate::bench::sample::Totals;
    use polyread_cli::Strategy::{Rayon, Sequential, Tokio};

    fn cell(contestant: Contestant, seconds: &[f64], files: u64) -> Cell {
        let reference = Found { totals: Totals { files: 7, ..Totals::default() }, ..Found::default() };
        let sample = |elapsed_s: &f64| Sample {
            elapsed_s: *elapsed_s,
            peak_rss_bytes: 1,
            usage: Usage::default(),
            observed: None,
            resident: None,
            found: Found { totals: Totals { files, ..Totals::default() }, ..Found::default() },
        };
        let samples: Vec<_> = seconds.iter().map(sample).collect();
        Cell::new(contestant, Cache::Warm, &samples[0], &samples, &reference, 0)
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
        let ranking: Vec<_> = corpora[0].cells.iter().map(|cell| (cell.strategy.as_str(), cell.verified)).collect();
        assert_eq!(ranking, [("tokio", true), ("sequential", true), ("rayon", false)]);
        assert_eq!(corpora[0].fastest[&Cache::Warm], "tokio");
        assert_eq!(overall(&corpora).as_deref(), Some("tokio"));
    }

    #[test]
    fn twins_and_floor_are_in_the_table_and_never_the_fastest() {
        let floor = cell(Contestant::Floor(Loop::Bare), &[0.5], 7);
        let twin = cell(Contestant::Naive(Tokio), &[1.0], 7);
        let corpus = corpus(vec![strategy(Tokio, &[2.0], 7), twin, floor]);
        let table: Vec<_> = corpus.verified(Cache::Warm).map(|cell| cell.strategy.as_str()).collect();
        assert_eq!(table, ["floor", "naive-tokio", "tokio"]);
        assert_eq!(corpus.fastest[&Cache::Warm], "tokio");
        assert_eq!(overall(&[corpus]).as_deref(), Some("tokio"));
    }

    #[test]
    fn recommended_is_who_loses_least_over_all_corpora() {
        let corpora = vec![
            corpus(vec![strategy(Rayon, &[1.0], 7), strategy(Tokio, &[1.2], 7)]),
            corpus(vec![strategy(Rayon, &[3.0], 7), strategy(Tokio, &[1.0], 7)]),
        ];
        assert_eq!(overall(&corpora).as_deref(), Some("tokio"));
        assert_eq!(overall(&[]), None);
    }
}
