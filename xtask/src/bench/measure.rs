//! Taking the samples: a trial for each contestant, rounds in random order, and more rounds until the strategies can be told
//! apart or the time is over.

use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use polyread_cli::Strategy;
use polyread_core::Escaped;
use rand_pcg::Pcg64Mcg;

use super::Corpus;
use super::assemble::PRECISION;
use super::cold::{Cache, Tree};
use super::contestant::{Contestant, Kind};
use super::noise;
use super::progress::Progress;
use super::results::{Cell, CorpusResult, Failure};
use super::sample::{Found, Sample};
use super::stats::{FEWEST_SAMPLES, Interval, below};

/// What is to be compared.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) party: Vec<Contestant>,
    pub(crate) caches: Vec<Cache>,
    /// Samples of each contestant that is not too slow for so many, before more are added.
    pub(crate) runs: usize,
    /// For all of it.
    pub(crate) budget: Option<Duration>,
    /// Without a budget: how long samples are added to one ranking, counted from its beginning.
    pub(crate) patience: Duration,
}

/// Where samples are taken: in tests, without processes and clocks.
pub(crate) trait Laboratory {
    /// The last says whether to look on.
    fn sample(&mut self, corpus: &Corpus, contestant: Contestant, cache: Cache, observe: bool) -> Result<Sample>;

    /// Since the comparison began.
    fn now(&self) -> Duration;

    /// Whether the user has had enough.
    fn is_stopped(&self) -> bool;
}

/// Samples of one cell: more do not narrow an interval that the machine's noise makes wide.
const MOST_SAMPLES: usize = 200;

/// Rounds that are added at once, before it is looked again whether they are enough.
const ADDED: usize = 5;

/// Seconds that the samples of one contestant may take together, when there is no budget: of a strategy or the floor, and
/// of what is not ranked, may be slow, and tells as much with fewer.
const ALLOWANCE: (f64, f64) = (6.0, 3.0);

/// The part of a budget that goes to strategies and the floor.
const RANKED_SHARE: f64 = 0.75;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) corpora: Vec<CorpusResult>,
    /// Who was left out because the time was over.
    pub(crate) notes: Vec<String>,
}

/// Compares the contestants on each corpus, one corpus after the other, so that the one at hand stays in the cache.
///
/// # Errors
///
/// None of the corpora could be measured. Whatever else fails is in the results.
pub(crate) fn measure(
    corpora: &[Corpus],
    plan: &Plan,
    lab: &mut dyn Laboratory,
    rng: Pcg64Mcg,
    progress: Progress,
) -> Result<Measured> {
    let mut rounds = Rounds { plan, lab, rng, progress, left: corpora.len() * plan.caches.len(), notes: Vec::new() };
    let mut results = Vec::new();
    for corpus in corpora {
        if rounds.lab.is_stopped() {
            break;
        }
        results.extend(rounds.corpus(corpus));
    }
    rounds.progress.finish();
    match results.iter().find_map(|corpus| corpus.unreadable()) {
        Some(error) if results.iter().all(|corpus| corpus.unreadable().is_some()) => Err(anyhow!("{error}")),
        _ => Ok(Measured { corpora: results, notes: rounds.notes }),
    }
}

struct Rounds<'a> {
    plan: &'a Plan,
    lab: &'a mut dyn Laboratory,
    rng: Pcg64Mcg,
    progress: Progress,
    /// Rankings that are not begun.
    left: usize,
    notes: Vec<String>,
}

/// A contestant in one ranking.
struct Turn {
    contestant: Contestant,
    trial: Sample,
    /// Seconds that a sample takes, with all that belongs to it, such as emptying the cache.
    cost_s: f64,
    /// Samples that it has before more are added.
    own: usize,
    samples: Vec<Sample>,
    failed: Option<Error>,
}

impl Turn {
    fn is_ranked(&self) -> bool {
        self.contestant.kind().comes_first()
    }

    /// Whether its interval is as narrow as it is going to be.
    fn is_settled(&self) -> bool {
        if self.failed.is_some() || self.contestant.kind() != Kind::Strategy || self.samples.len() >= MOST_SAMPLES {
            return true;
        }
        let times: Vec<_> = self.samples.iter().map(|sample| sample.elapsed_s).collect();
        times.len() >= FEWEST_SAMPLES && Interval::of_median(&times).precision() <= PRECISION
    }
}

/// What one ranking came to.
type Ranking = (Vec<Cell>, Vec<Failure>);

impl Rounds<'_> {
    /// `None` if it was stopped before there was anything to tell.
    fn corpus(&mut self, corpus: &Corpus) -> Option<CorpusResult> {
        self.progress.begin(corpus, self.plan.caches[0], self.left, self.expected_end());
        // It reads every corpus once, whether it takes part or not: its totals are the truth, and the cache is warm.
        let reference = self.sample(corpus, Contestant::Strategy(Strategy::Sequential), Cache::Warm, false);
        if self.lab.is_stopped() {
            return None;
        }
        let reference = match reference.map(|sample| sample.found) {
            Ok(found) if found.totals.files > 0 => found,
            Ok(_) => {
                let error = format!("there is no file to read below {}", Escaped(corpus.path.as_os_str()));
                return Some(CorpusResult::unread(corpus, error));
            }
            Err(error) => {
                return Some(CorpusResult::unread(corpus, format!("the sequential reader failed: {error:#}")));
            }
        };
        let (mut cells, mut failures, mut watches) = (Vec::new(), Vec::new(), Vec::new());
        for cache in self.plan.caches.clone() {
            if self.lab.is_stopped() {
                break;
            }
            self.progress.begin(corpus, cache, self.left, self.expected_end());
            let watch = noise::Watch::begin();
            match self.ranking(corpus, cache, &reference) {
                Ok(ranking) => {
                    cells.extend(ranking.0);
                    failures.extend(ranking.1);
                }
                Err(error) => failures.extend(self.plan.party.iter().map(|it| Failure::new(*it, cache, &error))),
            }
            watches.push((cache, watch.end()));
            self.left -= 1;
        }
        if cells.is_empty() && failures.is_empty() {
            return None;
        }
        let is_wrong = cells.iter().any(|cell| !cell.verified);
        let mut result = CorpusResult::new(corpus, &reference, cells, failures);
        if is_wrong && !result.changed && !self.lab.is_stopped() {
            // Whose fault is it?
            let again = self.sample(corpus, Contestant::Strategy(Strategy::Sequential), Cache::Warm, false);
            result.changed = again.is_ok_and(|again| again.found != reference);
        }
        for (cache, processors) in watches {
            if let Some(noise) = result.noise.get_mut(&cache) {
                (noise.steal, noise.others) = (processors.steal, processors.others);
            }
        }
        Some(result)
    }

    /// When the ranking that begins now has to end: what is left of the budget is shared by those that are left.
    fn until(&self) -> Duration {
        let now = self.lab.now();
        match self.plan.budget {
            Some(budget) => now + budget.saturating_sub(now) / u32::try_from(self.left.max(1)).unwrap_or(u32::MAX),
            None => now + self.plan.patience,
        }
    }

    /// When all of it will be over, as far as can be told.
    fn expected_end(&self) -> Duration {
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        self.plan.budget.unwrap_or_else(|| self.lab.now() + self.plan.patience * left)
    }

    fn ranking(&mut self, corpus: &Corpus, cache: Cache, reference: &Found) -> Result<Ranking> {
        let mut tree = if cache == Cache::Cold { Some(Tree::list(&corpus.path)?) } else { None };
        let mut stored_bytes = reference.totals.bytes;
        let mut take = |rounds: &mut Self, contestant, observe| {
            let evicted = tree.as_mut().map(Tree::evict);
            stored_bytes = evicted.as_ref().map_or(stored_bytes, |evicted| evicted.stored_bytes);
            let resident = evicted.and_then(|evicted| evicted.resident);
            rounds.sample(corpus, contestant, cache, observe).map(|sample| Sample { resident, ..sample })
        };
        let until = self.until();
        let mut failures = Vec::new();
        let ranked = |it: &Contestant| it.kind().comes_first();
        let mut turns = self.trials(corpus, cache, until, &mut failures, &mut take, &ranked);
        if self.plan.budget.is_some() {
            // What time there is goes to them first: one trial of others may take all that is left.
            for _ in 0..FEWEST_SAMPLES.min(self.plan.runs) {
                self.round(&mut turns, until, &mut take, &Turn::is_ranked);
            }
        }
        turns.extend(self.trials(corpus, cache, until, &mut failures, &mut take, &|it| !ranked(it)));
        self.share(&mut turns, until);
        for round in 0..self.plan.runs {
            // Fewer samples are spread over all rounds: the machine is another one at their end.
            let runs = self.plan.runs;
            self.round(&mut turns, until, &mut take, &|turn| (round + 1) * turn.own / runs > round * turn.own / runs);
        }
        // Every strategy has its turn in them, settled or not: times of other hours do not compare. What a test of
        // significance must not do, looking again until it likes what it sees, is no harm to an interval's width.
        let mut missing = 0.0_f64;
        while !self.is_over(until, missing) && !turns.iter().all(Turn::is_settled) {
            missing = turns.iter().filter(|turn| turn.is_ranked()).map(|turn| turn.cost_s).sum();
            // Others that are as quick lack an interval for nothing but the order of things.
            let most = turns.iter().filter(|turn| turn.is_ranked()).map(|turn| turn.cost_s).fold(0.0, f64::max);
            let is_due = |turn: &Turn| turn.is_ranked() || (turn.cost_s <= most && turn.samples.len() < FEWEST_SAMPLES);
            for _ in 0..ADDED {
                if !self.is_over(until, missing) {
                    self.round(&mut turns, until, &mut take, &is_due);
                }
            }
        }
        let mut cells = Vec::new();
        for turn in turns {
            match turn.failed {
                Some(error) => failures.push(Failure::new(turn.contestant, cache, &error)),
                None => {
                    let Turn { contestant, trial, samples, .. } = turn;
                    cells.push(Cell::new(contestant, cache, &trial, &samples, reference, stored_bytes));
                }
            }
        }
        Ok((cells, failures))
    }

    /// Whether there is no time left for something that takes so many seconds.
    fn is_over(&self, until: Duration, seconds: f64) -> bool {
        self.lab.is_stopped() || self.lab.now() + Duration::from_secs_f64(seconds) > until
    }

    /// What is paid for once is paid here. It tells how long a sample takes, and is looked at more closely than samples are.
    fn trials(
        &mut self,
        corpus: &Corpus,
        cache: Cache,
        until: Duration,
        failures: &mut Vec<Failure>,
        take: &mut dyn FnMut(&mut Self, Contestant, bool) -> Result<Sample>,
        whose: &dyn Fn(&Contestant) -> bool,
    ) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut left_out = Vec::new();
        for contestant in self.plan.party.iter().copied().filter(whose).collect::<Vec<_>>() {
            if self.lab.is_stopped() {
                break;
            }
            if self.plan.budget.is_some() && !contestant.kind().comes_first() && self.is_over(until, 0.0) {
                left_out.push(contestant.name());
                continue;
            }
            let begun = self.lab.now();
            let trial = take(self, contestant, true);
            let cost_s = (self.lab.now() - begun).as_secs_f64();
            match trial {
                Ok(trial) => {
                    turns.push(Turn { contestant, trial, cost_s, own: 0, samples: Vec::new(), failed: None });
                }
                Err(_) if self.lab.is_stopped() => break,
                Err(error) => failures.push(Failure::new(contestant, cache, &error)),
            }
        }
        if !left_out.is_empty() {
            let (left_out, cache) = (left_out.join(", "), cache.name());
            self.notes
                .push(format!("The time was over before they had their turn on {}, {cache}: {left_out}.", corpus.name));
        }
        turns
    }

    /// How many samples each has before more are added.
    fn share(&mut self, turns: &mut [Turn], until: Duration) {
        let runs = self.plan.runs;
        let left_s = until.saturating_sub(self.lab.now()).as_secs_f64();
        let ranked = turns.iter().filter(|turn| turn.is_ranked()).count();
        let others = turns.len() - ranked;
        for turn in &mut *turns {
            let (allowance, fewest) = match (self.plan.budget, turn.is_ranked()) {
                (None, true) => (ALLOWANCE.0, FEWEST_SAMPLES),
                (None, false) => (ALLOWANCE.1, 0),
                (Some(_), true) => (left_s * RANKED_SHARE / ranked as f64, 1),
                (Some(_), false) => (left_s * (1.0 - RANKED_SHARE) / others as f64, 0),
            };
            turn.own = affordable(turn.cost_s, allowance, fewest.min(runs), runs);
        }
        let expected: f64 = turns.iter().map(|turn| turn.own as f64 * turn.cost_s).sum();
        let end = (self.lab.now() + Duration::from_secs_f64(expected)).max(until);
        let others = self.plan.patience * u32::try_from(self.left.saturating_sub(1)).unwrap_or(u32::MAX);
        self.progress.expect(self.plan.budget.unwrap_or(end + others));
    }

    /// A sample of everyone who is due, in random order.
    fn round(
        &mut self,
        turns: &mut [Turn],
        until: Duration,
        take: &mut dyn FnMut(&mut Self, Contestant, bool) -> Result<Sample>,
        is_due: &dyn Fn(&Turn) -> bool,
    ) {
        for at in shuffled(turns.len(), &mut self.rng) {
            let turn = &mut turns[at];
            if turn.failed.is_some() || !is_due(turn) {
                continue;
            }
            if self.lab.is_stopped() || (self.plan.budget.is_some() && self.is_over(until, 0.0)) {
                return;
            }
            match take(self, turn.contestant, false) {
                Ok(sample) => turn.samples.push(sample),
                Err(_) if self.lab.is_stopped() => return,
                Err(error) => turn.failed = Some(error),
            }
        }
    }

    fn sample(&mut self, corpus: &Corpus, contestant: Contestant, cache: Cache, observe: bool) -> Result<Sample> {
        self.progress.sample(contestant.name(), self.lab.now());
        self.lab.sample(corpus, contestant, cache, observe)
    }
}

/// The most samples, up to `runs`, that so many seconds allow for.
fn affordable(seconds: f64, allowance: f64, fewest: usize, runs: usize) -> usize {
    (fewest..=runs).rev().find(|samples| *samples as f64 * seconds <= allowance).unwrap_or(fewest)
}

/// The numbers below `n` in random order (Fisher and Yates).
pub(crate) fn shuffled(n: usize, rng: &mut Pcg64Mcg) -> Vec<usize> {
    let mut order: Vec<_> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, below(rng, last + 1));
    }
    order
}

#[cfg(test)]
mod tests;
