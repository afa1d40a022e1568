//! What is found slower than it was, and what is not, in runs that are drawn by lot.

use polyread_cli::Strategy;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::*;
use crate::bench::Corpus;
use crate::bench::contestant::Contestant;
use crate::bench::floor::Loop;
use crate::bench::host::Host;
use crate::bench::sample::{Found, Sample};
use crate::bench::usage::Usage;

/// One comparison: each contestant has 30 samples around `seconds`, a little off by the machine and a lot by noise that is
/// skewed to the right, as noise is.
fn results(rng: &mut Pcg64Mcg, seconds: &dyn Fn(Contestant) -> f64) -> Results {
    let mut uniform = || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let machine = 0.85 + 0.3 * uniform();
    let party = Strategy::ALL.into_iter().map(Contestant::Strategy);
    let party = party.chain([Loop::Bare, Loop::Tuned].map(Contestant::Floor));
    let cells = party.map(|contestant| {
        let samples: Vec<_> = (0..30)
            .map(|_| {
                let noise = 1.0 - 0.05 * (1.0 - uniform()).ln();
                let elapsed_s = seconds(contestant) * machine * noise;
                Sample {
                    elapsed_s,
                    peak_rss_bytes: 1,
                    usage: Usage::default(),
                    observed: None,
                    resident: None,
                    found: Found::default(),
                }
            })
            .collect();
        Cell::new(contestant, Cache::Warm, &samples[0], &samples, &Found::default(), 0)
    });
    let corpus = Corpus { name: "c".to_owned(), path: "/c".into(), goals: None };
    Results {
        schema_version: SCHEMA_VERSION,
        begun: String::new(),
        took_s: 1.0,
        command: Vec::new(),
        stopped: None,
        host: Host::read(),
        analysis: "text-stats".to_owned(),
        runs: 30,
        drop_caches: false,
        budget_s: None,
        corpora: vec![CorpusResult::new(&corpus, &Found::default(), cells.collect(), Vec::new())],
        recommendation: None,
        recommendations: Vec::new(),
        goals: Vec::new(),
        sweeps: Vec::new(),
        units: Vec::new(),
        baseline: None,
        notes: Vec::new(),
    }
}

/// Slower ones of twelve comparisons, by how often they were called so.
fn slower(factor: &dyn Fn(Contestant) -> f64) -> std::collections::BTreeMap<String, usize> {
    let mut found = std::collections::BTreeMap::new();
    for seed in 0..12 {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let seconds = |contestant: Contestant| if contestant.kind() == Kind::Floor { 0.07 } else { 0.1 };
        let before = results(&mut rng, &seconds);
        let now = results(&mut rng, &|contestant| seconds(contestant) * factor(contestant));
        let comparison = Comparison::of(&now, &before);
        assert_eq!(comparison.rows.len(), 8);
        assert_eq!(comparison.is_slower(), comparison.rows.iter().any(|row| row.verdict == Verdict::Slower));
        for row in comparison.rows.iter().filter(|row| row.verdict == Verdict::Slower) {
            *found.entry(row.strategy.clone()).or_default() += 1;
        }
    }
    found
}

#[test]
fn a_machine_that_is_slower_is_no_strategy_that_is() {
    let found = slower(&|_| 1.0);
    assert!(found.values().sum::<usize>() <= 1, "{found:?}");
}

#[test]
fn one_that_is_a_tenth_slower_is_found_and_named_and_no_other_is() {
    let found = slower(&|contestant| if contestant.name() == "rayon" { 1.1 } else { 1.0 });
    assert!(found["rayon"] >= 11, "{found:?}");
    assert!(found.values().sum::<usize>() <= found["rayon"] + 1, "{found:?}");
}

#[test]
fn what_slows_all_strategies_is_found_by_the_floor() {
    let found = slower(&|contestant| if contestant.kind() == Kind::Strategy { 1.4 } else { 1.0 });
    assert!(found[ALL] >= 11, "{found:?}");
}

#[test]
fn what_is_faster_is_no_fault() {
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let before = results(&mut rng, &|_| 0.1);
    let now = results(&mut rng, &|contestant| if contestant.name() == "tokio" { 0.05 } else { 0.1 });
    let comparison = Comparison::of(&now, &before);
    assert!(!comparison.is_slower());
    let tokio = comparison.rows.iter().find(|row| row.strategy == "tokio").unwrap();
    assert_eq!(tokio.verdict, Verdict::Faster);
    assert!(tokio.ratio.unwrap().high < 0.6);
}

#[test]
fn other_trees_and_other_machines_are_told() {
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let now = results(&mut rng, &|_| 0.1);
    let mut before = results(&mut rng, &|_| 0.1);
    before.corpora[0].files += 1;
    before.host.cores += 1;
    let comparison = Comparison::of(&now, &before);
    assert!(comparison.rows.is_empty() && !comparison.is_slower());
    assert!(comparison.notes[0].contains("Another machine") && comparison.notes[1].contains("not the tree"));
    before.corpora.clear();
    assert!(Comparison::of(&now, &before).notes[1].contains("not in the baseline"));
}

#[test]
fn orders_that_contradict_each_other_are_told() {
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let times = |fast: &'static str| move |it: Contestant| if it.name() == fast { 0.05 } else { 0.1 };
    let (now, before) = (results(&mut rng, &times("tokio")), results(&mut rng, &times("rayon")));
    let notes = Comparison::of(&now, &before).notes;
    assert!(notes.iter().any(|note| note.contains("tokio was slower than rayon, and is faster now")), "{notes:?}");
}

#[test]
fn what_was_recorded_is_read_again() {
    let results = results(&mut Pcg64Mcg::seed_from_u64(1), &|_| 0.1);
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &results).unwrap();
    let read = Results::load(file.path()).unwrap();
    // To the last digit of each float. Too much to be shown.
    assert!(serde_json::to_string(&read).unwrap() == serde_json::to_string(&results).unwrap());
    fs::write(file.path(), "{}").unwrap();
    let error = format!("{:#}", Results::load(file.path()).unwrap_err());
    assert!(error.contains("does not hold the results of a comparison"), "{error}");
    let unknown = Results { schema_version: 2, ..results };
    fs::write(file.path(), serde_json::to_string(&unknown).unwrap()).unwrap();
    assert!(Results::load(file.path()).unwrap_err().to_string().contains("version 2"));
}
