//! Which threshold suits a tree and the machine: measured with the whole reader, both sides at once.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use polyread_core::{Analysis, CancelToken, FileEntry, FileReader, Job, Limits, ReadError, ReaderError};

use crate::{Config, HybridReader};

/// From everything on the large side to everything on the small one, and in between the size of a page, of a few pages, of a
/// chunk and of a few chunks.
const CANDIDATES: [u64; 7] = [0, 4 << 10, Config::DEFAULT_THRESHOLD, 64 << 10, 256 << 10, 1 << 20, u64::MAX];

/// Rounds in which each candidate has its turn: an odd number, so that the median is one of them.
const ROUNDS: usize = 5;

/// The fraction of the default's time below which another threshold replaces it. Medians of so few runs differ by some
/// percent when nothing does.
const CLEARLY_FASTER: f64 = 0.95;

/// What a calibration may take: the sample it reads, time, and limits.
#[derive(Clone, Debug)]
pub struct Trial {
    files: usize,
    bytes: u64,
    time: Duration,
    limits: Limits,
    cancel: CancelToken,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            files: 5_000,
            bytes: 128 << 20,
            time: Duration::from_secs(10),
            limits: Limits::default(),
            cancel: CancelToken::new(),
        }
    }
}

impl Trial {
    /// The most files in the sample: the first that come. Default: 5,000.
    #[must_use]
    pub fn files(mut self, files: usize) -> Self {
        self.files = files;
        self
    }

    /// The most bytes of the files in the sample. A file that is larger alone is left out. Default: 128 MiB.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The longest time for all of it. Runs that are not finished by then are cut short after the chunks
    /// that are being read.
    /// Default: 10 seconds.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The limits of the runs to come: how many workers there are decides what suits them.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A token that ends the calibration with [`CalibrateError::Cancelled`].
    #[must_use]
    pub fn cancel_token(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }
}

/// What a calibration has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Calibration {
    /// The threshold in bytes that was fastest; the default if none was clearly faster. For
    /// [`HybridReader::with_threshold`].
    pub threshold: u64,
    /// Each threshold that was tried, in ascending order. Of several that send the same files over only one is.
    pub measurements: Vec<Measurement>,
    /// Files in the sample.
    pub files: usize,
    /// Bytes of the files in the sample.
    pub bytes: u64,
}

/// How long the sample took with one threshold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// The threshold in bytes.
    pub threshold: u64,
    /// The middle one of the samples.
    pub median: Duration,
    /// The time of each whole run, in the order in which they were made.
    pub samples: Vec<Duration>,
}

/// Why a calibration has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The reader cannot run.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// None of the files could be read within the bounds of the [`Trial`].
    #[error("there is no file to calibrate with")]
    NothingToRead,
    /// The time was over before each threshold had had a turn.
    #[error("the time was over before each threshold was tried once")]
    OutOfTime,
    /// The token was raised.
    #[error("the calibration was cancelled")]
    Cancelled,
}

impl<A: Analysis> HybridReader<A> {
    /// Measures which threshold is best for files such as these under this analysis, on this machine. Blocks for as long as
    /// the [`Trial`] allows, and as the iterator of files takes for an item; give it the files, the analysis and the limits of the runs that it is for.
    ///
    /// Reads a sample of the files once, so that all runs find the cache warm, and then several times with each of a
    /// handful of thresholds, in turns, so that a machine that slows down slows all of them. The fastest by the median
    /// wins; 10,000 is given up only for one that is faster by a twentieth.
    ///
    /// # Errors
    ///
    /// Each [`CalibrateError`]. A panic of the iterator passes through.
    pub fn calibrate(
        &self,
        files: impl IntoIterator<Item = Result<FileEntry, ReadError>>,
        analysis: &A,
        trial: &Trial,
    ) -> Result<Calibration, CalibrateError> {
        let bench = Bench { reader: self, analysis, trial, deadline: Instant::now().checked_add(trial.time) };
        let sample = bench.sample(files)?;
        let candidates = telling(&sample);
        let mut samples = vec![Vec::with_capacity(ROUNDS); candidates.len()];
        for round in 0..ROUNDS {
            // The same candidate must not always come after a slow one.
            let turns = (0..candidates.len()).map(|turn| (turn + round) % candidates.len());
            let times = turns.map(|at| Ok(bench.time(candidates[at], &sample)?.map(|time| (at, time))));
            let Some(times) = times.collect::<Result<Option<Vec<_>>, CalibrateError>>()? else { break };
            times.into_iter().for_each(|(at, time)| samples[at].push(time));
        }
        let measurements = candidates.into_iter().zip(samples).map(|(threshold, samples)| {
            let mut sorted = samples.clone();
            sorted.sort_unstable();
            let median = *sorted.get(sorted.len() / 2).ok_or(CalibrateError::OutOfTime)?;
            Ok(Measurement { threshold, median, samples })
        });
        let measurements = measurements.collect::<Result<Vec<_>, CalibrateError>>()?;
        let bytes = sample.iter().map(|(_, bytes)| bytes).sum();
        Ok(Calibration { threshold: fastest(&measurements), measurements, files: sample.len(), bytes })
    }
}

/// Files with what was read of them, in bytes.
type Sample = Vec<(FileEntry, u64)>;

struct Bench<'a, A: Analysis> {
    reader: &'a HybridReader<A>,
    analysis: &'a A,
    trial: &'a Trial,
    deadline: Option<Instant>,
}

impl<A: Analysis> Bench<'_, A> {
    /// The first files that can be read within the bounds, after reading them.
    fn sample(&self, files: impl IntoIterator<Item = Result<FileEntry, ReadError>>) -> Result<Sample, CalibrateError> {
        let in_time = |_: &_| !self.is_over() && !self.trial.cancel.is_cancelled();
        let files = files.into_iter().filter_map(Result::ok).take(self.trial.files).take_while(in_time);
        let files = files.collect::<Vec<_>>();

        let largest = self.trial.limits.largest_file().map_or(self.trial.bytes, |limit| limit.min(self.trial.bytes));
        let limits = self.trial.limits.clone().max_file_size(largest);
        let (mut read, mut total) = (Vec::new(), 0);
        self.reader.read(self.job(files.clone(), limits), &mut |record| {
            if record.outcome.is_ok() {
                total += record.bytes;
                if total > self.trial.bytes {
                    return ControlFlow::Break(());
                }
                read.push((record.index, record.bytes));
            }
            if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;

        if self.trial.cancel.is_cancelled() {
            return Err(CalibrateError::Cancelled);
        }
        if self.is_over() {
            return Err(CalibrateError::OutOfTime);
        }
        read.sort_unstable();
        let mut files = files.into_iter().zip(0..);
        let sample: Sample = read
            .into_iter()
            .filter_map(|(index, bytes)| Some((files.find(|(_, at)| *at == index)?.0, bytes)))
            .collect();
        if sample.is_empty() { Err(CalibrateError::NothingToRead) } else { Ok(sample) }
    }

    /// How long one run takes; `None` when the time for all of them is over.
    fn time(&self, threshold: u64, sample: &Sample) -> Result<Option<Duration>, CalibrateError> {
        let files = sample.iter().map(|(file, _)| file.clone()).collect();
        let job = self.job(files, self.trial.limits.clone());
        let started = Instant::now();
        self.reader.clone().with_threshold(threshold).read(job, &mut |_| {
            if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let time = started.elapsed();
        if self.trial.cancel.is_cancelled() {
            return Err(CalibrateError::Cancelled);
        }
        Ok((!self.is_over()).then_some(time))
    }

    fn job(&self, files: Vec<FileEntry>, limits: Limits) -> Job<A> {
        Job::new(files.into_iter().map(Ok), self.analysis.clone())
            .limits(limits)
            .cancel_token(self.trial.cancel.clone())
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// The candidates that differ in what they send over, and always the default.
fn telling(sample: &Sample) -> Vec<u64> {
    let sent_over = |threshold: u64| sample.iter().filter(|(_, bytes)| *bytes >= threshold).count();
    let of_default = sent_over(Config::DEFAULT_THRESHOLD);
    let mut telling: Vec<u64> = Vec::new();
    for threshold in CANDIDATES {
        let is_default = threshold == Config::DEFAULT_THRESHOLD;
        let is_new = telling.last().is_none_or(|last| sent_over(*last) != sent_over(threshold));
        if is_default || (is_new && sent_over(threshold) != of_default) {
            telling.push(threshold);
        }
    }
    telling
}

/// The one with the lowest median, unless the default is as good as that.
fn fastest(measurements: &[Measurement]) -> u64 {
    let default = measurements.iter().find(|measured| measured.threshold == Config::DEFAULT_THRESHOLD);
    let best = measurements.iter().min_by_key(|measured| measured.median);
    match (best, default) {
        (Some(best), Some(default)) if best.median < default.median.mul_f64(CLEARLY_FASTER) => best.threshold,
        _ => Config::DEFAULT_THRESHOLD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sizes: &[u64]) -> Sample {
        sizes.iter().map(|bytes| (FileEntry::new("file"), *bytes)).collect()
    }

    #[test]
    fn thresholds_that_send_the_same_files_over_are_tried_once() {
        assert_eq!(telling(&sample(&[])), [10_000]);
        assert_eq!(telling(&sample(&[1_000])), [0, 10_000]);
        assert_eq!(telling(&sample(&[1 << 30])), [10_000, u64::MAX]);
        assert_eq!(telling(&sample(&[1, 5_000, 70_000])), [0, 4096, 10_000, 256 << 10]);
        assert_eq!(telling(&sample(&[1, 5_000, 20_000, 70_000, 300_000, 2 << 20])), CANDIDATES);
    }

    #[test]
    fn the_default_wins_a_tie_and_nothing_else() {
        let fastest = |times: [u64; 3]| {
            let measured = [0, 10_000, u64::MAX].into_iter().zip(times).map(|(threshold, time)| {
                let median = Duration::from_micros(time);
                Measurement { threshold, median, samples: vec![median] }
            });
            fastest(&measured.collect::<Vec<_>>())
        };
        assert_eq!(fastest([100, 100, 100]), 10_000);
        assert_eq!(fastest([96, 100, 97]), 10_000);
        assert_eq!(fastest([93, 100, 94]), 0);
        assert_eq!(fastest([200, 100, 50]), u64::MAX);
    }
}
