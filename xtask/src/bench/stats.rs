//! Medians, and how far they can be trusted.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Resamples of the bootstrap. With a thousand the ends of a 95% interval are good to a few percent of its width; more
/// does not show beside the noise of the samples themselves.
const RESAMPLES: usize = 2_000;

/// With fewer samples the whole range from the smallest to the largest covers the median less often than 95 times in a
/// hundred (1 - 2 / 2^n): there is no interval to speak of, and nothing to be told apart.
pub(super) const FEWEST_SAMPLES: usize = 6;

/// A median with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Median {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Median {
    /// The median of the samples, with a percentile bootstrap interval (Efron 1979). The resampling starts from a fixed
    /// seed: the same samples always give the same interval.
    pub(super) fn of(samples: &[f64]) -> Self {
        let value = median(samples.to_vec());
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut medians: Vec<_> = (0..RESAMPLES)
            .map(|_| median(samples.iter().map(|_| samples[below(&mut rng, samples.len())]).collect()))
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |per_mille: usize| medians[(RESAMPLES - 1) * per_mille / 1000];
        Self { value, low: at(25), high: at(975) }
    }

    /// Whether the two cannot be told apart: their intervals overlap.
    pub(super) fn ties_with(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The middle sample, or the mean of the two in the middle.
pub(super) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let half = samples.len() / 2;
    if samples.len() % 2 == 1 { samples[half] } else { f64::midpoint(samples[half - 1], samples[half]) }
}

/// A number below `n`, each as likely as the others but for 2^-32 of it.
pub(super) fn below(rng: &mut Pcg64Mcg, n: usize) -> usize {
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
        let (noisy, calm) = (Median::of(&noisy), Median::of(&calm));
        for median in [noisy, calm] {
            assert!(median.low <= median.value && median.value <= median.high, "{median:?}");
        }
        assert!(calm.high - calm.low < (noisy.high - noisy.low) / 50.0);
        assert!(noisy.ties_with(&calm));
        assert!(!calm.ties_with(&Median::of(&[2.0, 2.1, 2.2])));
        let one = Median::of(&[1.0]);
        assert_eq!((one.low, one.high), (1.0, 1.0));
    }
}
