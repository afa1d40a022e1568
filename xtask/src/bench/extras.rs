//! What a page shows beside the rankings, and what is not measured without one: a timeline of each strategy, a small sweep over
//! workers, and what one more task, thread or process costs.

use std::time::{Duration, Instant};

use polyread_cli::Strategy;
use polyread_core::Escaped;

use super::Corpus;
use super::cold::{Cache, Tree};
use super::results::Results;
use super::sample::{Analysis, Sabotage};
use super::timeline::Timeline;
use crate::interrupt::Interrupt;
use crate::sweep;

/// For the sweep over one tree.
const SWEEP: Duration = Duration::from_secs(30);

/// What it takes to weigh units.
const WEIGHING: Duration = Duration::from_secs(10);

/// The part of a budget that is kept for all of it.
pub(super) const SHARE: f64 = 0.25;

/// What to add.
#[derive(Debug)]
pub(super) struct Extras<'a> {
    pub(super) corpora: &'a [Corpus],
    pub(super) strategies: &'a [Strategy],
    pub(super) caches: &'a [Cache],
    pub(super) analysis: Analysis,
    /// When all of it should be over, if there is such a time.
    pub(super) until: Option<Instant>,
    /// What was done to a strategy on purpose is done to it in here too.
    pub(super) sabotage: &'a [(String, Sabotage)],
    pub(super) interrupt: &'a Interrupt,
}

impl Extras<'_> {
    /// Adds what can be had, and says what cannot. Nothing of it is worth failing for.
    pub(super) fn add(&self, results: &mut Results) {
        self.timelines(results);
        self.sweeps(results);
        if self.is_over() || self.until.is_some_and(|until| Instant::now() + WEIGHING > until) {
            results.notes.push("There was no time to weigh one more unit of concurrency.".to_owned());
            return;
        }
        match sweep::units::units(self.interrupt) {
            Ok((units, notes)) => {
                results.units = units;
                results.notes.extend(notes);
            }
            Err(error) => results.notes.push(format!("Units of concurrency were not weighed: {error:#}.")),
        }
    }

    fn is_over(&self) -> bool {
        self.interrupt.signal().is_some() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// One run of each strategy that is not known to be wrong, on each tree in each state of the cache.
    fn timelines(&self, results: &mut Results) {
        for corpus in self.corpora {
            let Some(result) = results.corpora.iter_mut().find(|it| it.name == corpus.name) else { continue };
            for cache in self.caches {
                let mut tree = if *cache == Cache::Cold { Tree::list(&corpus.path).ok() } else { None };
                let is_right = |it: &&Strategy| result.cell(*cache, it.name()).is_some();
                let strategies: Vec<_> = self.strategies.iter().filter(is_right).copied().collect();
                if *cache == Cache::Warm && !self.is_over() {
                    // Other trees have been read since, and this one was evicted. What it tells is of no use.
                    let _ = Timeline::take(corpus, Strategy::Sequential, *cache, self.analysis, self.interrupt);
                }
                for strategy in strategies {
                    if self.is_over() {
                        return;
                    }
                    if let Some(tree) = &mut tree {
                        tree.evict();
                    }
                    match Timeline::take(corpus, strategy, *cache, self.analysis, self.interrupt) {
                        Ok(timeline) => result.timelines.push(timeline),
                        Err(_) if self.interrupt.signal().is_some() => return,
                        Err(error) => results.notes.push(format!("No timeline of {}: {error:#}.", strategy.name())),
                    }
                }
            }
        }
    }

    fn sweeps(&self, results: &mut Results) {
        for (place, corpus) in self.corpora.iter().enumerate() {
            let trees_left = u32::try_from(self.corpora.len() - place).unwrap_or(u32::MAX);
            let left = self.until.map(|until| until.saturating_duration_since(Instant::now()) / trees_left);
            // What is measured in it is a curve to look at: it needs no longer than this.
            let budget = left.map_or(SWEEP, |left| left.min(SWEEP));
            if self.is_over() {
                return;
            }
            // Who was wrong has no curve either.
            let ranked = results.corpora.iter().find(|it| it.name == corpus.name);
            let is_ranked =
                |it: &&Strategy| ranked.is_some_and(|ranked| ranked.cell(self.caches[0], it.name()).is_some());
            let strategies: Vec<_> = self.strategies.iter().filter(is_ranked).copied().collect();
            match sweep::short(corpus, &strategies, self.caches[0], budget, self.sabotage, self.interrupt) {
                Ok(sweep) => results.sweeps.push(sweep),
                Err(_) if self.interrupt.signal().is_some() => return,
                Err(error) => {
                    let path = Escaped(corpus.path.as_os_str());
                    results.notes.push(format!("No sweep over workers on {path}: {error:#}."));
                }
            }
        }
    }
}
