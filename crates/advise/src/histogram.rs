//! Sizes counted in buckets that grow with them: quantiles of any number of files in a bounded room.

use std::fmt;

/// Buckets of each power of two, as a power of two itself: a bucket is never wider than a 128th of what is in it.
const BITS: u32 = 7;

/// How many files there are of about each size. At most 7,424 counters, 59 kB, and fewer where no file is large.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// Without zeros at the end, so that equal counts are equal values.
    counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn add(&mut self, size: u64, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket(size);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// A lower bound of the `rank`-th smallest size, counted from 1: the smallest that falls into its bucket. Below 256
    /// it is the size itself.
    pub(crate) fn lower_bound(&self, rank: u64) -> u64 {
        let mut passed = 0_u64;
        let reached = self.counts.iter().position(|count| {
            passed = passed.saturating_add(*count);
            passed >= rank
        });
        smallest(reached.unwrap_or(self.counts.len().saturating_sub(1)))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        f.debug_map().entries(filled.map(|(bucket, count)| (smallest(bucket), count))).finish()
    }
}

/// Sizes below 256 have a bucket each; from there on a size keeps its eight leading binary digits.
fn bucket(size: u64) -> usize {
    let dropped = (u64::BITS - size.leading_zeros()).saturating_sub(BITS + 1);
    let bucket = (u64::from(dropped) << BITS) + (size >> dropped);
    // At most 7,423.
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The smallest size in a bucket.
fn smallest(bucket: usize) -> u64 {
    let dropped = (bucket >> BITS).saturating_sub(1);
    let digits = bucket - (dropped << BITS);
    u64::try_from(digits).unwrap_or(u64::MAX) << dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!((bucket(0), bucket(255), bucket(256), bucket(257), bucket(258)), (0, 255, 256, 256, 257));
        let last = bucket(u64::MAX);
        assert_eq!(last, 7_423);
        for at in 1..=last {
            assert_eq!(bucket(smallest(at)), at);
            assert_eq!(bucket(smallest(at) - 1), at - 1);
        }
    }
}
