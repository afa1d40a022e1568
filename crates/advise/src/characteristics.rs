//! What a choice of model depends on: how many files there are, how large, and what is done with them.

use std::collections::BTreeMap;

use polyread_core::{CancelToken, Discovery, DiscoveryError, ErrorKind, ReadError};

use crate::histogram::Histogram;

/// What is known of a tree and of the work on it: what [`choose`](crate::choose) decides by.
///
/// It is [measured](Self::measure) on a tree, or told by those who know theirs:
///
/// ```
/// use polyread_advise::Characteristics;
///
/// let logs = Characteristics::new().with_files(40_000, 700).with_files(12, 1 << 30).cpu_bound(true);
/// assert_eq!(logs.files(), 40_012);
/// ```
///
/// It takes the same 60 kB at most for any number of files: sizes are kept in a histogram, see
/// [`sizes`](Self::sizes) for what that costs in accuracy. All other figures are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Characteristics {
    files: u64,
    bytes: u64,
    empty: u64,
    small_files: u64,
    small_bytes: u64,
    min: u64,
    max: u64,
    histogram: Histogram,
    errors: BTreeMap<ErrorKind, u64>,
    cpu_bound: bool,
    partial: bool,
}

/// How large the files are, in bytes. See [`Characteristics::sizes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SizeQuantiles {
    /// The smallest.
    pub min: u64,
    /// One file in ten is no larger.
    pub p10: u64,
    /// The median: half of the files are no larger.
    pub p50: u64,
    /// Nine files in ten are no larger.
    pub p90: u64,
    /// Ninety-nine files in a hundred are no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Characteristics {
    /// Below this many bytes a file is small: where the hybrid model draws the line between tasks and threads.
    pub const SMALL: u64 = 10_000;

    /// One file in so many must be small, and one in so many not, for a workload to be
    /// [mixed](Self::is_mixed_workload).
    pub const MIXED_SHARE: u64 = 10;

    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at every file that `discovery` finds, and reads none: one system call for each, on the threads of the walk.
    ///
    /// A size is what the system says of the file: 0 for those in `/proc`, the length and not the room on disk for
    /// sparse ones. A file that may not be read counts as well; that shows when it is opened. An entry that cannot be
    /// looked at, or that discovery leaves out, is counted in [`errors`](Self::errors) and passed to `on_error`.
    ///
    /// When `cancel` is raised it returns what it has by then, and [`is_partial`](Self::is_partial) says so. It takes the
    /// place of the [token](Discovery::cancel_token) that `discovery` has: a walk that ends early does not tell why, and
    /// a part is not to pass for the whole.
    ///
    /// ```
    /// # fn main() -> Result<(), polyread_core::DiscoveryError> {
    /// use polyread_core::{CancelToken, Discovery};
    /// use polyread_advise::Characteristics;
    ///
    /// let sources = Characteristics::measure(&Discovery::new("src"), &CancelToken::new(), |error| eprintln!("{error}"))?;
    /// assert!(sources.mean_size() > Some(100) && !sources.is_partial());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Discovery::walk`]: nothing has been looked at then.
    pub fn measure(
        discovery: &Discovery,
        cancel: &CancelToken,
        mut on_error: impl FnMut(&ReadError),
    ) -> Result<Self, DiscoveryError> {
        let mut seen = Self::new();
        for found in discovery.clone().sizes(true).cancel_token(cancel.clone()).walk()? {
            if cancel.is_cancelled() {
                break;
            }
            match found {
                // The walk was told to ask for each size.
                Ok(file) => seen.add(file.size_hint().unwrap_or(0), 1),
                Err(error) => {
                    on_error(&error);
                    *seen.errors.entry(error.kind()).or_default() += 1;
                }
            }
        }
        seen.partial = cancel.is_cancelled();
        Ok(seen)
    }

    /// Adds `count` files of `size` bytes each.
    #[must_use]
    pub fn with_files(mut self, count: u64, size: u64) -> Self {
        self.add(size, count);
        self
    }

    /// Whether the work on the bytes of a file takes longer than reading them: parsing, compressing, a slow hash. A tree
    /// alone cannot tell. Default: no, as for counting and searching.
    #[must_use]
    pub fn cpu_bound(mut self, yes: bool) -> Self {
        self.cpu_bound = yes;
        self
    }

    fn add(&mut self, size: u64, count: u64) {
        if count == 0 {
            return;
        }
        let bytes = size.saturating_mul(count);
        self.min = if self.files == 0 { size } else { self.min.min(size) };
        self.max = self.max.max(size);
        self.files = self.files.saturating_add(count);
        self.bytes = self.bytes.saturating_add(bytes);
        if size == 0 {
            self.empty = self.empty.saturating_add(count);
        }
        if size < Self::SMALL {
            self.small_files = self.small_files.saturating_add(count);
            self.small_bytes = self.small_bytes.saturating_add(bytes);
        }
        self.histogram.add(size, count);
    }

    /// Regular files.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Their sizes added up; `u64::MAX` where sparse files promise more than that.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of a file on average, rounded down; `None` without any file.
    pub fn mean_size(&self) -> Option<u64> {
        self.bytes.checked_div(self.files)
    }

    /// Files of no byte at all.
    pub fn empty_files(&self) -> u64 {
        self.empty
    }

    /// Files below [`SMALL`](Self::SMALL) bytes, empty ones included.
    pub fn small_files(&self) -> u64 {
        self.small_files
    }

    /// Bytes in files below [`SMALL`](Self::SMALL) bytes.
    pub fn small_bytes(&self) -> u64 {
        self.small_bytes
    }

    /// How the sizes are spread; `None` without any file.
    ///
    /// A quantile is the size of one file, the first in the order of sizes that has at least that share of them at or
    /// before it. `min` and `max` are exact; the others are exact below 256 bytes, and from there on no more than one part
    /// in 128 too low, and never too high.
    pub fn sizes(&self) -> Option<SizeQuantiles> {
        let percentile = |percent: u64| {
            let rank = (u128::from(self.files) * u128::from(percent)).div_ceil(100);
            let rank = u64::try_from(rank).unwrap_or(self.files);
            // Where all files of a bucket are above its lower bound, so is the smallest of all.
            self.histogram.lower_bound(rank).max(self.min)
        };
        (self.files > 0).then(|| SizeQuantiles {
            min: self.min,
            p10: percentile(10),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: self.max,
        })
    }

    /// Entries that could not be looked at or were left out, by kind.
    pub fn errors(&self) -> &BTreeMap<ErrorKind, u64> {
        &self.errors
    }

    /// Entries that could not be looked at: a directory that may not be listed is one, whatever is below it.
    pub fn failed(&self) -> u64 {
        self.count_errors(|kind| !kind.is_skip())
    }

    /// Entries that were left out, or are no regular files; see [`ErrorKind::is_skip`].
    pub fn skipped(&self) -> u64 {
        self.count_errors(ErrorKind::is_skip)
    }

    fn count_errors(&self, wanted: impl Fn(ErrorKind) -> bool) -> u64 {
        self.errors.iter().filter(|(kind, _)| wanted(**kind)).map(|(_, count)| count).sum()
    }

    /// Whether the work was said to be [bound by the processor](Self::cpu_bound).
    pub fn is_cpu_bound(&self) -> bool {
        self.cpu_bound
    }

    /// Whether measuring was cancelled: these are not all files, and not a fair sample of them either.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether a substantial part of the files lies on each side of [`SMALL`](Self::SMALL): at least one in ten
    /// ([`MIXED_SHARE`](Self::MIXED_SHARE)) is smaller, and at least one in ten is not.
    ///
    /// Files are counted, not bytes: in bytes the larger files outweigh the others in almost any tree.
    pub fn is_mixed_workload(&self) -> bool {
        let rarer = self.small_files.min(self.files - self.small_files);
        self.files > 0 && u128::from(rarer) * u128::from(Self::MIXED_SHARE) >= u128::from(self.files)
    }
}

/// Of the sizes of files, in bytes.
impl FromIterator<u64> for Characteristics {
    fn from_iter<I: IntoIterator<Item = u64>>(sizes: I) -> Self {
        sizes.into_iter().fold(Self::new(), |seen, size| seen.with_files(1, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_add_up() {
        let seen: Characteristics = [0, 0, 9_999, 10_000, 5].into_iter().collect();
        assert_eq!((seen.files(), seen.bytes(), seen.mean_size(), seen.empty_files()), (5, 20_004, Some(4_000), 2));
        assert_eq!((seen.small_files(), seen.small_bytes()), (4, 10_004));
        let told = Characteristics::new().with_files(2, 0).with_files(1, 9_999).with_files(0, 1 << 40);
        assert_eq!(told.with_files(1, 10_000).with_files(1, 5), seen);
    }

    #[test]
    fn nothing_has_neither_a_mean_nor_sizes() {
        let none = Characteristics::new();
        assert_eq!((none.files(), none.mean_size(), none.sizes()), (0, None, None));
        assert!(!none.is_mixed_workload());
    }

    #[test]
    fn figures_beyond_what_fits_stay_at_the_end_of_it() {
        let sparse = Characteristics::new().with_files(3, u64::MAX).with_files(u64::MAX, 1);
        assert_eq!((sparse.files(), sparse.bytes()), (u64::MAX, u64::MAX));
        let sizes = sparse.sizes().unwrap();
        assert_eq!((sizes.min, sizes.p50, sizes.max), (1, 1, u64::MAX));
        assert!(!sparse.is_mixed_workload());
    }

    #[test]
    fn files_of_one_size_have_that_size_at_every_quantile() {
        for size in [0, 1, 255, 999, 1_000_003, u64::MAX] {
            let sizes = Characteristics::new().with_files(7, size).sizes().unwrap();
            let SizeQuantiles { min, p10, p50, p90, p99, max } = sizes;
            assert_eq!([min, p10, p50, p90, p99, max], [size; 6]);
        }
    }

    #[test]
    fn mixed_takes_one_file_in_ten_on_each_side() {
        let mixed = |small, large| {
            Characteristics::new().with_files(small, 9_999).with_files(large, 10_000).is_mixed_workload()
        };
        for (small, large, expected) in [
            (9, 1, true),
            (10, 1, false),
            (1, 9, true),
            (1, 10, false),
            (1, 1, true),
            (1, 0, false),
            (0, 1, false),
            (90, 10, true),
            (91, 9, false),
        ] {
            assert_eq!(mixed(small, large), expected, "{small} small, {large} large");
        }
    }

    /// Sizes over all magnitudes, as a uniform choice would have next to no small ones.
    fn sizes() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((any::<u64>(), 0..64_u32).prop_map(|(size, shift)| size >> shift), 1..300)
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_a_sorted_list_within_the_documented_error(sizes in sizes()) {
            let seen: Characteristics = sizes.iter().copied().collect();
            let mut sorted = sizes;
            sorted.sort_unstable();
            let found = seen.sizes().unwrap();
            prop_assert_eq!((found.min, found.max), (sorted[0], sorted[sorted.len() - 1]));
            for (percent, found) in [(10, found.p10), (50, found.p50), (90, found.p90), (99, found.p99)] {
                let exact = sorted[(sorted.len() * percent).div_ceil(100) - 1];
                prop_assert!(found <= exact, "p{}: {} for {}", percent, found, exact);
                let error = exact - found;
                prop_assert!(error <= exact / 128 && (exact >= 256 || error == 0), "p{}: {} for {}", percent, found, exact);
            }
        }
    }
}
