//! Medians, and how far they can be trusted.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap. With a thousand the ends of a 95% interval are good to a few percent of its width; more
/// does not show beside the noise of the samples themselves.
const RESAMPLES: usize = 2_000;

/// With fewer samples the whole range from the smallest to the largest covers the median less often than 95 times in a
/// hundred (1 - 2 / 2^n): there is no interval to speak of, and nothing to be told apart.
pub(crate) const FEWEST_SAMPLES: usize = 6;

/// In units of 1.48 times the median distance from the median, which for a normal distribution is the standard deviation: how
/// far off a sample must be to be called an outlier (the modified z-score of Iglewicz and Hoaglin 1993, who advise 3.5).
const FAR: f64 = 3.5;

/// A figure with its 95% interval: of the time of a cell, or of the ratio of two.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Interval {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Of a ratio of something to itself.
    pub(crate) const ONE: Self = Self { value: 1.0, low: 1.0, high: 1.0 };

    /// The median of the samples, with a percentile bootstrap interval (Efron 1979). The resampling starts from a fixed
    /// seed: the same samples always give the same interval.
    pub(crate) fn of_median(samples: &[f64]) -> Self {
        Self::around(median(samples.to_vec()), Medians::of(samples, 1).collect(), 0.95)
    }

    /// The median of the samples by that of others, resampled each for itself.
    pub(crate) fn of_ratio(samples: &[f64], others: &[f64]) -> Self {
        let ratios = Medians::of(samples, 1).zip(Medians::of(others, 2)).map(|(own, other)| own / other);
        Self::around(median(samples.to_vec()) / median(others.to_vec()), ratios.collect(), 0.95)
    }

    /// A figure and what it came to in each resample, of which so large a part lies in the interval.
    pub(crate) fn around(value: f64, mut resampled: Vec<f64>, part: f64) -> Self {
        resampled.sort_by(f64::total_cmp);
        let last = resampled.len() - 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last place")]
        let at = |part: f64| resampled[(last as f64 * part).round() as usize];
        let tail = (1.0 - part) / 2.0;
        Self { value, low: at(tail), high: at(1.0 - tail) }
    }

    /// Whether the two cannot be told apart: their intervals overlap.
    pub(crate) fn ties_with(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// Half of its width, relative to the figure.
    pub(crate) fn precision(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.value
    }
}

/// The medians of the resamples of some samples: as many as there are, drawn from them with replacement.
pub(crate) struct Medians<'a> {
    samples: &'a [f64],
    /// Room for one resample.
    drawn: Vec<f64>,
    rng: Pcg64Mcg,
    left: usize,
}

impl<'a> Medians<'a> {
    /// Those of two sets of samples must not start from the same seed: they would move together.
    pub(crate) fn of(samples: &'a [f64], seed: u64) -> Self {
        Self { samples, drawn: vec![0.0; samples.len()], rng: Pcg64Mcg::seed_from_u64(seed), left: RESAMPLES }
    }
}

impl Iterator for Medians<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.left = self.left.checked_sub(1)?;
        let Self { samples, drawn, rng, .. } = self;
        drawn.fill_with(|| samples[below(rng, samples.len())]);
        Some(median_of(drawn))
    }
}

/// The places of those samples that are far from the others.
pub(crate) fn outliers(samples: &[f64]) -> Vec<usize> {
    if samples.len() < FEWEST_SAMPLES {
        return Vec::new();
    }
    let centre = median(samples.to_vec());
    let usual = 1.4826 * median(samples.iter().map(|sample| (sample - centre).abs()).collect());
    let is_far = |sample: f64| (sample - centre).abs() > FAR * usual;
    // Where most of them are the same, nothing can be said about the others.
    (0..samples.len()).filter(|at| usual > 0.0 && is_far(samples[*at])).collect()
}

/// The middle sample, or the mean of the two in the middle.
pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    median_of(&mut samples)
}

fn median_of(samples: &mut [f64]) -> f64 {
    let half = samples.len() / 2;
    let is_odd = samples.len() % 2 == 1;
    let (below, middle, _) = samples.select_nth_unstable_by(half, f64::total_cmp);
    if is_odd { *middle } else { f64::midpoint(below.iter().copied().fold(f64::MIN, f64::max), *middle) }
}

/// For the order in which samples are taken, which must not be the same from one comparison to the next.
pub(crate) fn random() -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(RandomState::new().build_hasher().finish())
}

/// A number below `n`, each as likely as the others but for 2^-32 of it.
pub(crate) fn below(rng: &mut Pcg64Mcg, n: usize) -> usize {
    let product = u64::from(rng.next_u32()) * n as u64;
    usize::try_from(product >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_samples() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
    }

    #[test]
    fn an_interval_holds_its_median_and_narrows_with_the_noise() {
        let noisy: Vec<_> = (0..20).map(|i| 1.0 + f64::from(i * 7 % 20) / 20.0).collect();
        let calm: Vec<_> = noisy.iter().map(|sample| 1.5 + (sample - 1.5) / 100.0).collect();
        let (noisy, calm) = (Interval::of_median(&noisy), Interval::of_median(&calm));
        for median in [noisy, calm] {
            assert!(median.low <= median.value && median.value <= median.high, "{median:?}");
        }
        assert!(calm.high - calm.low < (noisy.high - noisy.low) / 50.0);
        assert!(noisy.ties_with(&calm));
        assert!(!calm.ties_with(&Interval::of_median(&[2.0, 2.1, 2.2])));
        let one = Interval::of_median(&[1.0]);
        assert_eq!((one.low, one.high), (1.0, 1.0));
    }

    #[test]
    fn a_ratio_has_an_interval_of_its_own() {
        let slow: Vec<_> = (0..20).map(|i| 2.0 + f64::from(i * 7 % 20) / 100.0).collect();
        let fast: Vec<_> = slow.iter().map(|sample| sample / 2.0).collect();
        let ratio = Interval::of_ratio(&slow, &fast);
        assert!((ratio.value - 2.0).abs() < 1e-9 && ratio.low < 2.0 && 2.0 < ratio.high, "{ratio:?}");
        assert!(1.8 < ratio.low && ratio.high < 2.2, "{ratio:?}");
        let back = Interval::of_ratio(&fast, &slow);
        assert!((back.value - 0.5).abs() < 1e-9 && back.low < 0.5 && 0.5 < back.high, "{back:?}");
    }

    /// The promise of an interval: of a hundred, some 95 hold what they are the interval of. The percentile bootstrap of a
    /// median is a little better than that with few samples.
    #[test]
    fn intervals_of_medians_and_ratios_hold_the_truth_as_often_as_they_say() {
        let mut rng = Pcg64Mcg::seed_from_u64(11);
        // Skewed to the right, as times are: the median of -ln(u) is ln 2.
        let mut draw =
            |n: usize| (0..n).map(|_| 1.0 - (f64::from(rng.next_u32()) / 4294967296.0).ln()).collect::<Vec<_>>();
        let truth = 1.0 + 2.0_f64.ln();
        let (mut medians, mut ratios) = (0, 0);
        for _ in 0..300 {
            let (own, other) = (draw(12), draw(12));
            let median = Interval::of_median(&own);
            medians += u32::from(median.low <= truth && truth <= median.high);
            let ratio = Interval::of_ratio(&own, &other);
            ratios += u32::from(ratio.low <= 1.0 && 1.0 <= ratio.high);
        }
        assert!((270..=300).contains(&medians) && (276..=300).contains(&ratios), "{medians}, {ratios} of 300");
    }

    #[test]
    fn an_outlier_is_far_from_the_others() {
        assert_eq!(outliers(&[1.0, 1.1, 0.9, 5.0, 1.05, 0.95]), [3]);
        assert_eq!(outliers(&[1.0, 1.1, 0.9, 1.2, 1.05, 0.95]), [0; 0]);
        assert_eq!(outliers(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.1]), [0; 0]);
        // Of a few nobody can say which is odd.
        assert_eq!(outliers(&[1.0, 1.1, 9.0]), [0; 0]);
        assert_eq!(outliers(&[1.0]), [0; 0]);
    }
}
