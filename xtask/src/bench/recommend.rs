//! Which model to use for these files on this machine.

use std::collections::BTreeMap;
use std::path::Path;

use polyread_advise::{Characteristics, choose};
use polyread_core::{CancelToken, Discovery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::contestant::Kind;
use super::results::{Cell, CorpusResult, Results};
use super::stats::Interval;
use crate::interrupt::Interrupt;
use crate::sweep::{Over, Sweep};

/// The advice for one corpus in one state of the cache.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Recommendation {
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    /// The fastest.
    pub(crate) strategy: String,
    /// For people: what it rests on.
    pub(crate) why: String,
    /// What to set: what is not here is best left as it is.
    pub(crate) settings: Vec<Setting>,
    /// Who cannot be told from it.
    pub(crate) ties: Vec<String>,
    /// The next that can be told from it, and by how many times it is slower.
    pub(crate) next: Option<Next>,
    /// What the rule of the project's seed would have said.
    pub(crate) seed: Option<SeedRule>,
    /// The lines for Cargo.toml.
    pub(crate) dependency: String,
    /// A program to start from.
    pub(crate) code: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) why: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Next {
    pub(crate) strategy: String,
    pub(crate) ratio: Interval,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct SeedRule {
    pub(crate) strategy: String,
    pub(crate) why: String,
    /// Its time divided by that of the recommended.
    pub(crate) ratio: Option<Interval>,
}

/// The strategy that loses least over all of them.
pub(crate) fn overall(corpora: &[CorpusResult]) -> Option<String> {
    let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    let mut rankings = 0;
    for corpus in corpora {
        for cache in corpus.caches() {
            rankings += 1;
            let Some(best) = corpus.ranked(cache).next() else { continue };
            for cell in corpus.ranked(cache) {
                let (logs, times) = sums.entry(&cell.strategy).or_default();
                *logs += (cell.median_s / best.median_s).ln();
                *times += 1;
            }
        }
    }
    // Only who was right everywhere can be recommended.
    let everywhere = sums.into_iter().filter(|(_, (_, times))| *times == rankings);
    everywhere.min_by(|a, b| a.1.0.total_cmp(&b.1.0)).map(|(strategy, _)| strategy.to_owned())
}

/// The advice for each ranking that can tell something.
pub(crate) fn each(results: &Results, interrupt: &Interrupt) -> Vec<Recommendation> {
    let mut all = Vec::new();
    for corpus in &results.corpora {
        // It walks the tree: who has had enough does not wait for that.
        let rule = if interrupt.signal().is_none() { seed_rule(Path::new(&corpus.path)) } else { None };
        for cache in corpus.caches() {
            all.extend(Recommendation::of(corpus, cache, &results.sweeps, rule.as_ref()));
        }
    }
    all
}

/// What the rule of the seed says of a tree, and why.
fn seed_rule(root: &Path) -> Option<(String, String)> {
    let seen = Characteristics::measure(&Discovery::new(root), &CancelToken::new(), |_| ()).ok()?;
    let advice = choose(&seen)?;
    Some((advice.setup.approach.to_string(), advice.why))
}

impl Recommendation {
    fn of(corpus: &CorpusResult, cache: Cache, sweeps: &[Sweep], rule: Option<&(String, String)>) -> Option<Self> {
        // Of too few samples nothing can be told, and so nothing be advised.
        let best = corpus.ranked(cache).next().filter(|best| best.has_interval())?;
        let (dependency, code) = start(&best.strategy)?;
        let ties = corpus.ties(cache, &best.strategy);
        let mut others = corpus.ranked(cache).filter(|cell| cell.has_interval());
        let next = others.find(|cell| cell.strategy != best.strategy && !ties.contains(&cell.strategy.as_str()));
        let against = |cell: &Cell| Interval::of_ratio(&cell.samples_s, &best.samples_s);
        Some(Self {
            corpus: corpus.name.clone(),
            cache,
            strategy: best.strategy.clone(),
            why: why(corpus, best, &ties),
            settings: settings(corpus, best, sweeps),
            next: next.map(|cell| Next { strategy: cell.strategy.clone(), ratio: against(cell) }),
            seed: rule.map(|(strategy, why)| SeedRule {
                strategy: strategy.clone(),
                why: why.clone(),
                ratio: corpus.cell(cache, strategy).filter(|cell| cell.kind == Kind::Strategy).map(against),
            }),
            ties: ties.into_iter().map(str::to_owned).collect(),
            dependency: dependency.to_owned(),
            code: code
                .lines()
                .skip_while(|line| line.starts_with("//!") || line.is_empty())
                .fold(String::new(), |code, line| code + line + "\n"),
        })
    }
}

fn why(corpus: &CorpusResult, best: &Cell, ties: &[&str]) -> String {
    let others = corpus.ranked(best.cache).count() - 1;
    let mut why = format!("the smallest median, of {} samples", best.samples_s.len());
    if others > 0 && ties.len() == others {
        why += ", though it cannot be told from any other";
    }
    // Only who can be told from it is worth a comparison.
    let slowest = corpus.ranked(best.cache).next_back().filter(|it| it.has_interval());
    if let Some(slowest) = slowest.filter(|it| it.strategy != best.strategy && !ties.contains(&it.strategy.as_str())) {
        let Interval { value, low, high } = Interval::of_ratio(&slowest.samples_s, &best.samples_s);
        why += &format!("; {} takes {value:.2} times as long ({low:.2} to {high:.2})", slowest.strategy);
    }
    if let Some(twin) = corpus.twin(best) {
        let samples = match twin.samples_s.len() {
            1 => "1 sample".to_owned(),
            more => format!("{more} samples"),
        };
        why += &format!(
            "; the program that one would write first in its model takes {:.1} times as long ({samples})",
            twin.median_s / best.median_s
        );
    }
    if !best.cache_verified {
        why += &format!("; the cache was not known to be {} at each of them", best.cache.name());
    }
    why
}

/// What a sweep over the same tree has found to be better than the defaults, beyond the noise.
fn settings(corpus: &CorpusResult, best: &Cell, sweeps: &[Sweep]) -> Vec<Setting> {
    let mut settings = Vec::new();
    for sweep in sweeps.iter().filter(|sweep| sweep.corpus == corpus.name && sweep.cache == best.cache) {
        let name = match sweep.over {
            Over::Workers => "workers",
            Over::Threshold => "threshold",
            Over::InFlight => "in flight",
            Over::Size | Over::Count => continue,
        };
        let Some(curve) = sweep.curves.iter().find(|curve| curve.strategy == best.strategy) else { continue };
        let verified = curve.points.iter().filter(|point| point.verified);
        let Some(point) = verified.min_by(|a, b| a.median_s.total_cmp(&b.median_s)) else { continue };
        // Against the samples with the defaults, which were taken at another time: only what is clearly better counts.
        if point.ci_high_s < best.ci_low_s {
            let gain = best.median_s / point.median_s;
            settings.push(Setting {
                name: name.to_owned(),
                value: point.at.to_string(),
                why: format!("{gain:.2} times as fast as with what it chooses by itself, in a sweep over {name}"),
            });
        }
    }
    settings
}

/// The lines for Cargo.toml and the program to start from: an example of the model's own crate, so that it compiles.
fn start(strategy: &str) -> Option<(&'static str, &'static str)> {
    Some(match strategy {
        "sequential" => {
            (r#"polyread-core = "0.1""#, include_str!("../../../crates/core/examples/start_with_sequential.rs"))
        }
        "rayon" => (r#"polyread-rayon = "0.1""#, include_str!("../../../crates/rayon/examples/start_with_rayon.rs")),
        "tokio" => (
            "polyread-tokio = \"0.1\"\nfutures-util = \"0.3\"\n\
             tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }",
            include_str!("../../../crates/tokio/examples/start_with_tokio.rs"),
        ),
        "async-std" => (
            "polyread-async-std = \"0.1\"\nasync-std = { version = \"1\", features = [\"attributes\"] }",
            include_str!("../../../crates/async-std/examples/start_with_async_std.rs"),
        ),
        "hybrid" => {
            (r#"polyread-hybrid = "0.1""#, include_str!("../../../crates/hybrid/examples/start_with_hybrid.rs"))
        }
        "multiprocess" => (
            r#"polyread-multiprocess = "0.1""#,
            include_str!("../../../crates/multiprocess/examples/start_with_multiprocess.rs"),
        ),
        "io-uring" => {
            (r#"polyread-io-uring = "0.1""#, include_str!("../../../crates/io-uring/examples/start_with_io_uring.rs"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_has_a_line_and_a_program_to_start_from() {
        for strategy in polyread_cli::Strategy::ALL {
            let (dependency, code) = start(strategy.name()).unwrap();
            let package = dependency.split(' ').next().unwrap();
            let version = polyread_cli::VERSION.rsplit_once('.').unwrap().0;
            assert!(dependency.lines().next().unwrap().ends_with(&format!("= \"{version}\"")), "{dependency}");
            assert!(code.contains(&package.replace('-', "_")), "{code}");
            assert!(code.lines().filter(|line| line.starts_with("    ")).count() <= 12, "{code}");
        }
    }
}
