//! Is anything slower than it was? Two comparisons of the same trees, held against each other.
//!
//! A machine is never twice the same: the host of a virtual one is busier, a processor is warmer. So each strategy is judged
//! by what it has changed by more than the others have: the median change of all the others, in the same ranking, is taken out.
//! What all strategies have in common would be taken out with it; so all of them together are held against the floor.
//!
//! The change of each contestant is resampled (the samples then and now, each for themselves), and with it what is taken out.
//! The intervals hold together with 95%: with more rows each is wider (Bonferroni), so that a comparison of nothing with itself
//! finds nothing in 19 of 20 cases at the least, however many rows it has.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use polyread_core::Escaped;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::contestant::Kind;
use super::noise::Noise;
use super::results::{Cell, CorpusResult, Results, SCHEMA_VERSION};
use super::stats::{Interval, Medians, median};

/// This comparison, held against an earlier one.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Comparison {
    /// When the earlier one began.
    pub(crate) begun: String,
    /// Of each strategy in each ranking that both have, and of all strategies together.
    pub(crate) rows: Vec<Row>,
    /// What makes the two hard to compare, for people.
    pub(crate) notes: Vec<String>,
}

/// One contestant then and now.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Row {
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    /// Or [`ALL`].
    pub(crate) strategy: String,
    /// Seconds; of all of them none.
    pub(crate) before_s: Option<f64>,
    pub(crate) now_s: Option<f64>,
    /// Now by before, after what the others have become slower or faster by was taken out.
    pub(crate) ratio: Option<Interval>,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Slower,
    Faster,
    /// No difference beyond the noise, and none of a tenth could have hidden in it.
    Same,
    /// Too few samples, too much noise, or another machine in all but name.
    Unknown,
}

/// The name of all strategies together.
pub(crate) const ALL: &str = "all strategies";

/// A change is one when even the near end of its interval is beyond this. Two builds of the same source differ by as much,
/// by where the linker has put what.
const MARGIN: f64 = 0.02;

/// The same for all strategies together, against the floor. It does other work than they do, with other shares of memory,
/// kernel and processor: from one hour to the next 13% between them were seen with nothing changed.
const MARGIN_OF_ALL: f64 = 0.2;

/// An interval that reaches beyond this, or below one by it, says nothing.
const TOLD: f64 = 1.1;

/// Of the processors' time: where others took more of it in one comparison than in the other by this, the two are of
/// different machines. What runs on one thread and what runs on all do not suffer alike, so that it cannot be taken out.
const AS_BUSY: f64 = 0.1;

/// With fewer others their median change says little.
const FEWEST_OTHERS: usize = 2;

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

impl Results {
    /// Reads what was recorded with `--format json` or `--report`.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is something else.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let shown = Escaped(path.as_os_str());
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        // Of another version more than the version may be different.
        if let Ok(Version { schema_version }) = serde_json::from_str(&text)
            && schema_version != SCHEMA_VERSION
        {
            bail!(
                "{shown} has results of version {schema_version}, and this program knows {SCHEMA_VERSION}: measure again"
            );
        }
        serde_json::from_str(&text).with_context(|| {
            format!("{shown} does not hold the results of a comparison, as --format json and --report write them")
        })
    }
}

impl Comparison {
    /// Whether anything has become slower, beyond the noise.
    pub(crate) fn is_slower(&self) -> bool {
        self.rows.iter().any(|row| row.verdict == Verdict::Slower)
    }

    pub(crate) fn of(now: &Results, before: &Results) -> Self {
        let mut notes = Vec::new();
        let (host, then) = (&now.host, &before.host);
        if (&host.cpu, host.cores, &host.kernel) != (&then.cpu, then.cores, &then.kernel) {
            notes.push(format!(
                "Another machine: {}, {} cores, {} {} then.",
                then.cpu, then.cores, then.os, then.kernel
            ));
        }
        let mut pairs = Vec::new();
        for (corpus, cache) in now.rankings() {
            let name = (&corpus.name, cache.name());
            match before.corpora.iter().find(|it| it.name == corpus.name).filter(|it| it.caches().contains(&cache)) {
                None => notes.push(format!("{}, {}: not in the baseline.", name.0, name.1)),
                Some(then) if (then.files, then.bytes) != (corpus.files, corpus.bytes) => notes.push(format!(
                    "{}: not the tree that it was, {} files and {} bytes then, {} and {} now.",
                    corpus.name, then.files, then.bytes, corpus.files, corpus.bytes
                )),
                Some(then) => {
                    let [busy, was] = [corpus, then].map(|it| it.noise.get(&cache).map_or(0.0, Noise::taken));
                    let as_busy = (busy - was).abs() <= AS_BUSY;
                    if as_busy {
                        notes.extend(contradictions(corpus, then, cache));
                    } else {
                        notes.push(format!(
                            "{}, {}: not judged. Others took {:.0}% of the processors' time then and {:.0}% now.",
                            name.0,
                            name.1,
                            was * 100.0,
                            busy * 100.0
                        ));
                    }
                    pairs.push((corpus, then, cache, as_busy));
                }
            }
        }
        let count: usize = pairs.iter().map(|(corpus, _, cache, _)| corpus.ranked(*cache).count() + 1).sum();
        let mut all: Vec<Row> = Vec::new();
        for (corpus, then, cache, as_busy) in pairs {
            let mut rows = rows(corpus, then, cache, count);
            rows.iter_mut().filter(|_| !as_busy).for_each(|row| row.verdict = Verdict::Unknown);
            all.extend(rows);
        }
        if all.is_empty() {
            notes.push("There is nothing in both that could be compared.".to_owned());
        }
        if before.stopped.is_some() || !before.all_verified() {
            notes.push("The baseline was stopped early, or somebody in it failed or was wrong.".to_owned());
        }
        notes.extend(
            before.notes.iter().filter(|note| note.contains("sabotaged")).map(|note| format!("The baseline: {note}")),
        );
        Self { begun: before.begun.clone(), rows: all, notes }
    }
}

/// Strategies that were told apart both times, in the opposite order.
fn contradictions(now: &CorpusResult, then: &CorpusResult, cache: Cache) -> Vec<String> {
    let ranked: Vec<_> = now.ranked(cache).filter(|cell| cell.has_interval()).collect();
    let mut found = Vec::new();
    for (place, faster) in ranked.iter().enumerate() {
        for slower in &ranked[place + 1..] {
            let before = [faster, slower].map(|cell| then.cell(cache, &cell.strategy).filter(|it| it.has_interval()));
            let [Some(first), Some(second)] = before else { continue };
            let is_told = !faster.median().ties_with(&slower.median()) && !first.median().ties_with(&second.median());
            if is_told && first.median_s > second.median_s {
                found.push(format!(
                    "{}, {}: {} was slower than {}, and is faster now.",
                    now.name,
                    cache.name(),
                    faster.strategy,
                    slower.strategy
                ));
            }
        }
    }
    found
}

/// A contestant then and now, and the logarithm of what it has changed by: as measured, and in each resample.
struct Change<'a> {
    now: &'a Cell,
    before: &'a Cell,
    value: f64,
    resampled: Vec<f64>,
}

fn changes<'a>(now: &'a CorpusResult, then: &'a CorpusResult, cache: Cache) -> Vec<Change<'a>> {
    let both = now.verified(cache).filter_map(|cell| Some((cell, then.cell(cache, &cell.strategy)?)));
    let told = both.filter(|(now, before)| now.has_interval() && before.has_interval());
    let change = |(place, (now, before)): (u64, (&'a Cell, &'a Cell))| {
        let resampled = Medians::of(&now.samples_s, 2 * place + 1).zip(Medians::of(&before.samples_s, 2 * place + 2));
        let resampled = resampled.map(|(now, before)| (now / before).ln()).collect();
        Change { now, before, value: (now.median_s / before.median_s).ln(), resampled }
    };
    (0..).zip(told).map(change).collect()
}

/// `count` is how many rows there are in all.
fn rows(now: &CorpusResult, then: &CorpusResult, cache: Cache, count: usize) -> Vec<Row> {
    let changes = changes(now, then, cache);
    let part = 1.0 - 0.05 / count as f64;
    // Of some, as measured (`None`) or in one of the resamples.
    let typical = |some: &[&Change], at: Option<usize>| {
        median(some.iter().map(|change| at.map_or(change.value, |at| change.resampled[at])).collect())
    };
    let told = |some: &[&Change], others: &[&Change]| {
        if some.is_empty() || others.is_empty() {
            return None;
        }
        let beyond = |at| (typical(some, at) - typical(others, at)).exp();
        let resampled = (0..some[0].resampled.len()).map(|at| beyond(Some(at))).collect();
        Some(Interval::around(beyond(None), resampled, part))
    };
    let margin = |strategy: &str| if strategy == ALL { MARGIN_OF_ALL } else { MARGIN };
    let row = |strategy: &str, times: Option<(&Cell, &Cell)>, ratio: Option<Interval>| Row {
        corpus: now.name.clone(),
        cache,
        strategy: strategy.to_owned(),
        before_s: times.map(|(_, before)| before.median_s),
        now_s: times.map(|(now, _)| now.median_s),
        verdict: match ratio {
            None => Verdict::Unknown,
            Some(ratio) if ratio.low > 1.0 + margin(strategy) => Verdict::Slower,
            Some(ratio) if ratio.high < 1.0 / (1.0 + margin(strategy)) => Verdict::Faster,
            Some(ratio) if strategy != ALL && (ratio.high > TOLD || ratio.low < 1.0 / TOLD) => Verdict::Unknown,
            Some(_) => Verdict::Same,
        },
        ratio,
    };
    let mut rows = Vec::new();
    for cell in now.ranked(cache) {
        let own = changes.iter().find(|change| std::ptr::eq(change.now, cell));
        let others: Vec<_> = changes.iter().filter(|change| !std::ptr::eq(change.now, cell)).collect();
        let ratio = own.filter(|_| others.len() >= FEWEST_OTHERS).and_then(|own| told(&[own], &others));
        let before = own.map(|own| own.before).or_else(|| then.cell(cache, &cell.strategy));
        rows.push(row(&cell.strategy, before.map(|before| (cell, before)), ratio));
    }
    let (strategies, floors): (Vec<_>, Vec<_>) = changes
        .iter()
        .filter(|change| change.now.kind.comes_first())
        .partition(|change| change.now.kind == Kind::Strategy);
    rows.push(row(ALL, None, told(&strategies, &floors)));
    rows
}

#[cfg(test)]
mod tests;
