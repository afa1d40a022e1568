//! The line through a cloud of points: what one more costs.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng;

use crate::bench::stats::{Interval, below, median};

/// As many as give the ends of an interval to a few percent of its width.
const RESAMPLES: usize = 1_000;

/// The slope through these points: the median of the slopes of all pairs (Theil 1950, Sen 1968). Up to three in ten points
/// may be anywhere without bending it. The 95% interval is a percentile bootstrap of the points, from a fixed seed.
///
/// `None` where all points are at one place.
pub(super) fn of(points: &[(f64, f64)]) -> Option<Interval> {
    let value = median_slope(points)?;
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let resampled = (0..RESAMPLES).filter_map(|_| {
        let drawn: Vec<_> = points.iter().map(|_| points[below(&mut rng, points.len())]).collect();
        // One that has drawn a single place has no slope.
        median_slope(&drawn)
    });
    let resampled: Vec<_> = resampled.collect();
    (!resampled.is_empty()).then(|| Interval::around(value, resampled, 0.95))
}

fn median_slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, (x, y)) in points.iter().enumerate() {
        let others = points[at + 1..].iter().filter(|(other, _)| other != x);
        slopes.extend(others.map(|(other_x, other_y)| (other_y - y) / (other_x - x)));
    }
    (!slopes.is_empty()).then(|| median(slopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three points at each of five places.
    fn line(bend: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        (0..15).map(|at| ((at % 5) as f64, 100.0 + 8.0 * (at % 5) as f64 + bend(at))).collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let slope = of(&line(|_| 0.0)).unwrap();
        assert!((slope.value - 8.0).abs() < 1e-9 && (slope.low - 8.0).abs() < 1e-9 && (slope.high - 8.0).abs() < 1e-9);
    }

    #[test]
    fn noise_widens_the_interval_and_single_points_do_not_bend_the_line() {
        let noisy = of(&line(|at| [1.0, -1.0, 0.5, -0.5][at * 7 % 4])).unwrap();
        assert!(noisy.low < 8.0 && 8.0 < noisy.high && (noisy.value - 8.0).abs() < 1.0, "{noisy:?}");
        let bent = of(&line(|at| if at < 2 { 1000.0 } else { 0.0 })).unwrap();
        assert!((bent.value - 8.0).abs() < 1e-9, "{bent:?}");
    }

    #[test]
    fn at_a_single_place_there_is_no_slope() {
        assert!(of(&[(1.0, 1.0), (1.0, 2.0)]).is_none() && of(&[]).is_none());
    }
}
