//! Taking the samples of a sweep: a trial of each point, then rounds over all of them in random order, so that a machine that
//! slows down bends no curve.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use polyread_cli::Strategy;
use polyread_core::Escaped;
use rand_pcg::Pcg64Mcg;

use super::{Curve, Failed, Over, Point};
use crate::bench::Corpus;
use crate::bench::cold::{Cache, Tree, is_as_told};
use crate::bench::contestant::Contestant;
use crate::bench::measure::shuffled;
use crate::bench::progress::Progress;
use crate::bench::sample::{Analysis, Found, Order, Sample, Settings};
use crate::bench::stats::{FEWEST_SAMPLES, Interval};

/// What is to be measured: each strategy at each value.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) over: Over,
    /// One for each value, or one for all of them.
    pub(super) corpora: Vec<Corpus>,
    pub(super) description: String,
    pub(super) values: Vec<u64>,
    pub(super) strategies: Vec<Strategy>,
    pub(super) cache: Cache,
    pub(super) runs: usize,
    pub(super) budget: Option<Duration>,
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// A sample whose totals are the truth, and which warms the cache.
    pub(super) fn reference<'a>(&self, corpus: &'a Corpus) -> Order<'a> {
        Order {
            corpus,
            contestant: Contestant::Strategy(Strategy::Sequential),
            cache: Cache::Warm,
            analysis: Analysis::TextStats,
            settings: Settings::default(),
            observe: false,
            sabotage: None,
        }
    }
}

/// Where samples are taken: in tests, without processes and clocks.
pub(super) trait Bench {
    fn sample(&mut self, order: &Order<'_>) -> Result<Sample>;

    /// Since the sweep began.
    fn now(&self) -> Duration;

    /// Whether the user has had enough.
    fn is_stopped(&self) -> bool;
}

/// What came of it. Points without a sample are in none of it but the notes.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) curves: Vec<Curve>,
    pub(super) failures: Vec<Failed>,
    pub(super) notes: Vec<String>,
}

/// Seconds that the samples of one point may take together, unless the fewest that make an interval take longer.
const ALLOWANCE: f64 = 3.0;

/// A strategy at a value.
struct Turn {
    strategy: Strategy,
    value: u64,
    corpus: usize,
    trial: Option<Sample>,
    /// Seconds that a sample takes, with all that belongs to it, such as emptying the cache.
    cost_s: f64,
    /// Samples that it is to have.
    own: usize,
    samples: Vec<Sample>,
    failed: Option<String>,
}

/// A tree, and what is known of it.
struct Ground<'a> {
    corpus: &'a Corpus,
    found: Found,
    /// If it is to be evicted.
    tree: Option<Tree>,
    stored_bytes: u64,
}

struct Rounds<'a> {
    plan: &'a Plan,
    bench: &'a mut dyn Bench,
    progress: Progress,
    grounds: Vec<Ground<'a>>,
}

/// # Errors
///
/// A tree has no file, or the sequential reader cannot read it. Whatever else fails is in the results.
pub(super) fn measure(plan: &Plan, bench: &mut dyn Bench, mut rng: Pcg64Mcg, progress: Progress) -> Result<Measured> {
    let mut rounds = Rounds { plan, bench, progress, grounds: Vec::new() };
    let budget_end = plan.budget.map(|budget| rounds.bench.now() + budget);
    let expected = rounds.survey()?;
    let mut turns = rounds.turns();
    rounds.progress.expect(budget_end.unwrap_or(rounds.bench.now() + expected));
    for turn in shuffled(turns.len(), &mut rng) {
        if rounds.is_over(budget_end) {
            break;
        }
        rounds.trial(&mut turns[turn]);
    }
    if let Some(end) = budget_end {
        fit(&mut turns, end.saturating_sub(rounds.bench.now()).as_secs_f64());
    }
    let most = turns.iter().map(|turn| turn.own).max().unwrap_or(0);
    let left: f64 = turns.iter().map(|turn| turn.own as f64 * turn.cost_s).sum();
    rounds.progress.expect(rounds.bench.now() + Duration::from_secs_f64(left));
    for round in 0..most {
        for turn in shuffled(turns.len(), &mut rng) {
            if rounds.bench.is_stopped() || (round > 0 && rounds.is_over(budget_end)) {
                break;
            }
            let turn = &mut turns[turn];
            // Fewer samples are spread over all rounds, from the first on: the machine is another one at their end.
            let is_due = round * turn.own % most < turn.own;
            if is_due && turn.trial.is_some() && turn.failed.is_none() {
                match rounds.sample(turn, false) {
                    Ok(sample) => turn.samples.push(sample),
                    Err(_) if rounds.bench.is_stopped() => {}
                    Err(error) => turn.failed = Some(format!("{error:#}")),
                }
            }
        }
    }
    rounds.progress.finish();
    Ok(rounds.results(turns))
}

/// Gives all points the same time, as much of it as fits, but for one sample of each: what is quick has samples enough for an
/// interval then, whatever else is slow.
fn fit(turns: &mut [Turn], seconds: f64) {
    let mut allowance = ALLOWANCE;
    // Who had no trial will have no sample, and costs nothing.
    while turns.iter().any(|turn| turn.own > 1 && turn.cost_s > 0.0)
        && turns.iter().map(|it| it.own as f64 * it.cost_s).sum::<f64>() > seconds
    {
        allowance *= 0.9;
        for turn in &mut *turns {
            while turn.own > 1 && turn.own as f64 * turn.cost_s > allowance {
                turn.own -= 1;
            }
        }
    }
}

impl<'a> Rounds<'a> {
    fn is_over(&self, end: Option<Duration>) -> bool {
        self.bench.is_stopped() || end.is_some_and(|end| self.bench.now() >= end)
    }

    /// Reads every tree once: its totals are the truth, and the cache is warm. Tells about how long all of it will take.
    fn survey(&mut self) -> Result<Duration> {
        let mut seconds = 0.0;
        let name = format!("{}, over {}", self.plan.description, self.plan.over.name());
        let points = self.plan.values.len() * self.plan.strategies.len();
        // It is told as one.
        let all = Corpus { path: (&name).into(), name, goals: None };
        self.progress.begin(&all, self.plan.cache, points, self.bench.now());
        for corpus in &self.plan.corpora {
            self.progress.sample("sequential", self.bench.now());
            let path = Escaped(corpus.path.as_os_str());
            let sample = self.bench.sample(&self.plan.reference(corpus));
            if self.bench.is_stopped() {
                break;
            }
            let sample = sample.with_context(|| format!("the sequential reader failed on {path}"))?;
            if sample.found.totals.files == 0 {
                bail!("there is no file to read below {path}");
            }
            seconds += sample.elapsed_s;
            let tree = if self.plan.cache == Cache::Cold { Some(Tree::list(&corpus.path)?) } else { None };
            let stored_bytes = sample.found.totals.bytes;
            self.grounds.push(Ground { corpus, found: sample.found, tree, stored_bytes });
        }
        let trees = self.plan.values.len() / self.plan.corpora.len();
        let samples = trees * self.plan.strategies.len() * (1 + self.plan.runs);
        Ok(Duration::from_secs_f64(seconds * samples as f64))
    }

    fn turns(&self) -> Vec<Turn> {
        let places = self.plan.values.iter().enumerate();
        let turns = places.flat_map(|(place, value)| {
            self.plan.strategies.iter().map(move |strategy| Turn {
                strategy: *strategy,
                value: *value,
                corpus: place.min(self.plan.corpora.len() - 1),
                trial: None,
                cost_s: 0.0,
                own: self.plan.runs,
                samples: Vec::new(),
                failed: None,
            })
        });
        turns.collect()
    }

    /// It does not count: what is paid for once is paid there. It tells how long a sample takes, and is looked on.
    fn trial(&mut self, turn: &mut Turn) {
        let begun = self.bench.now();
        match self.sample(turn, true) {
            Ok(sample) => turn.trial = Some(sample),
            Err(_) if self.bench.is_stopped() => return,
            Err(error) => turn.failed = Some(format!("{error:#}")),
        }
        turn.cost_s = (self.bench.now() - begun).as_secs_f64();
        let fewest = FEWEST_SAMPLES.min(self.plan.runs);
        let fits = |samples: &usize| *samples as f64 * turn.cost_s <= ALLOWANCE;
        turn.own = (fewest..=self.plan.runs).rev().find(fits).unwrap_or(fewest);
    }

    fn sample(&mut self, turn: &Turn, observe: bool) -> Result<Sample> {
        let ground = &mut self.grounds[turn.corpus];
        let evicted = ground.tree.as_mut().map(Tree::evict);
        ground.stored_bytes = evicted.as_ref().map_or(ground.stored_bytes, |evicted| evicted.stored_bytes);
        let at = format!("{}, {}", turn.strategy.name(), self.plan.over.said(turn.value as f64));
        self.progress.sample(&at, self.bench.now());
        let sample = self.bench.sample(&Order {
            contestant: Contestant::Strategy(turn.strategy),
            cache: self.plan.cache,
            settings: self.plan.over.settings(turn.value),
            observe,
            ..self.plan.reference(ground.corpus)
        });
        let resident = evicted.and_then(|evicted| evicted.resident);
        sample.map(|sample| Sample { resident, ..sample })
    }

    fn results(&self, turns: Vec<Turn>) -> Measured {
        let strategies = self.plan.strategies.iter();
        let mut curves: Vec<_> =
            strategies.map(|it| Curve { strategy: it.name().to_owned(), points: Vec::new() }).collect();
        let (mut failures, mut notes, mut without) = (Vec::new(), Vec::new(), 0);
        for turn in turns {
            let strategy = turn.strategy.name();
            if let Some(error) = turn.failed {
                failures.push(Failed { strategy: strategy.to_owned(), at: turn.value as f64, error });
            } else if turn.samples.is_empty() {
                without += 1;
            } else if let Some(curve) = curves.iter_mut().find(|curve| curve.strategy == strategy) {
                curve.points.push(point(&turn, &self.grounds[turn.corpus], self.plan.cache));
            }
        }
        curves.retain(|curve| !curve.points.is_empty());
        let why = if self.bench.is_stopped() { "it was stopped" } else { "the time was over" };
        if without > 0 {
            notes.push(format!("{without} points have no sample, because {why}."));
        }
        let points = curves.iter().flat_map(|curve| &curve.points);
        let fewer = points.filter(|point| point.samples_s.len() < self.plan.runs).count();
        if fewer > 0 {
            let runs = self.plan.runs;
            notes.push(format!("{fewer} points have fewer than {runs} samples: there was no time for more."));
        }
        Measured { curves, failures, notes }
    }
}

fn point(turn: &Turn, ground: &Ground<'_>, cache: Cache) -> Point {
    let samples_s: Vec<_> = turn.samples.iter().map(|sample| sample.elapsed_s).collect();
    let Interval { value, low, high } = Interval::of_median(&samples_s);
    let mut all = turn.samples.iter().chain(&turn.trial);
    Point {
        at: turn.value as f64,
        files: ground.found.totals.files,
        bytes: ground.found.totals.bytes,
        median_s: value,
        ci_low_s: low,
        ci_high_s: high,
        samples_s,
        peak_rss_bytes: turn.samples.iter().map(|sample| sample.peak_rss_bytes).max().unwrap_or_default(),
        peak_pss_bytes: turn.trial.as_ref().and_then(|trial| trial.observed?.peak_pss_bytes),
        cache_verified: turn.samples.iter().all(|sample| is_as_told(cache, sample, ground.stored_bytes)),
        verified: all.all(|sample| sample.found.agrees_with(&ground.found, Contestant::Strategy(turn.strategy))),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use rand_pcg::rand_core::SeedableRng;

    use super::*;
    use crate::bench::sample::Totals;
    use crate::bench::usage::Usage;

    /// Each sample takes a second for each worker, and tells so.
    struct Clockwork {
        now: Duration,
        stop_at: Option<Duration>,
        taken: Vec<(&'static str, Option<usize>, bool)>,
        fails: fn(&Order<'_>) -> bool,
        words: fn(&Order<'_>) -> u64,
    }

    impl Default for Clockwork {
        fn default() -> Self {
            let (now, taken) = (Duration::ZERO, Vec::new());
            Self { now, stop_at: None, taken, fails: |_| false, words: |_| 3 }
        }
    }

    impl Bench for Clockwork {
        fn sample(&mut self, order: &Order<'_>) -> Result<Sample> {
            let workers = order.settings.workers;
            self.taken.push((order.contestant.name(), workers, order.observe));
            let elapsed_s = 0.1 * workers.unwrap_or(1) as f64;
            self.now += Duration::from_secs_f64(elapsed_s);
            if (self.fails)(order) {
                return Err(anyhow!("signal: 9"));
            }
            let totals = Totals { files: 7, words: (self.words)(order), ..Totals::default() };
            let found = Found { totals, ..Found::default() };
            Ok(Sample { elapsed_s, peak_rss_bytes: 1, usage: Usage::default(), observed: None, resident: None, found })
        }

        fn now(&self) -> Duration {
            self.now
        }

        fn is_stopped(&self) -> bool {
            self.stop_at.is_some_and(|stop| self.now >= stop)
        }
    }

    fn plan(runs: usize, budget: Option<u64>) -> Plan {
        Plan {
            over: Over::Workers,
            corpora: vec![Corpus { name: "c".to_owned(), path: "/c".into(), goals: None }],
            description: "c".to_owned(),
            values: vec![1, 2, 4],
            strategies: vec![Strategy::Rayon, Strategy::Tokio],
            cache: Cache::Warm,
            runs,
            budget: budget.map(Duration::from_secs),
            notes: Vec::new(),
        }
    }

    fn run(plan: &Plan, bench: &mut Clockwork) -> Measured {
        measure(plan, bench, Pcg64Mcg::seed_from_u64(1), Progress::hidden()).unwrap()
    }

    #[test]
    fn every_point_has_a_trial_and_its_samples_in_rounds() {
        let mut bench = Clockwork::default();
        let measured = run(&plan(7, None), &mut bench);
        assert_eq!(bench.taken[0], ("sequential", None, false));
        let trials = &bench.taken[1..7];
        assert!(trials.iter().all(|(_, _, observe)| *observe));
        for rounds in bench.taken[7..].chunks(6) {
            let mut round = rounds.to_vec();
            round.sort_unstable();
            assert_eq!(
                round,
                [
                    ("rayon", Some(1), false),
                    ("rayon", Some(2), false),
                    ("rayon", Some(4), false),
                    ("tokio", Some(1), false),
                    ("tokio", Some(2), false),
                    ("tokio", Some(4), false)
                ]
            );
        }
        assert_eq!(bench.taken.len(), 1 + 6 * 8);
        let at = |curve: &Curve| curve.points.iter().map(|point| (point.at, point.samples_s.len())).collect::<Vec<_>>();
        assert_eq!(measured.curves.len(), 2);
        assert!(measured.curves.iter().all(|curve| at(curve) == [(1.0, 7), (2.0, 7), (4.0, 7)]));
        assert!(measured.curves[1].points.iter().all(|it| it.verified && it.cache_verified && it.files == 7));
        assert!(measured.notes.is_empty() && measured.failures.is_empty());
    }

    #[test]
    fn who_fails_or_is_wrong_costs_no_other_point() {
        let fails = |order: &Order<'_>| order.settings.workers == Some(4) && order.contestant.name() == "tokio";
        let words = |order: &Order<'_>| if order.settings.workers == Some(2) { 4 } else { 3 };
        let measured = run(&plan(2, None), &mut Clockwork { fails, words, ..Clockwork::default() });
        let [failed] = &measured.failures[..] else { panic!("{:?}", measured.failures) };
        assert_eq!((failed.strategy.as_str(), failed.at, failed.error.as_str()), ("tokio", 4.0, "signal: 9"));
        let verified = measured.curves.iter().map(|it| it.points.iter().map(|it| it.verified).collect::<Vec<_>>());
        assert_eq!(verified.collect::<Vec<_>>(), [vec![true, false, true], vec![true, false]]);
    }

    #[test]
    fn a_budget_is_kept_and_told() {
        // The trials take 1.5 s, with the reference. Then there are 3.5 s, some 0.6 for each point.
        let mut bench = Clockwork::default();
        let measured = run(&plan(10, Some(5)), &mut bench);
        let samples = |curve: &Curve| curve.points.iter().map(|it| it.samples_s.len()).collect::<Vec<_>>();
        assert!(measured.curves.iter().all(|curve| samples(curve) == [7, 3, 1]), "{:?}", measured.curves);
        assert!(bench.now < Duration::from_secs(5), "{:?}", bench.now);
        assert_eq!(measured.notes, ["6 points have fewer than 10 samples: there was no time for more."]);
        // At the least one sample of each point whose trial was in time.
        let measured = run(&plan(10, Some(1)), &mut Clockwork::default());
        assert!(measured.curves.iter().flat_map(|it| &it.points).all(|it| it.samples_s.len() == 1));
        assert!(measured.notes[0].contains("have no sample, because the time was over"), "{:?}", measured.notes);
    }

    #[test]
    fn what_is_finished_when_it_is_stopped_is_kept() {
        let mut bench = Clockwork { stop_at: Some(Duration::from_secs(3)), ..Clockwork::default() };
        let measured = run(&plan(10, None), &mut bench);
        assert!(bench.now < Duration::from_millis(3500));
        let samples: usize = measured.curves.iter().flat_map(|it| &it.points).map(|it| it.samples_s.len()).sum();
        assert!((6..=12).contains(&samples), "{samples}");
        let mut bench = Clockwork { stop_at: Some(Duration::from_millis(50)), ..Clockwork::default() };
        let measured = run(&plan(1, None), &mut bench);
        assert!(measured.curves.is_empty() && measured.failures.is_empty());
        assert_eq!(measured.notes, ["6 points have no sample, because it was stopped."]);
    }
}
