//! Taking the samples: one trial for each contestant, then rounds in random order.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use polyread_cli::Strategy;
use polyread_core::Escaped;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use super::Corpus;
use super::cold::{Cache, Tree};
use super::contestant::{Contestant, Kind};
use super::results::{Cell, CorpusResult, Failure};
use super::sample::{Found, Sample};
use super::stats::{FEWEST_SAMPLES, below};

/// What is to be compared.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) party: Vec<Contestant>,
    pub(crate) caches: Vec<Cache>,
    pub(crate) runs: usize,
}

/// How a sample is taken: in tests, without processes. The last says whether to look on.
type Take<'a> = dyn FnMut(&Corpus, Contestant, Cache, bool) -> Result<Sample> + 'a;

/// A contestant's trial and samples so far, and how many there are to be.
type Turn = (Contestant, Result<(Sample, Vec<Sample>)>, usize);

/// Compares the contestants on each corpus, one corpus after the other, so that the one at hand stays in the cache.
///
/// # Errors
///
/// None of the corpora could be measured. Whatever else fails is in the results.
pub(crate) fn measure(corpora: &[Corpus], plan: &Plan, take: &mut Take<'_>) -> Result<Vec<CorpusResult>> {
    let progress = Progress::new(corpora.len() * (1 + plan.caches.len() * plan.party.len() * (1 + plan.runs)));
    // Which order they take turns in must not be the same from one comparison to the next.
    let rng = Pcg64Mcg::seed_from_u64(RandomState::new().build_hasher().finish());
    let mut rounds = Rounds { plan, take, rng, progress };
    let results: Vec<_> = corpora.iter().map(|corpus| rounds.corpus(corpus)).collect();
    rounds.progress.0.finish_and_clear();
    match results.iter().find_map(|corpus| corpus.unreadable()) {
        Some(error) if results.iter().all(|corpus| corpus.unreadable().is_some()) => Err(anyhow!("{error}")),
        _ => Ok(results),
    }
}

struct Rounds<'a> {
    plan: &'a Plan,
    take: &'a mut Take<'a>,
    rng: Pcg64Mcg,
    progress: Progress,
}

impl Rounds<'_> {
    fn corpus(&mut self, corpus: &Corpus) -> CorpusResult {
        self.progress.corpus(corpus);
        // It reads every corpus once, whether it takes part or not: its totals are the truth, and the cache is warm.
        let reference = self.sample(corpus, Contestant::Strategy(Strategy::Sequential), Cache::Warm, false);
        let reference = match reference.map(|sample| sample.found) {
            Ok(found) if found.totals.files > 0 => found,
            Ok(_) => {
                let error = format!("there is no file to read below {}", Escaped(corpus.path.as_os_str()));
                return CorpusResult::unread(corpus, error);
            }
            Err(error) => return CorpusResult::unread(corpus, format!("the sequential reader failed: {error:#}")),
        };
        let (mut cells, mut failures) = (Vec::new(), Vec::new());
        for cache in self.plan.caches.clone() {
            match self.cells(corpus, cache, &reference) {
                Ok(results) => {
                    for (contestant, result) in results {
                        match result {
                            Ok(cell) => cells.push(cell),
                            Err(error) => failures.push(Failure::new(contestant, cache, &error)),
                        }
                    }
                }
                Err(error) => failures.extend(self.plan.party.iter().map(|it| Failure::new(*it, cache, &error))),
            }
        }
        CorpusResult::new(corpus, &reference, cells, failures)
    }

    /// Each contestant's samples, or why it has none.
    fn cells(&mut self, corpus: &Corpus, cache: Cache, reference: &Found) -> Result<Vec<(Contestant, Result<Cell>)>> {
        let tree = if cache == Cache::Cold { Some(Tree::list(&corpus.path)?) } else { None };
        let mut stored_bytes = reference.totals.bytes;
        let mut take = |rounds: &mut Self, contestant, observe| {
            if let Some(tree) = &tree {
                stored_bytes = tree.evict();
            }
            rounds.sample(corpus, contestant, cache, observe)
        };
        let runs = self.plan.runs;
        // The trial does not count: what is paid for once is paid there. It tells how long a sample takes.
        let mut turns: Vec<Turn> = Vec::new();
        for contestant in self.plan.party.clone() {
            let trial = take(self, contestant, true);
            let own = trial.as_ref().map_or(0, |trial| affordable(contestant.kind(), trial.elapsed_s, runs));
            turns.push((contestant, trial.map(|trial| (trial, Vec::with_capacity(own))), own));
            self.progress.skip(runs - own);
        }
        for round in 0..runs {
            for turn in shuffled(turns.len(), &mut self.rng) {
                let (contestant, taken, own) = &mut turns[turn];
                // Fewer samples are spread over all rounds: the machine is another one at their end.
                let is_due = (round + 1) * *own / runs > round * *own / runs;
                let Ok((_, samples)) = taken else { continue };
                if is_due {
                    match take(self, *contestant, false) {
                        Ok(sample) => samples.push(sample),
                        Err(error) => *taken = Err(error),
                    }
                }
            }
        }
        let cell = |contestant, (trial, samples): (Sample, Vec<Sample>)| {
            Cell::new(contestant, cache, &trial, &samples, reference, stored_bytes)
        };
        Ok(turns
            .into_iter()
            .map(|(contestant, taken, _)| (contestant, taken.map(|samples| cell(contestant, samples))))
            .collect())
    }

    fn sample(&mut self, corpus: &Corpus, contestant: Contestant, cache: Cache, observe: bool) -> Result<Sample> {
        self.progress.0.set_message(format!("{}: {}", corpus.name, contestant.name()));
        self.progress.0.tick();
        let sample = (self.take)(corpus, contestant, cache, observe);
        self.progress.0.inc(1);
        sample
    }
}

/// How many samples of so many seconds a contestant has. What is not ranked may be slow, and tells as much with fewer; a
/// strategy always has enough of them for an interval, if so many are asked for.
fn affordable(kind: Kind, seconds: f64, runs: usize) -> usize {
    let (budget, fewest) = if kind == Kind::Naive { (3.0, 1) } else { (6.0, FEWEST_SAMPLES) };
    let least = fewest.min(runs);
    (least..=runs).rev().find(|samples| *samples as f64 * seconds <= budget).unwrap_or(least)
}

/// The numbers below `n` in random order (Fisher and Yates).
fn shuffled(n: usize, rng: &mut Pcg64Mcg) -> Vec<usize> {
    let mut order: Vec<_> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, below(rng, last + 1));
    }
    order
}

/// A bar where somebody watches; else a line for each corpus.
struct Progress(ProgressBar);

impl Progress {
    fn new(samples: usize) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(samples as u64);
        match ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} samples, {eta} left") {
            Ok(style) => Self(bar.with_style(style)),
            Err(_) => Self(bar),
        }
    }

    fn corpus(&self, corpus: &Corpus) {
        if self.0.is_hidden() {
            // Unlike `eprintln!`, no panic where standard error is closed.
            let _ = writeln!(io::stderr(), "measuring on {}", Escaped(corpus.path.as_os_str()));
        }
    }

    /// Samples that will not be taken.
    fn skip(&self, samples: usize) {
        self.0.dec_length(samples as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::floor::Loop;
    use std::collections::BTreeMap;

    use crate::bench::sample::{Totals, Usage};

    fn corpus() -> Corpus {
        Corpus { name: "c".to_owned(), path: "/c".into(), goals: None }
    }

    fn sample(elapsed_s: f64) -> Sample {
        let found = Found { totals: Totals { files: 7, ..Totals::default() }, ..Found::default() };
        Sample { elapsed_s, peak_rss_bytes: 1, usage: Usage::default(), observed: None, found }
    }

    fn plan(runs: usize) -> Plan {
        let party = [Strategy::Rayon, Strategy::Tokio].map(Contestant::Strategy);
        Plan {
            party: party
                .into_iter()
                .chain([Contestant::Naive(Strategy::Rayon), Contestant::Floor(Loop::Bare)])
                .collect(),
            caches: vec![Cache::Warm],
            runs,
        }
    }

    #[test]
    fn a_sample_that_fails_costs_its_own_cell_and_no_other() {
        let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
        let results = measure(&[corpus()], &plan(5), &mut |_, contestant, _, _| {
            let turn = turns.entry(contestant.name()).or_default();
            *turn += 1;
            match (contestant.name(), *turn) {
                ("tokio", 3) => Err(anyhow!("signal: 9 (SIGKILL): out of luck")),
                _ => Ok(sample(0.1)),
            }
        })
        .unwrap();
        // Trial and samples; for tokio trial, sample, and the one that failed.
        assert_eq!(
            turns,
            BTreeMap::from([("floor", 6), ("naive-rayon", 6), ("rayon", 6), ("sequential", 1), ("tokio", 3)])
        );
        let names: Vec<_> = results[0].cells.iter().map(|cell| cell.strategy.as_str()).collect();
        assert_eq!(names, ["rayon", "naive-rayon", "floor"]);
        let [failure] = &results[0].failures[..] else { panic!("{:?}", results[0].failures) };
        assert_eq!((failure.strategy.as_str(), failure.error.as_str()), ("tokio", "signal: 9 (SIGKILL): out of luck"));
    }

    #[test]
    fn a_corpus_that_cannot_be_read_costs_no_other() {
        let mut first = true;
        let results = measure(&[corpus(), corpus()], &plan(1), &mut |_, _, _, _| {
            if std::mem::take(&mut first) { Err(anyhow!("no luck")) } else { Ok(sample(0.1)) }
        })
        .unwrap();
        assert!(results[0].unreadable().unwrap().contains("no luck"));
        assert_eq!((results[0].cells.len(), results[1].cells.len()), (0, 4));
        let error = measure(&[corpus()], &plan(1), &mut |_, _, _, _| Err(anyhow!("no luck"))).unwrap_err();
        assert!(error.to_string().contains("no luck"));
    }

    #[test]
    fn what_is_slow_has_fewer_samples_spread_over_all_rounds() {
        assert_eq!(affordable(Kind::Strategy, 0.1, 10), 10);
        assert_eq!(affordable(Kind::Strategy, 0.8, 10), 7);
        assert_eq!(affordable(Kind::Strategy, 100.0, 10), FEWEST_SAMPLES);
        assert_eq!(affordable(Kind::Strategy, 100.0, 1), 1);
        assert_eq!(affordable(Kind::Naive, 1.0, 10), 3);
        assert_eq!(affordable(Kind::Naive, 100.0, 10), 1);
        let mut order = Vec::new();
        measure(&[corpus()], &plan(10), &mut |_, contestant, _, _| {
            order.push(contestant.name());
            Ok(sample(if contestant.kind() == Kind::Naive { 1.5 } else { 0.1 }))
        })
        .unwrap();
        // After the reference and the trials: ten rounds of three, and the twin in the fifth and in the tenth.
        let rounds = &order[5..];
        assert_eq!(rounds.len(), 32);
        let at: Vec<_> = (0..32).filter(|at| rounds[*at] == "naive-rayon").collect();
        assert!((12..16).contains(&at[0]) && (28..32).contains(&at[1]), "{at:?}");
    }

    #[test]
    fn every_strategy_has_its_turn_in_each_round_and_every_place_in_time() {
        let mut rng = Pcg64Mcg::seed_from_u64(7);
        let mut first = [0; 3];
        for _ in 0..300 {
            let mut order = shuffled(3, &mut rng);
            first[order[0]] += 1;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2]);
        }
        assert!(first.iter().all(|times| *times > 60), "{first:?}");
    }
}
