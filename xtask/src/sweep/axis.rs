//! The axes: what can be varied, over which values, and who has it.

use std::thread;

use indicatif::HumanCount;
use polyread_cli::Strategy;
use polyread_core::Limits;
use walkdir::WalkDir;

use super::{Over, trees};
use crate::bench::Corpus;
use crate::bench::sample::Settings;

/// More workers than any reader takes.
const MOST_WORKERS: u64 = 1024;

/// A number, or one of KiB, MiB or GiB.
pub(super) fn value(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), shift)));
    let (digits, shift) = unit.unwrap_or((text, 0));
    let number: Option<u64> = digits.parse().ok();
    let scaled = number.and_then(|number| number.checked_mul(1 << shift));
    scaled.ok_or_else(|| format!("'{text}' is no whole number, nor one of KiB, MiB or GiB"))
}

impl Over {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Workers => "workers",
            Self::Size => "size",
            Self::Count => "count",
            Self::Threshold => "threshold",
            Self::InFlight => "in-flight",
        }
    }

    /// A value with its unit.
    pub(crate) fn said(self, at: f64) -> String {
        // Where curves cross may be between two values: there is no half a worker.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
        let whole = at.ceil() as u64;
        match self {
            Self::Workers if whole == 1 => "1 worker".to_owned(),
            Self::Workers => format!("{whole} workers"),
            Self::Size => format!("{} a file", bytes(whole)),
            Self::Count => format!("{} files", HumanCount(whole)),
            Self::Threshold if whole == 0 => "0 (all are large)".to_owned(),
            Self::Threshold => bytes(whole),
            Self::InFlight => format!("{whole} in flight"),
        }
    }

    /// The same for a value that is known roughly: more than two digits of it say nothing.
    pub(crate) fn said_roughly(self, at: f64) -> String {
        let digit = 10.0_f64.powf((at.max(1.0).log10() - 1.0).floor().max(0.0));
        let rounded = (at / digit).round() * digit;
        match self {
            Self::Size => format!("{} a file", rough_bytes(rounded)),
            Self::Threshold => rough_bytes(rounded),
            _ => self.said(rounded),
        }
    }

    /// Sorted, each once.
    ///
    /// # Errors
    ///
    /// One of them cannot be: why.
    pub(super) fn check(self, mut values: Vec<u64>) -> Result<Vec<u64>, String> {
        values.sort_unstable();
        values.dedup();
        let (least, most) = match self {
            Self::Workers => (1, MOST_WORKERS),
            // More are never under way: each has a file open.
            Self::InFlight => (1, Limits::default().open_files() as u64),
            Self::Threshold => (0, u64::MAX),
            Self::Size => (trees::SMALLEST_FILE, trees::LARGEST_FILE),
            Self::Count => (1, trees::MOST_FILES),
        };
        let wrong = values.iter().find(|value| !(least..=most).contains(value));
        wrong.map_or(Ok(()), |wrong| Err(format!("--values: {wrong} is not from {least} to {most}")))?;
        Ok(values)
    }

    /// The values of an axis that makes its own trees.
    pub(super) fn own_values(self, quick: bool) -> Vec<u64> {
        match self {
            Self::Count => {
                let most = if quick { trees::MOST_BY_DEFAULT / 10 } else { trees::MOST_BY_DEFAULT };
                series(10, 10, most)
            }
            _ => {
                let total = trees::total(quick);
                let mut sizes = series(256, 4, total);
                // The last: one file.
                sizes.extend((!sizes.contains(&total)).then_some(total));
                sizes
            }
        }
    }

    /// The values of an axis that is swept on one tree.
    pub(super) fn values_for(self, corpus: &Corpus) -> Vec<u64> {
        match self {
            Self::InFlight => series(1, 2, 64),
            Self::Threshold => {
                let files = WalkDir::new(&corpus.path).into_iter().filter_map(|entry| entry.ok()?.metadata().ok());
                let largest = files.filter(std::fs::Metadata::is_file).map(|it| it.len()).max().unwrap_or(0);
                // From all of them large to all of them small, and what is the default in between.
                let mut values = vec![0, 10_000];
                values.extend(series(1024, 4, largest.max(10_000).saturating_mul(4)));
                values.sort_unstable();
                values
            }
            _ => {
                let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
                series(1, 2, (2 * cores).max(16))
            }
        }
    }

    /// What a sample at this value is told.
    pub(super) fn settings(self, at: u64) -> Settings {
        let count = usize::try_from(at).unwrap_or(usize::MAX);
        let none = Settings::default();
        match self {
            Self::Workers => Settings { workers: Some(count), ..none },
            Self::InFlight => Settings { in_flight: Some(count), ..none },
            Self::Threshold => Settings { threshold: Some(at), ..none },
            Self::Size | Self::Count => none,
        }
    }

    /// Which of these strategies take part, or of all if there are none, and what is to be said about the others.
    pub(super) fn party(self, asked: &[Strategy]) -> (Vec<Strategy>, Vec<String>) {
        let (mut party, mut absent) = (Vec::new(), Vec::<(String, Vec<&str>)>::new());
        for strategy in Strategy::ALL.into_iter().filter(|it| asked.is_empty() || asked.contains(it)) {
            let lacks = self.lacks(strategy).map(str::to_owned);
            match lacks.or_else(|| strategy.available().err().map(|reason| reason.to_string())) {
                None => party.push(strategy),
                Some(reason) => match absent.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, names)) => names.push(strategy.name()),
                    None => absent.push((reason, vec![strategy.name()])),
                },
            }
        }
        let notes = absent.into_iter().map(|(reason, names)| match &names[..] {
            [one] => format!("{one} takes no part: {reason}."),
            several => format!("{} take no part: {reason}.", several.join(", ")),
        });
        let meaning = match self {
            Self::Workers => Some(
                "Of tokio and async-std, workers set how many hops are under way: twice as many, and more where they wait for a \
                 device. Those of io-uring are rings.",
            ),
            Self::InFlight => Some(
                "In flight are hops of up to 64 files for tokio, async-std and the small side of hybrid, which keeps to its \
                 workers all the same, and files of each ring for io-uring.",
            ),
            _ => None,
        };
        (party, notes.chain(meaning.map(str::to_owned)).collect())
    }

    /// Why this strategy would not be moved by what is varied, if so.
    fn lacks(self, strategy: Strategy) -> Option<&'static str> {
        match (self, strategy) {
            (Self::Workers, Strategy::Sequential) => Some("there is one worker"),
            (Self::Threshold, Strategy::Hybrid) => None,
            (Self::Threshold, _) => Some("there is one way for files of all sizes"),
            (Self::InFlight, Strategy::Sequential | Strategy::Rayon) => Some("each thread reads one file at a time"),
            (Self::InFlight, Strategy::Multiprocess) => Some("how many messages are under way cannot be set"),
            _ => None,
        }
    }
}

/// Bytes as one would set them: exact.
fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{} {unit}", HumanCount(bytes >> shift)),
        None => format!("{} B", HumanCount(bytes)),
    }
}

/// Bytes as one would say them, without digits that are only there because of the unit.
fn rough_bytes(bytes: f64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= 10.0 * unit) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// The first, and each so many times the one before, up to the last.
fn series(first: u64, times: u64, last: u64) -> Vec<u64> {
    std::iter::successors(Some(first), |value| value.checked_mul(times)).take_while(|value| *value <= last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_with_or_without_a_unit() {
        assert_eq!(value("12"), Ok(12));
        assert_eq!(value(" 4KiB"), Ok(4096));
        assert_eq!(value("2 MiB"), Ok(2 << 20));
        assert_eq!(value("1GiB"), Ok(1 << 30));
        for wrong in ["", "KiB", "-1", "1.5", "4 kb", "99999999999GiB"] {
            assert!(value(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_said_as_one_would_set_them_and_crossings_roughly() {
        assert_eq!(
            [256.0, 16384.0, 10_000.0].map(|at| Over::Size.said(at)),
            ["256 B a file", "16 KiB a file", "10,000 B a file"]
        );
        assert_eq!(
            [2.3, 596.8, 1927.0, 24_100.0, 16_777_216.0].map(|at| Over::Size.said_roughly(at)),
            ["2 B a file", "600 B a file", "1900 B a file", "24 kB a file", "17 MB a file"]
        );
        assert_eq!((Over::Workers.said(1.0), Over::Workers.said(2.1)), ("1 worker".into(), "3 workers".into()));
    }

    #[test]
    fn values_are_sorted_and_each_is_there_once() {
        assert_eq!(Over::Workers.check(vec![4, 1, 2, 4, 1]), Ok(vec![1, 2, 4]));
        assert_eq!(Over::Threshold.check(vec![1, 0]), Ok(vec![0, 1]));
        for over in [Over::Workers, Over::InFlight, Over::Size, Over::Count] {
            assert!(over.check(vec![1000, 0]).unwrap_err().contains("0 is not from"), "{over:?}");
        }
        assert!(Over::Workers.check(vec![1025]).is_err());
    }

    #[test]
    fn default_values_are_allowed_ones() {
        for quick in [false, true] {
            for over in [Over::Size, Over::Count] {
                let values = over.own_values(quick);
                assert_eq!(over.check(values.clone()), Ok(values));
            }
        }
        assert_eq!(Over::Size.own_values(false).last(), Some(&(32 << 20)));
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("large"), vec![0; 70_000]).unwrap();
        let corpus = Corpus { name: "c".to_owned(), path: tree.path().to_owned(), goals: None };
        for over in [Over::Workers, Over::Threshold, Over::InFlight] {
            let values = over.values_for(&corpus);
            assert_eq!(over.check(values.clone()), Ok(values));
        }
        assert_eq!(Over::Threshold.values_for(&corpus), [0, 1024, 4096, 10_000, 16384, 65536, 262144]);
    }

    #[test]
    fn whoever_lacks_the_knob_is_told() {
        let (party, notes) = Over::Threshold.party(&[Strategy::Tokio, Strategy::Hybrid, Strategy::Rayon]);
        assert_eq!(party, [Strategy::Hybrid]);
        assert_eq!(notes, ["rayon, tokio take no part: there is one way for files of all sizes."]);
        assert!(!Over::Workers.party(&[]).0.contains(&Strategy::Sequential));
        assert!(Over::Size.party(&[Strategy::Sequential]).1.is_empty());
    }
}
