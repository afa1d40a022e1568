//! Figures as people read them: no more digits than the noise leaves.

use std::ffi::OsStr;

use indicatif::{BinaryBytes, DecimalBytes, HumanCount};
use polyread_core::Escaped;

use crate::bench::results::Cell;
use crate::bench::stats::Interval;

/// Seconds, or the unit below in which they are a number from one to a thousand.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

/// Seconds that somebody waited.
pub(crate) fn long(seconds: f64) -> String {
    match rounded(seconds) {
        s if s < 60 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

/// Both ends of an interval, with the unit once where it is the same.
pub(crate) fn range(low: &str, high: &str) -> String {
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((figure, unit)), Some((_, other))) if unit == other => format!("{figure} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// The interval of a cell's time, if it has samples enough for one.
pub(crate) fn interval(cell: &Cell) -> Option<String> {
    cell.has_interval().then(|| range(&duration(cell.ci_low_s), &duration(cell.ci_high_s)))
}

/// How many times as much.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2}x")
}

pub(crate) fn times_within(ratio: &Interval) -> String {
    format!("{:.2}x ({:.2} to {:.2})", ratio.value, ratio.low, ratio.high)
}

/// A part of the whole, in hundredths.
pub(crate) fn percent(part: f64) -> String {
    let digits = usize::from(part.abs() < 0.0995);
    format!("{:.digits$}%", part * 100.0)
}

/// Of memory.
pub(crate) fn memory(bytes: f64) -> String {
    BinaryBytes(rounded(bytes)).to_string()
}

/// Of files.
pub(crate) fn size(bytes: f64) -> String {
    DecimalBytes(rounded(bytes)).to_string()
}

pub(crate) fn count(number: f64) -> String {
    HumanCount(rounded(number)).to_string()
}

/// Where there is no figure.
pub(crate) fn dash() -> String {
    "–".to_owned()
}

/// `1 file`, `2 files`.
pub(crate) fn many(number: u64, one: &str) -> String {
    format!("{} {one}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<_> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// A file's name as it may be shown.
pub(crate) fn path(name: &str) -> String {
    Escaped(OsStr::new(name)).to_string()
}

/// Text that was written elsewhere and may hold names that are escaped already: what steers a screen is written out, a
/// backslash stays single.
pub(crate) fn printable(text: &str) -> String {
    text.split('\\').map(path).collect::<Vec<_>>().join("\\")
}

/// Of figures that are never negative and far below the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
pub(crate) fn rounded(figure: f64) -> u64 {
    figure.round() as u64
}
