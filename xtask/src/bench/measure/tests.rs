//! Who is sampled how often and in which order, by a clock and samples that are made up.

use std::collections::BTreeMap;

use rand_pcg::rand_core::SeedableRng;

use super::*;
use crate::bench::floor::Loop;
use crate::bench::sample::Totals;
use crate::bench::usage::Usage;

fn corpus() -> Corpus {
    Corpus { name: "c".to_owned(), path: "/c".into(), goals: None }
}

fn sample(elapsed_s: f64) -> Sample {
    let found = Found { totals: Totals { files: 7, ..Totals::default() }, ..Found::default() };
    Sample { elapsed_s, peak_rss_bytes: 1, usage: Usage::default(), observed: None, resident: None, found }
}

fn plan(runs: usize) -> Plan {
    let party = [Strategy::Rayon, Strategy::Tokio].map(Contestant::Strategy);
    let others = [Contestant::Naive(Strategy::Rayon), Contestant::Floor(Loop::Bare)];
    Plan {
        party: party.into_iter().chain(others).collect(),
        caches: vec![Cache::Warm],
        runs,
        budget: None,
        patience: Duration::ZERO,
    }
}

/// A laboratory in which a sample takes the time that it tells, and nothing else does.
struct Fake<F> {
    take: F,
    now: Duration,
    order: Vec<&'static str>,
    stop_after: usize,
}

impl<F: FnMut(Contestant, usize) -> Result<Sample>> Fake<F> {
    /// `take` is asked for the contestant's n-th sample, from 1.
    fn new(take: F) -> Self {
        Self { take, now: Duration::ZERO, order: Vec::new(), stop_after: usize::MAX }
    }

    fn run(&mut self, corpora: &[Corpus], plan: &Plan) -> Result<Measured> {
        measure(corpora, plan, self, Pcg64Mcg::seed_from_u64(7), Progress::hidden())
    }

    fn turns(&self) -> BTreeMap<&str, usize> {
        self.order.iter().fold(BTreeMap::new(), |mut turns, name| {
            *turns.entry(*name).or_default() += 1;
            turns
        })
    }
}

impl<F: FnMut(Contestant, usize) -> Result<Sample>> Laboratory for Fake<F> {
    fn sample(&mut self, _: &Corpus, contestant: Contestant, _: Cache, _: bool) -> Result<Sample> {
        self.order.push(contestant.name());
        let turn = self.turns()[contestant.name()];
        let sample = (self.take)(contestant, turn);
        self.now += Duration::from_secs_f64(sample.as_ref().map_or(0.0, |sample| sample.elapsed_s));
        sample
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn is_stopped(&self) -> bool {
        self.order.len() > self.stop_after
    }
}

#[test]
fn a_sample_that_fails_costs_its_own_cell_and_no_other() {
    let mut lab = Fake::new(|contestant, turn| match (contestant.name(), turn) {
        ("tokio", 3) => Err(anyhow!("signal: 9 (SIGKILL): out of luck")),
        _ => Ok(sample(0.1)),
    });
    let results = lab.run(&[corpus()], &plan(5)).unwrap().corpora;
    // Trial and samples; for tokio trial, sample, and the one that failed.
    assert_eq!(
        lab.turns(),
        BTreeMap::from([("floor", 6), ("naive-rayon", 6), ("rayon", 6), ("sequential", 1), ("tokio", 3)])
    );
    let names: Vec<_> = results[0].cells.iter().map(|cell| cell.strategy.as_str()).collect();
    assert_eq!(names, ["rayon", "floor", "naive-rayon"]);
    let [failure] = &results[0].failures[..] else { panic!("{:?}", results[0].failures) };
    assert_eq!((failure.strategy.as_str(), failure.error.as_str()), ("tokio", "signal: 9 (SIGKILL): out of luck"));
}

#[test]
fn a_corpus_that_cannot_be_read_costs_no_other() {
    let mut lab = Fake::new(|contestant, turn| match (contestant.name(), turn) {
        ("sequential", 1) => Err(anyhow!("no luck")),
        _ => Ok(sample(0.1)),
    });
    let results = lab.run(&[corpus(), corpus()], &plan(1)).unwrap().corpora;
    assert!(results[0].unreadable().unwrap().contains("no luck"));
    assert_eq!((results[0].cells.len(), results[1].cells.len()), (0, 4));
    let error = Fake::new(|_, _| Err(anyhow!("no luck"))).run(&[corpus()], &plan(1)).unwrap_err();
    assert!(error.to_string().contains("no luck"));
}

#[test]
fn what_is_slow_has_fewer_samples_spread_over_all_rounds() {
    for ((seconds, allowance, fewest, runs), samples) in [
        ((0.1, 6.0, FEWEST_SAMPLES, 10), 10),
        ((0.8, 6.0, FEWEST_SAMPLES, 10), 7),
        ((100.0, 6.0, FEWEST_SAMPLES, 10), FEWEST_SAMPLES),
        ((100.0, 6.0, 1, 1), 1),
        ((1.0, 3.0, 0, 10), 3),
        ((100.0, 3.0, 0, 10), 0),
    ] {
        assert_eq!(affordable(seconds, allowance, fewest, runs), samples);
    }
    let mut lab = Fake::new(|contestant, _| Ok(sample(if contestant.kind() == Kind::Naive { 1.5 } else { 0.1 })));
    lab.run(&[corpus()], &plan(10)).unwrap();
    // After the reference and the trials: ten rounds of three, and the twin in the fifth and in the tenth.
    let rounds = &lab.order[5..];
    assert_eq!(rounds.len(), 32);
    let at: Vec<_> = (0..32).filter(|at| rounds[*at] == "naive-rayon").collect();
    assert!((12..16).contains(&at[0]) && (28..32).contains(&at[1]), "{at:?}");
}

#[test]
fn the_trial_of_what_is_too_slow_for_samples_is_its_sample() {
    let mut lab = Fake::new(|contestant, _| Ok(sample(if contestant.kind() == Kind::Naive { 30.0 } else { 0.1 })));
    let results = lab.run(&[corpus()], &plan(10)).unwrap().corpora;
    assert_eq!(lab.turns()["naive-rayon"], 1);
    let twin = results[0].cell(Cache::Warm, "naive-rayon").unwrap();
    assert_eq!((&twin.samples_s[..], twin.has_interval(), twin.settled), (&[30.0][..], false, false));
}

#[test]
fn rounds_are_added_until_the_strategies_are_settled() {
    // Rayon's first samples are far apart.
    let times = |contestant: Contestant, turn: usize| match contestant.name() {
        "rayon" if turn < 8 => 0.1 + 0.05 * (turn % 3) as f64,
        _ => 0.1,
    };
    let plan = Plan { patience: Duration::from_secs(60), ..plan(6) };
    let mut lab = Fake::new(|contestant, turn| Ok(sample(times(contestant, turn))));
    let results = lab.run(&[corpus()], &plan).unwrap().corpora;
    let samples = |name: &str| results[0].cell(Cache::Warm, name).unwrap().samples_s.len();
    assert!(samples("rayon") > 6 && samples("rayon") < 40, "{}", samples("rayon"));
    // Those that were settled go on with it, the twin does not.
    assert_eq!((samples("tokio"), samples("floor"), samples("naive-rayon")), (samples("rayon"), samples("rayon"), 6));
    assert!(results[0].cells.iter().all(|cell| cell.settled));
    // One that never settles ends with the patience.
    let never = |contestant: Contestant, turn: usize| match contestant.name() {
        "rayon" => 0.1 * (1 + turn % 2) as f64,
        _ => 0.1,
    };
    let mut lab = Fake::new(|contestant, turn| Ok(sample(never(contestant, turn))));
    let results = lab.run(&[corpus()], &Plan { patience: Duration::from_secs(20), ..plan }).unwrap().corpora;
    assert!(!results[0].cell(Cache::Warm, "rayon").unwrap().settled);
    assert!(lab.now > Duration::from_secs(19) && lab.now < Duration::from_secs(21), "{:?}", lab.now);
}

#[test]
fn a_budget_is_kept_and_shared_by_the_rankings() {
    let both = || Plan {
        caches: vec![Cache::Warm, Cache::Warm],
        budget: Some(Duration::from_secs(40)),
        patience: Duration::from_secs(60),
        ..plan(10)
    };
    // The twin takes so much that strategies have to come first.
    let times = |contestant: Contestant| if contestant.kind() == Kind::Naive { 8.0 } else { 0.3 };
    let mut lab = Fake::new(|contestant, turn| Ok(sample(times(contestant) * [1.0, 1.3][turn % 2])));
    let measured = lab.run(&[corpus()], &both()).unwrap();
    let seconds = lab.now.as_secs_f64();
    assert!((30.0..=42.0).contains(&seconds), "{seconds}");
    assert!(measured.corpora[0].cells.iter().all(|cell| !cell.samples_s.is_empty()));
    assert_eq!(measured.notes, [""; 0]);
    let cells = || measured.corpora[0].cells.iter().filter(|cell| cell.kind != Kind::Naive);
    assert!(cells().count() == 6 && cells().all(|cell| cell.samples_s.len() >= FEWEST_SAMPLES));
    assert!(measured.corpora[0].cells.iter().any(|cell| cell.kind == Kind::Naive && cell.trial_only));
    // None is left for it after the trials of the others.
    let plan = Plan { budget: Some(Duration::from_secs(2)), ..both() };
    let mut lab = Fake::new(|_, _| Ok(sample(1.0)));
    let measured = lab.run(&[corpus()], &plan).unwrap();
    let names: Vec<_> = measured.corpora[0].cells.iter().map(|cell| cell.strategy.as_str()).collect();
    assert!(names.contains(&"rayon") && names.contains(&"floor") && !names.contains(&"naive-rayon"), "{names:?}");
    assert!(measured.notes[0].contains("naive-rayon"), "{:?}", measured.notes);
}

#[test]
fn what_is_finished_when_it_is_stopped_is_kept() {
    for stop_after in 0..40 {
        // The sample that is being taken then is killed.
        let mut taken = 0;
        let mut lab = Fake::new(|_, _| {
            taken += 1;
            if taken > stop_after { Err(anyhow!("signal: 9 (SIGKILL)")) } else { Ok(sample(0.1)) }
        });
        lab.stop_after = stop_after;
        let results = lab.run(&[corpus(), corpus()], &plan(3)).unwrap().corpora;
        assert_eq!(lab.order.len(), if stop_after < 34 { stop_after + 1 } else { 34 });
        assert!(results.iter().all(|corpus| corpus.failures.is_empty()), "{results:?}");
        let cells = results.iter().map(|corpus| corpus.cells.len()).sum::<usize>();
        // After the reference and each trial there is one cell more.
        assert_eq!(cells, stop_after.saturating_sub(1).min(4) + stop_after.saturating_sub(18).min(4), "{stop_after}");
    }
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
