//! How quiet the machine was while it was measured on.

use serde::{Deserialize, Serialize};

use super::results::Cell;
use super::stats::median;

/// Ratios, but where something else is said. `None` where it could not be told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
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
