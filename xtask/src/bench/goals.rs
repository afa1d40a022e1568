//! polyread's own goals, held against what was measured: ratios of one run, so that they mean the same on any machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::results::{Cell, CorpusResult};

/// Which goals hold for a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) profile: &'static str,
    /// Whether the tree has the size that they are set for.
    pub(crate) full_size: bool,
}

/// A goal and how far it is.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Goal {
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    pub(crate) what: What,
    pub(crate) strategy: String,
    /// A ratio, or bytes of memory.
    pub(crate) figure: f64,
    /// The ends of its interval: the ratios of the far ends of both intervals, which is more than 95%.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The figure must be at most this.
    pub(crate) limit: Option<f64>,
    /// `None` where there is no limit, or where the tree is not of the size that it is set for.
    pub(crate) verdict: Option<Verdict>,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// Time of the fastest strategy by time of the floor.
    BestToFloor,
    /// Time of any strategy by time of the floor.
    EveryToFloor,
    /// Time of the fastest strategy by time of `find | xargs wc`.
    BestToWc,
    /// Time of the fastest strategy by time of the fastest of the readers in Python.
    BestToPython,
    /// Bytes at the peak, in process.
    Memory,
    /// Cold: time of a strategy by time of its naive twin.
    ToTwin,
    /// Cold: time of the fastest strategy by time of the fastest of anything.
    BestToAny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Even the far end of the interval is within the limit.
    Met,
    /// Even the near end is beyond it.
    Missed,
    /// The noise hides it, or there are too few samples.
    Open,
}

/// Profile, most for the best strategy, most for every strategy.
const TO_FLOOR: [(&str, f64, Option<f64>); 4] =
    [("small", 0.9, Some(1.5)), ("mixed", 1.5, Some(2.2)), ("large", 2.2, Some(3.0)), ("one", 2.2, None)];

/// Profile, how many times faster than `find | xargs wc` the best is to be, and than the best reader in Python.
const THAN_PEERS: [(&str, f64, f64); 4] =
    [("small", 4.0, 15.0), ("mixed", 20.0, 60.0), ("large", 50.0, 100.0), ("one", 50.0, 100.0)];

/// Peers take seconds and have a sample or two, while the goals are far off what the noise can do: a peer without an interval is
/// taken to be within this factor of what was seen.
const PEER_WITHIN: f64 = 2.0;

const MEMORY_BYTES: f64 = 32.0 * 1024.0 * 1024.0;
const BEST_TO_ANY: f64 = 1.05;

impl Measure {
    /// The goals for a profile, if there are any.
    pub(crate) fn of(profile: &str, full_size: bool) -> Option<Self> {
        let profile = TO_FLOOR.iter().map(|limits| limits.0).chain(["empty"]).find(|it| *it == profile)?;
        Some(Self { profile, full_size })
    }
}

impl Goal {
    /// Those of all corpora that goals are set for.
    pub(crate) fn all(corpora: &[CorpusResult]) -> Vec<Self> {
        let mut goals = Vec::new();
        for corpus in corpora {
            let Some(Measure { profile, full_size }) = corpus.goals else { continue };
            for cache in corpus.caches() {
                match cache {
                    Cache::Warm => Self::warm(corpus, profile, &mut goals),
                    Cache::Cold => Self::cold(corpus, &mut goals),
                }
            }
            if !full_size {
                goals.iter_mut().filter(|goal| goal.corpus == corpus.name).for_each(|goal| goal.verdict = None);
            }
        }
        goals
    }

    fn warm(corpus: &CorpusResult, profile: &str, goals: &mut Vec<Self>) {
        let limits = TO_FLOOR.iter().find(|limits| limits.0 == profile);
        if let Some(floor) = corpus.cell(Cache::Warm, "floor") {
            let best = corpus.ranked(Cache::Warm).next();
            goals.extend(best.map(|best| Self::ratio(corpus, What::BestToFloor, best, floor, limits.map(|it| it.1))));
            let limit = limits.and_then(|it| it.2);
            let ratio = |cell| Self::ratio(corpus, What::EveryToFloor, cell, floor, limit);
            goals.extend(corpus.ranked(Cache::Warm).map(ratio));
        }
        Self::than_peers(corpus, profile, goals);
        for cell in corpus.ranked(Cache::Warm) {
            let peak = cell.peak_rss_bytes as f64;
            // Its memory is that of several processes.
            let limit = (cell.strategy != "multiprocess").then_some(MEMORY_BYTES);
            let verdict = limit.map(|limit| if peak <= limit { Verdict::Met } else { Verdict::Missed });
            let (figure, low, high) = (peak, peak, peak);
            goals.push(Self {
                figure,
                low,
                high,
                limit,
                verdict,
                ..Self::ratio(corpus, What::Memory, cell, cell, None)
            });
        }
    }

    fn than_peers(corpus: &CorpusResult, profile: &str, goals: &mut Vec<Self>) {
        let limits = THAN_PEERS.iter().find(|limits| limits.0 == profile);
        let (Some(best), Some(limits)) = (corpus.ranked(Cache::Warm).next(), limits) else { return };
        let python = corpus.verified(Cache::Warm).find(|cell| cell.strategy.starts_with("python-"));
        let wc = corpus.cell(Cache::Warm, "find-xargs-wc");
        for (what, peer, faster) in [(What::BestToWc, wc, limits.1), (What::BestToPython, python, limits.2)] {
            let Some(peer) = peer else { continue };
            let mut goal = Self::ratio(corpus, what, best, peer, Some(1.0 / faster));
            if best.has_interval() && !peer.has_interval() {
                (goal.low, goal.high) =
                    (best.ci_low_s / (peer.median_s * PEER_WITHIN), best.ci_high_s * PEER_WITHIN / peer.median_s);
                goal.verdict = goal.limit.map(|limit| match () {
                    () if goal.high <= limit => Verdict::Met,
                    () if goal.low > limit => Verdict::Missed,
                    () => Verdict::Open,
                });
            }
            goals.push(goal);
        }
    }

    fn cold(corpus: &CorpusResult, goals: &mut Vec<Self>) {
        if let (Some(best), Some(any)) = (corpus.ranked(Cache::Cold).next(), corpus.verified(Cache::Cold).next()) {
            goals.push(Self::ratio(corpus, What::BestToAny, best, any, Some(BEST_TO_ANY)));
        }
        for cell in corpus.ranked(Cache::Cold) {
            let twin = corpus.twin(cell);
            goals.extend(twin.map(|twin| Self::ratio(corpus, What::ToTwin, cell, twin, Some(1.0))));
        }
    }

    fn ratio(corpus: &CorpusResult, what: What, cell: &Cell, to: &Cell, limit: Option<f64>) -> Self {
        let same = std::ptr::eq(cell, to);
        let figure = cell.median_s / to.median_s;
        let (low, high) = if same { (1.0, 1.0) } else { (cell.ci_low_s / to.ci_high_s, cell.ci_high_s / to.ci_low_s) };
        let is_told = same || (cell.has_interval() && to.has_interval());
        let verdict = limit.map(|limit| match () {
            () if is_told && high <= limit => Verdict::Met,
            () if is_told && low > limit => Verdict::Missed,
            () => Verdict::Open,
        });
        let (corpus, cache, strategy) = (corpus.name.clone(), cell.cache, cell.strategy.clone());
        // What was not cold says nothing about the cold. A warm sample that had to fetch something is an outlier, and the
        // interval knows about those.
        let is_as_told = cache == Cache::Warm || (cell.cache_verified && to.cache_verified);
        let verdict = verdict.map(|verdict| if is_as_told { verdict } else { Verdict::Open });
        Self { corpus, cache, what, strategy, figure, low, high, limit, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Corpus;
    use crate::bench::contestant::Contestant;
    use crate::bench::floor::Loop;
    use crate::bench::peers::{Model, Peer};
    use crate::bench::sample::{Found, Sample};
    use crate::bench::usage::Usage;
    use polyread_cli::Strategy::{Multiprocess, Rayon, Tokio};

    fn cell(contestant: Contestant, cache: Cache, seconds: [f64; 6], peak_rss_bytes: u64) -> Cell {
        let sample = |elapsed_s| {
            let found = Found::default();
            Sample { elapsed_s, peak_rss_bytes, usage: Usage::default(), observed: None, resident: None, found }
        };
        Cell::new(contestant, cache, &sample(1.0), &seconds.map(sample), &Found::default(), 0)
    }

    fn goals(cells: Vec<Cell>, full_size: bool) -> Vec<(What, String, Option<Verdict>)> {
        let corpus = Corpus { name: "c".to_owned(), path: "/c".into(), goals: Measure::of("small", full_size) };
        let goals = Goal::all(&[CorpusResult::new(&corpus, &Found::default(), cells, Vec::new())]);
        goals.into_iter().map(|goal| (goal.what, goal.strategy, goal.verdict)).collect()
    }

    #[test]
    fn a_goal_is_met_or_missed_only_where_the_noise_allows_it() {
        let warm = |contestant, seconds| cell(contestant, Cache::Warm, seconds, 40 << 20);
        let cells = || {
            vec![
                warm(Contestant::Floor(Loop::Bare), [1.0; 6]),
                warm(Contestant::Strategy(Rayon), [1.4; 6]),
                warm(Contestant::Strategy(Tokio), [1.4, 1.4, 1.4, 1.45, 1.6, 1.6]),
                warm(Contestant::Strategy(Multiprocess), [1.6; 6]),
            ]
        };
        use Verdict::{Met, Missed, Open};
        use What::{BestToFloor, EveryToFloor, Memory};
        let told = [
            (BestToFloor, "rayon", Some(Missed)),
            (EveryToFloor, "rayon", Some(Met)),
            (EveryToFloor, "tokio", Some(Open)),
            (EveryToFloor, "multiprocess", Some(Missed)),
            (Memory, "rayon", Some(Missed)),
            (Memory, "tokio", Some(Missed)),
            (Memory, "multiprocess", None),
        ];
        assert_eq!(goals(cells(), true), told.map(|(what, strategy, verdict)| (what, strategy.to_owned(), verdict)));
        assert!(goals(cells(), false).iter().all(|goal| goal.2.is_none()));
        assert!(Measure::of("tiny", true).is_none());
    }

    #[test]
    fn a_peer_of_one_sample_is_judged_where_no_noise_can_hide_it() {
        let warm = |contestant, seconds| cell(contestant, Cache::Warm, seconds, 1);
        let peer = |contestant, seconds: f64| {
            let found = Found::default();
            let usage = Usage::default();
            let sample = Sample { elapsed_s: seconds, peak_rss_bytes: 1, usage, observed: None, resident: None, found };
            Cell::new(contestant, Cache::Warm, &sample, std::slice::from_ref(&sample), &Found::default(), 0)
        };
        let than = |wc: f64, python: f64| {
            let cells = vec![
                warm(Contestant::Strategy(Rayon), [0.1; 6]),
                peer(Contestant::Peer(Peer::FindXargsWc), wc),
                peer(Contestant::Peer(Peer::Python(Model::Threads)), python),
            ];
            let goals = goals(cells, true).into_iter();
            goals
                .filter(|goal| matches!(goal.0, What::BestToWc | What::BestToPython))
                .map(|goal| goal.2)
                .collect::<Vec<_>>()
        };
        // Four times and fifteen times as fast are asked for.
        assert_eq!(than(1.0, 4.0), [Some(Verdict::Met); 2]);
        assert_eq!(than(0.5, 2.0), [Some(Verdict::Open); 2]);
        assert_eq!(than(0.1, 0.5), [Some(Verdict::Missed); 2]);
    }

    #[test]
    fn on_a_cold_cache_nobody_is_to_be_slower_than_its_twin() {
        let cold = |contestant, seconds| cell(contestant, Cache::Cold, seconds, 1);
        let cells = vec![
            cold(Contestant::Naive(Tokio), [1.0; 6]),
            cold(Contestant::Strategy(Tokio), [1.1; 6]),
            cold(Contestant::Strategy(Rayon), [1.02; 6]),
            cold(Contestant::Naive(Rayon), [2.0; 6]),
        ];
        let told = [
            (What::BestToAny, "rayon", Some(Verdict::Met)),
            (What::ToTwin, "rayon", Some(Verdict::Met)),
            (What::ToTwin, "tokio", Some(Verdict::Missed)),
        ];
        assert_eq!(goals(cells, true), told.map(|(what, strategy, verdict)| (what, strategy.to_owned(), verdict)));
    }
}
