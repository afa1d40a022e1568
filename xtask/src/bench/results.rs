//! What a comparison comes to. The keys are stable: scripts depend on them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::host::Host;
use super::sample::{Found, Sample, Totals};
use super::stats::{FEWEST_SAMPLES, Median, median};

const SCHEMA_VERSION: u32 = 1;

/// The only cache state that is measured yet, as it is spelled.
pub(super) const WARM: &str = "warm";

#[derive(Debug, Serialize)]
pub(super) struct Results {
    schema_version: u32,
    host: Host,
    analysis: String,
    pub(super) corpora: Vec<CorpusResult>,
    /// The strategy with the smallest geometric mean of its times relative to the fastest, over all corpora.
    pub(super) recommendation: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct CorpusResult {
    pub(super) name: String,
    pub(super) path: String,
    /// As the sequential reader found them.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// In the order of the ranking, those that are not verified last.
    pub(super) cells: Vec<Cell>,
    /// The sequential reader has contradicted itself: the tree is not what it was.
    #[serde(skip)]
    pub(super) changed: bool,
    /// By cache state.
    fastest: BTreeMap<&'static str, &'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) strategy: &'static str,
    kind: &'static str,
    cache: &'static str,
    pub(super) median_s: f64,
    pub(super) ci_low_s: f64,
    pub(super) ci_high_s: f64,
    samples_s: Vec<f64>,
    pub(super) files_per_s: f64,
    pub(super) bytes_per_s: f64,
    pub(super) peak_rss_bytes: u64,
    pub(super) cpu_s: f64,
    pub(super) failed: u64,
    /// Whether every sample found what the sequential reader found.
    pub(super) verified: bool,
    pub(super) totals: Totals,
}

impl Results {
    pub(super) fn new(host: Host, analysis: String, corpora: Vec<CorpusResult>) -> Self {
        let recommendation = recommend(&corpora);
        Self { schema_version: SCHEMA_VERSION, host, analysis, corpora, recommendation }
    }

    pub(super) fn all_verified(&self) -> bool {
        self.corpora.iter().all(|corpus| corpus.cells.iter().all(|cell| cell.verified))
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn analysis(&self) -> &str {
        &self.analysis
    }
}

impl CorpusResult {
    pub(super) fn new(name: String, path: String, reference: &Found, mut cells: Vec<Cell>) -> Self {
        cells.sort_by(|a, b| {
            let wrong_last = b.verified.cmp(&a.verified);
            wrong_last.then(a.median_s.partial_cmp(&b.median_s).unwrap_or(Ordering::Equal))
        });
        let first = cells.first().filter(|cell| cell.verified);
        let changed = cells.iter().any(|cell| cell.strategy == "sequential" && !cell.verified);
        Self {
            name,
            path,
            files: reference.totals.files,
            bytes: reference.totals.bytes,
            changed,
            fastest: first.map(|cell| (WARM, cell.strategy)).into_iter().collect(),
            cells,
        }
    }

    /// Those that are ranked: a strategy that finds something else is wrong, however fast.
    pub(super) fn ranked(&self) -> impl DoubleEndedIterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.verified)
    }
}

impl Cell {
    pub(super) fn new(strategy: &'static str, samples: &[Sample], reference: &Found) -> Self {
        let of = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<_>>();
        let samples_s = of(|sample| sample.elapsed_s);
        let Median { value, low, high } = Median::of(&samples_s);
        let wrong = samples.iter().find(|sample| sample.found != *reference);
        let found = wrong.or(samples.first()).map(|sample| sample.found.clone()).unwrap_or_default();
        Self {
            strategy,
            kind: "strategy",
            cache: WARM,
            median_s: value,
            ci_low_s: low,
            ci_high_s: high,
            files_per_s: found.totals.files as f64 / value,
            bytes_per_s: found.totals.bytes as f64 / value,
            peak_rss_bytes: samples.iter().map(|sample| sample.peak_rss_bytes).max().unwrap_or_default(),
            cpu_s: median(of(|sample| sample.cpu_s)),
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
    for corpus in corpora {
        let best = corpus.ranked().next()?.median_s;
        for cell in corpus.ranked() {
            let (logs, times) = sums.entry(cell.strategy).or_default();
            *logs += (cell.median_s / best).ln();
            *times += 1;
        }
    }
    // Only who was right everywhere can be recommended.
    let everywhere = sums.into_iter().filter(|(_, (_, times))| *times == corpora.len());
    everywhere.min_by(|a, b| a.1.0.total_cmp(&b.1.0)).map(|(strategy, _)| strategy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(strategy: &'static str, seconds: &[f64], files: u64) -> Cell {
        let reference = Found { totals: Totals { files: 7, ..Totals::default() }, ..Found::default() };
        let sample = |elapsed_s: &f64| Sample {
            elapsed_s: *elapsed_s,
            cpu_s: 1.0,
            peak_rss_bytes: 1,
            found: Found { totals: Totals { files, ..Totals::default() }, ..Found::default() },
        };
        Cell::new(strategy, &seconds.iter().map(sample).collect::<Vec<_>>(), &reference)
    }

    fn corpus(cells: Vec<Cell>) -> CorpusResult {
        CorpusResult::new("c".to_owned(), "/c".to_owned(), &Found::default(), cells)
    }

    #[test]
    fn who_finds_something_else_is_not_ranked_however_fast() {
        let corpora =
            vec![corpus(vec![cell("slow", &[3.0, 3.1], 7), cell("wrong", &[1.0], 6), cell("fast", &[2.0], 7)])];
        let ranking: Vec<_> = corpora[0].cells.iter().map(|cell| (cell.strategy, cell.verified)).collect();
        assert_eq!(ranking, [("fast", true), ("slow", true), ("wrong", false)]);
        assert_eq!(corpora[0].fastest[WARM], "fast");
        let results = Results::new(Host::read(), "text-stats".to_owned(), corpora);
        assert!(!results.all_verified());
        assert_eq!(results.recommendation, Some("fast"));
    }

    #[test]
    fn recommended_is_who_loses_least_over_all_corpora() {
        let corpora = vec![
            corpus(vec![cell("a", &[1.0], 7), cell("b", &[1.2], 7)]),
            corpus(vec![cell("a", &[3.0], 7), cell("b", &[1.0], 7)]),
        ];
        assert_eq!(recommend(&corpora), Some("b"));
        assert_eq!(recommend(&[]), None);
    }
}
