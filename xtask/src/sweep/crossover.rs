//! Where one model overtakes the other.

use super::{Crossover, Curve, Point};

/// All crossings of all pairs, from left to right.
pub(super) fn find(curves: &[Curve]) -> Vec<Crossover> {
    let mut found = Vec::new();
    for (at, one) in curves.iter().enumerate() {
        for other in &curves[at + 1..] {
            found.extend(of_pair(one, other));
        }
    }
    for crossover in &mut found {
        let here = |name: &str| curves.iter().find(|it| it.strategy == name).and_then(|it| time_at(it, crossover.at));
        let pair = here(&crossover.before).into_iter().chain(here(&crossover.after)).fold(f64::INFINITY, f64::min);
        let others = curves.iter().filter(|it| it.strategy != crossover.before && it.strategy != crossover.after);
        crossover.leads = others.filter_map(|it| time_at(it, crossover.at)).all(|other| pair <= other);
    }
    found.sort_by(|a, b| a.at.total_cmp(&b.at));
    found
}

/// Two points at the same place.
struct Pair<'a> {
    at: f64,
    one: &'a Point,
    other: &'a Point,
}

impl Pair<'_> {
    /// Below zero where the one is faster; a ratio, as all that is told of times.
    fn difference(&self) -> f64 {
        (self.one.median_s / self.other.median_s).ln()
    }

    /// The same, where the two can be told apart.
    fn certainly(&self) -> Option<f64> {
        self.one.is_apart_from(self.other).then(|| self.difference())
    }
}

fn of_pair(one: &Curve, other: &Curve) -> Vec<Crossover> {
    let pairs: Vec<_> = one
        .verified()
        .filter_map(|point| {
            let theirs = other.verified().find(|it| it.at == point.at)?;
            Some(Pair { at: point.at, one: point, other: theirs })
        })
        .collect();
    let changes = changes(&pairs);
    let mut found: Vec<Crossover> = Vec::new();
    for (left, right, at) in &changes {
        // Noise may have them change places more than once between two points at which they are clearly apart.
        let known_left = (0..=*left).rev().find_map(|it| Some((it, pairs[it].certainly()?)));
        let known_right = (*right..pairs.len()).find_map(|it| Some((it, pairs[it].certainly()?)));
        let certain = match (known_left, known_right) {
            (Some((from, was)), Some((to, is))) if (was < 0.0) != (is < 0.0) => Some((from, to)),
            _ => None,
        };
        let (from, to) = certain.unwrap_or((*left, *right));
        if certain.is_some() {
            let between: Vec<_> = changes.iter().filter(|(left, right, _)| from <= *left && *right <= to).collect();
            // Of an odd number the one in the middle stands for all of them.
            if between[between.len() / 2].0 != *left {
                continue;
            }
        }
        let (before, after) = if pairs[from].difference() < 0.0 { (one, other) } else { (other, one) };
        let (before, after) = (before.strategy.clone(), after.strategy.clone());
        let between = [pairs[from].at, pairs[to].at];
        found.push(Crossover { at: *at, between, before, after, certain: certain.is_some(), leads: false });
    }
    found
}

/// The neighbours between which the sign of the difference changes, and where: on straight lines through both, in logarithms.
/// Where it is nothing at all for a while, in the middle of that.
fn changes(pairs: &[Pair<'_>]) -> Vec<(usize, usize, f64)> {
    let unequal: Vec<_> = (0..pairs.len()).filter(|it| pairs[*it].difference() != 0.0).collect();
    let neighbours = unequal.windows(2).map(|window| (window[0], window[1]));
    let changing =
        neighbours.filter(|(left, right)| (pairs[*left].difference() < 0.0) != (pairs[*right].difference() < 0.0));
    let place = |(left, right): (usize, usize)| {
        if right - left > 1 {
            return (left, right, pairs[usize::midpoint(left, right)].at);
        }
        let (from, to) = (pairs[left].difference(), pairs[right].difference());
        (left, right, between(pairs[left].at, pairs[right].at, from / (from - to)))
    };
    changing.map(place).collect()
}

/// So far from the one to the other, in logarithms; where there is none of 0, on a plain scale.
fn between(left: f64, right: f64, part: f64) -> f64 {
    if left > 0.0 { (left.ln() + (right.ln() - left.ln()) * part).exp() } else { left + (right - left) * part }
}

/// The time on straight lines from point to point, in logarithms; `None` outside of the curve.
fn time_at(curve: &Curve, at: f64) -> Option<f64> {
    let points: Vec<_> = curve.verified().collect();
    let right = points.iter().position(|point| point.at >= at)?;
    if points[right].at == at {
        return Some(points[right].median_s);
    }
    let (left, right) = (points[right.checked_sub(1)?], points[right]);
    let part = if left.at > 0.0 {
        (at / left.at).ln() / (right.at / left.at).ln()
    } else {
        (at - left.at) / (right.at - left.at)
    };
    Some(between(left.median_s, right.median_s, part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Points at 1, 10, 100 … of these times, known to such a part of them.
    fn curve(strategy: &str, times: &[f64], noise: f64) -> Curve {
        let point = |(place, time): (i32, &f64)| Point {
            at: 10.0_f64.powi(place),
            files: 1,
            bytes: 1,
            median_s: *time,
            ci_low_s: time * (1.0 - noise),
            ci_high_s: time * (1.0 + noise),
            samples_s: vec![*time; 6],
            peak_rss_bytes: 1,
            peak_pss_bytes: None,
            cache_verified: true,
            verified: true,
        };
        Curve { strategy: strategy.to_owned(), points: (0..).zip(times).map(point).collect() }
    }

    fn told(found: &[Crossover]) -> Vec<(&str, &str, bool, bool)> {
        found.iter().map(|it| (it.before.as_str(), it.after.as_str(), it.certain, it.leads)).collect()
    }

    #[test]
    fn two_lines_cross_once() {
        let found = find(&[curve("flat", &[2.0, 2.0, 2.0], 0.01), curve("steep", &[1.0, 4.0, 16.0], 0.01)]);
        assert_eq!(told(&found), [("steep", "flat", true, true)]);
        assert!((found[0].at - 10.0_f64.sqrt()).abs() < 1e-9, "{found:?}");
        assert_eq!(found[0].between, [1.0, 10.0]);
    }

    #[test]
    fn curves_that_never_cross_and_single_points_give_nothing() {
        assert!(find(&[curve("a", &[1.0, 2.0], 0.0), curve("b", &[2.0, 4.0], 0.0)]).is_empty());
        assert!(find(&[curve("a", &[1.0, 1.0], 0.0), curve("b", &[1.0, 1.0], 0.0)]).is_empty());
        assert!(find(&[curve("a", &[1.0], 0.0), curve("b", &[2.0], 0.0)]).is_empty());
        assert!(find(&[curve("a", &[1.0, 3.0], 0.0)]).is_empty() && find(&[]).is_empty());
    }

    #[test]
    fn within_the_noise_nothing_is_certain() {
        let found = find(&[curve("flat", &[2.0, 2.0], 0.3), curve("steep", &[1.9, 2.1], 0.3)]);
        assert_eq!(told(&found), [("steep", "flat", false, true)]);
        // Neither with fewer samples than an interval takes.
        let mut few = curve("steep", &[1.0, 4.0], 0.0);
        few.points[0].samples_s.truncate(5);
        assert_eq!(told(&find(&[curve("flat", &[2.0, 2.0], 0.0), few])), [("steep", "flat", false, true)]);
    }

    #[test]
    fn changes_in_the_noise_between_two_clear_sides_are_one_crossover() {
        let steep = curve("steep", &[1.0, 1.99, 2.01, 1.99, 2.01, 4.0], 0.02);
        let found = find(&[curve("flat", &[2.0; 6], 0.02), steep]);
        assert_eq!(told(&found), [("steep", "flat", true, true)]);
        assert_eq!(found[0].between, [1.0, 100_000.0]);
        assert!((100.0..1000.0).contains(&found[0].at), "{found:?}");
    }

    #[test]
    fn curves_that_touch_cross_in_the_middle_of_it() {
        let steep = curve("steep", &[1.0, 2.0, 2.0, 2.0, 3.0], 0.0);
        let found = find(&[curve("flat", &[2.0; 5], 0.0), steep]);
        assert_eq!((told(&found), found[0].at), (vec![("steep", "flat", true, true)], 100.0));
        assert!(find(&[curve("flat", &[2.0; 3], 0.0), curve("dips", &[3.0, 2.0, 3.0], 0.0)]).is_empty());
    }

    #[test]
    fn the_fastest_changes_only_among_the_fastest_and_the_wrong_are_left_out() {
        let flat = curve("flat", &[2.0, 2.0], 0.0);
        let steep = curve("steep", &[1.0, 4.0], 0.0);
        let mut best = curve("best", &[0.5, 0.5], 0.0);
        assert_eq!(told(&find(&[flat.clone(), steep.clone(), best.clone()])), [("steep", "flat", true, false)]);
        best.points.iter_mut().for_each(|point| point.verified = false);
        assert_eq!(told(&find(&[flat.clone(), steep, best.clone()])), [("steep", "flat", true, true)]);
        let mut wrong = curve("wrong", &[1.0, 4.0], 0.0);
        wrong.points[1].verified = false;
        assert!(find(&[flat, wrong]).is_empty());
    }

    #[test]
    fn a_threshold_of_zero_has_no_logarithm() {
        let (mut flat, mut steep) = (curve("flat", &[2.0, 2.0], 0.0), curve("steep", &[1.0, 4.0], 0.0));
        (flat.points[0].at, steep.points[0].at) = (0.0, 0.0);
        let found = find(&[flat, steep]);
        assert!((0.0..10.0).contains(&found[0].at) && found[0].leads, "{found:?}");
    }

    proptest! {
        /// Straight lines in logarithms, evaluated densely.
        #[test]
        fn lines_cross_where_a_dense_evaluation_says(
            (a, b) in (-3.0..3.0f64, -3.0..3.0f64),
            (p, q) in (-2.0..2.0f64, -2.0..2.0f64),
            points in 2..9usize,
        ) {
            let line = |start: f64, slope: f64| move |x: f64| start + slope * x;
            let (one, other) = (line(a, p), line(b, q));
            let times = |line: &dyn Fn(f64) -> f64| {
                (0..points).map(|place| line(place as f64 * 10.0_f64.ln()).exp()).collect::<Vec<_>>()
            };
            let found = find(&[curve("one", &times(&one), 0.0), curve("other", &times(&other), 0.0)]);
            let step = 1e-3;
            let end = (points - 1) as f64 * 10.0_f64.ln();
            let dense: Vec<f64> = std::iter::successors(Some(0.0), |x| Some(x + step)).take_while(|x| *x <= end).collect();
            let is_faster = |x: f64| one(x) < other(x);
            let change = dense.windows(2).find(|x| is_faster(x[0]) != is_faster(x[1]));
            match change {
                Some(x) => {
                    prop_assert_eq!(found.len(), 1);
                    prop_assert!((found[0].at.ln() - x[0]).abs() <= 2.0 * step, "{:?} {:?}", found, x);
                    prop_assert_eq!(&found[0].before == "one", is_faster(x[0]));
                    prop_assert!(found[0].certain && found[0].leads);
                }
                // The last step of the evaluation ends before the last point.
                None => prop_assert!(found.iter().all(|it| it.at.ln() >= end - 2.0 * step || it.at.ln() <= step)),
            }
        }
    }
}
