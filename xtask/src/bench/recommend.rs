//! Which model to use for these files on this machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::results::CorpusResult;
use super::stats::Interval;

/// The advice for one corpus in one state of the cache.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Recommendation {
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    /// The fastest.
    pub(crate) strategy: String,
    /// For people: what it rests on.
    pub(crate) why: String,
    /// What it ran with: what is not here is best left alone.
    pub(crate) settings: Vec<Setting>,
    /// Who cannot be told from it.
    pub(crate) ties: Vec<String>,
    /// The next that can be told from it, and by how many times it is slower.
    pub(crate) next: Option<Next>,
    /// What the rule of the project's seed would have said.
    pub(crate) seed: Option<SeedRule>,
    /// The line for Cargo.toml.
    pub(crate) dependency: String,
    /// A program to start from.
    pub(crate) code: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) why: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Next {
    pub(crate) strategy: String,
    pub(crate) ratio: Interval,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
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
