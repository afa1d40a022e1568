//! How quiet the machine was while it was measured on.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::results::Cell;
use super::stats::median;

/// Ratios, but where something else is said. `None` where it could not be told.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Noise {
    /// How far samples of the same contestant usually lie from their median: the median of that over the contestants.
    pub(crate) spread: Option<f64>,
    /// By how much the second half of the samples was slower than the first, over all contestants.
    pub(crate) drift: Option<f64>,
    /// Of all samples, those so far off that something else was at work.
    pub(crate) outliers: f64,
    /// Of the processors' time, what the host took for others while a virtual machine wanted it.
    pub(crate) steal: Option<f64>,
    /// Of the processors' time, what other processes of this machine took.
    pub(crate) others: Option<f64>,
}

impl Noise {
    /// Of the processors' time, what was not at the comparison's disposal.
    pub(crate) fn taken(&self) -> f64 {
        self.others.unwrap_or(0.0) + self.steal.unwrap_or(0.0)
    }

    /// What the samples of one ranking tell.
    pub(crate) fn of<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let (mut spreads, mut drifts) = (Vec::new(), Vec::new());
        let (mut far, mut all) = (0, 0);
        for cell in cells.filter(|cell| cell.has_interval()) {
            let samples = &cell.samples_s;
            let distances = samples.iter().map(|sample| (sample - cell.median_s).abs() / cell.median_s);
            spreads.push(median(distances.collect()));
            let (first, second) = samples.split_at(samples.len() / 2);
            drifts.push(median(second.to_vec()) / median(first.to_vec()) - 1.0);
            far += cell.outliers.len();
            all += samples.len();
        }
        let of = |figures: Vec<f64>| (!figures.is_empty()).then(|| median(figures));
        Self {
            spread: of(spreads),
            drift: of(drifts),
            outliers: if all == 0 { 0.0 } else { far as f64 / all as f64 },
            steal: None,
            others: None,
        }
    }
}

/// Of the processors' time, what was not at the comparison's disposal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processors {
    pub(crate) steal: Option<f64>,
    pub(crate) others: Option<f64>,
}

/// What the processors have done from one moment to another.
#[derive(Debug)]
pub(crate) struct Watch {
    /// In ticks, over all processors since the machine was started: all time, time at work, time that the host took.
    then: Option<[f64; 3]>,
    own_s: f64,
}

/// Ticks of `/proc/stat` in a second: the same on all machines that Linux runs on today.
const TICKS: f64 = 100.0;

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { then: ticks(), own_s: own_s() }
    }

    /// What can be told from the processors' time since the beginning.
    pub(crate) fn end(self) -> Processors {
        let (Some(then), Some(now)) = (self.then, ticks()) else { return Processors::default() };
        let [all, busy, steal] = [0, 1, 2].map(|at: usize| now[at] - then[at]);
        let of_all = |ticks: f64| (all > 0.0).then(|| (ticks / all).max(0.0));
        Processors { steal: of_all(steal), others: of_all(busy - (own_s() - self.own_s) * TICKS) }
    }
}

fn ticks() -> Option<[f64; 3]> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|it| it.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests took is in user already.
    let [user, nice, system, idle, iowait, irq, softirq, steal] = *ticks.first_chunk()?;
    let busy = user + nice + system + irq + softirq;
    Some([busy + idle + iowait + steal, busy, steal])
}

/// Processor time in seconds of this process and of all samples that have ended.
fn own_s() -> f64 {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(|who| getrusage(who).ok())
        .map(|usage| [usage.user_time(), usage.system_time()].map(|it| it.tv_sec() as f64 + it.tv_usec() as f64 / 1e6))
        .map(|[user, system]| user + system)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_ones_own_is_not_that_of_others() {
        let watch = Watch::begin();
        let begun = own_s();
        let mut sum = 0_u64;
        // A tick is the least that can be told.
        while own_s() - begun < 0.05 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert_ne!(sum, 0);
        let processors = watch.end();
        for part in [processors.steal, processors.others] {
            assert!(part.is_some_and(|part| (0.0..=1.0).contains(&part)), "{processors:?}");
        }
    }
}
