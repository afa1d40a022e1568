//! Taking the samples: one warm-up for each strategy, then rounds in random order.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, IsTerminal, Write};

use anyhow::{Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use polyread_cli::Strategy;
use polyread_core::Escaped;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use super::Corpus;
use super::host::Host;
use super::results::{Cell, CorpusResult, Results};
use super::sample::{Analysis, Sample};
use super::stats::below;

/// Compares the strategies on each corpus, one corpus after the other, so that the one at hand stays in the cache.
pub(super) fn measure(corpora: &[Corpus], strategies: &[Strategy], analysis: Analysis, runs: usize) -> Result<Results> {
    // The reference reads every corpus once, whether it takes part or not.
    let samples = corpora.len() * (1 + strategies.len() * (1 + runs));
    let progress = Progress::new(samples);
    // Which order the strategies take turns in must not be the same from one comparison to the next.
    let mut rng = Pcg64Mcg::seed_from_u64(RandomState::new().build_hasher().finish());
    let mut results = Vec::with_capacity(corpora.len());
    for corpus in corpora {
        progress.corpus(corpus);
        let reference = progress.sample(corpus, Strategy::Sequential, analysis)?.found;
        if reference.totals.files == 0 {
            bail!("there is no file to read below {}", Escaped(corpus.path.as_os_str()));
        }
        for strategy in strategies {
            progress.sample(corpus, *strategy, analysis)?;
        }
        let mut taken = vec![Vec::with_capacity(runs); strategies.len()];
        for _ in 0..runs {
            for turn in shuffled(strategies.len(), &mut rng) {
                taken[turn].push(progress.sample(corpus, strategies[turn], analysis)?);
            }
        }
        let cells = strategies.iter().zip(&taken);
        let cells = cells.map(|(strategy, samples)| Cell::new(strategy.name(), samples, &reference)).collect();
        let path = corpus.path.to_string_lossy().into_owned();
        results.push(CorpusResult::new(corpus.name.clone(), path, &reference, cells));
    }
    progress.0.finish_and_clear();
    let analysis = analysis.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Ok(Results::new(Host::read(), analysis, results))
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

    fn sample(&self, corpus: &Corpus, strategy: Strategy, analysis: Analysis) -> Result<Sample> {
        self.0.set_message(format!("{}: {}", corpus.name, strategy.name()));
        self.0.tick();
        let sample = Sample::take(corpus, strategy, analysis);
        self.0.inc(1);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
