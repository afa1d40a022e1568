//! From figures to places along an axis, and what stands beside it.

use super::figures;

/// What the figures of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    Seconds,
    /// Of memory, in powers of 1024.
    Memory,
    /// Of files, in powers of 1000.
    Size,
    Count,
    Ratio,
}

/// From figures to places on an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quantity: Quantity,
    low: f64,
    high: f64,
    is_log: bool,
    /// Where its ends are.
    from: f64,
    to: f64,
}

/// Where the largest figure is so many times the smallest, small ones would be a heap at the axis' end.
const SPREAD_FOR_LOG: f64 = 12.0;

impl Scale {
    /// From nothing to the largest figure, or logarithmic where that shows more.
    pub(crate) fn fitting(quantity: Quantity, figures: impl Iterator<Item = f64>, is_log: Option<bool>) -> Self {
        let figures: Vec<f64> = figures.filter(|figure| figure.is_finite() && *figure > 0.0).collect();
        let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let high = figures.iter().copied().fold(0.0, f64::max);
        if figures.is_empty() {
            return Self { quantity, low: 0.0, high: 1.0, is_log: false, from: 0.0, to: 1.0 };
        }
        let is_log = is_log.unwrap_or(high > low * SPREAD_FOR_LOG);
        let (low, high) = if is_log { (low / 1.15, high * 1.15) } else { (0.0, high * 1.04) };
        Self { quantity, low, high, is_log, from: 0.0, to: 1.0 }
    }

    /// From the smallest figure to the largest: for ratios, which are not to be held against nothing.
    pub(crate) fn around(quantity: Quantity, figures: impl Iterator<Item = f64>) -> Self {
        let scale = Self::fitting(quantity, figures, Some(true));
        if scale.is_log { Self { low: scale.low / 1.02, high: scale.high * 1.02, ..scale } } else { scale }
    }

    /// Whether a figure lies beyond its end.
    pub(crate) fn ends_before(&self, figure: f64) -> bool {
        figure > self.high
    }

    pub(crate) fn is_log(&self) -> bool {
        self.is_log
    }

    /// The same between these two places.
    pub(crate) fn between(self, from: f64, to: f64) -> Self {
        Self { from, to, ..self }
    }

    pub(crate) fn at(&self, figure: f64) -> f64 {
        let part = if self.is_log {
            (figure.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (figure - self.low) / (self.high - self.low)
        };
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round figures of its range, so many at the most, and how they are written.
    pub(crate) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let (base, unit) = self.quantity.unit(self.high);
        let ticks = if self.is_log { self.log_ticks(most) } else { self.linear_ticks(most, base) };
        ticks
            .into_iter()
            .map(|tick| {
                let text =
                    if self.is_log { self.quantity.short(tick) } else { format!("{}{unit}", trimmed(tick / base)) };
                (tick, if tick == 0.0 { "0".to_owned() } else { text })
            })
            .collect()
    }

    fn linear_ticks(&self, most: usize, base: f64) -> Vec<f64> {
        let rough = self.high / base / most as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough);
        let step = step.unwrap_or(power * 10.0) * base;
        (0..=most).map(|at| at as f64 * step).take_while(|tick| *tick <= self.high).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<f64> {
        // Powers of two are round where units are powers of 1024.
        let (base, steps): (f64, &[&[f64]]) = match self.quantity {
            Quantity::Memory => (1024.0, &[&[1.0, 4.0, 16.0, 64.0, 256.0], &[1.0, 8.0, 64.0], &[1.0, 32.0], &[1.0]]),
            _ => (
                10.0,
                &[
                    &[1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0, 7.0, 8.0, 9.0],
                    &[1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0, 8.0],
                    &[1.0, 2.0, 3.0, 5.0, 7.0],
                    &[1.0, 2.0, 5.0],
                    &[1.0, 3.0],
                    &[1.0],
                ],
            ),
        };
        let first = (self.low.ln() / base.ln()).floor();
        let powers: Vec<f64> = (0..40).map(|at| base.powf(first + f64::from(at))).collect();
        let of = |steps: &[f64]| -> Vec<f64> {
            let all = powers.iter().flat_map(|power| steps.iter().map(move |step| power * step));
            all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
        };
        let fitting = steps.iter().map(|steps| of(steps)).find(|ticks| ticks.len() <= most);
        fitting.unwrap_or_else(|| {
            let all = of(&[1.0]);
            let every = all.len().div_ceil(most);
            all.into_iter().step_by(every).collect()
        })
    }
}

impl Quantity {
    /// A figure with as few digits as it takes.
    pub(crate) fn short(self, figure: f64) -> String {
        // What rounds up to the next unit is written in it.
        let (base, unit) = self.unit(figure * 1.001);
        format!("{}{unit}", trimmed(figure / base))
    }

    /// The unit in which a figure is written, and how large that is.
    fn unit(self, figure: f64) -> (f64, &'static str) {
        let units: &[(f64, &str)] = match self {
            Self::Seconds => &[(1.0, " s"), (1e-3, " ms"), (1e-6, " µs")],
            Self::Memory => &[(1_073_741_824.0, " GiB"), (1_048_576.0, " MiB"), (1024.0, " KiB"), (1.0, " B")],
            Self::Size => &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1.0, " B")],
            Self::Count => &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
            Self::Ratio => &[(1.0, "x")],
        };
        let fitting = units.iter().find(|(base, _)| figure >= *base);
        fitting.or(units.last()).copied().unwrap_or((1.0, ""))
    }

    /// A figure as tables have it.
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Seconds => figures::duration(figure),
            Self::Memory => figures::memory(figure),
            Self::Size => figures::size(figure),
            Self::Count => figures::count(figure),
            Self::Ratio => figures::times(figure),
        }
    }
}

/// Three digits that count, without zeros at the end.
fn trimmed(figure: f64) -> String {
    let digits = if figure >= 100.0 {
        0
    } else if figure >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{figure:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
