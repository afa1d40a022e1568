//! The strategies by name: what the `polyread` program and polyread's own bench choose from.
//!
//! This library serves those two and promises no stability; programs depend on the strategy crates themselves.

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

use polyread_async_std::AsyncStdReader;
use polyread_core::{FileReader, SequentialReader};
use polyread_hybrid::HybridReader;
use polyread_io_uring::IoUringReader;
use polyread_multiprocess::MultiprocessReader;
use polyread_rayon::RayonReader;
use polyread_tokio::TokioReader;

pub use polyread_io_uring::Unavailable;
pub use polyread_multiprocess::{self as multiprocess, PortableAnalysis, Worker};

/// The version of polyread.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A concurrency model, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Strategy {
    /// One thread, one file at a time
    Sequential,
    /// Work-stealing threads
    Rayon,
    /// Cooperative tasks under a semaphore
    Tokio,
    /// The same tasks on another runtime, which is discontinued
    AsyncStd,
    /// Small files in tasks, large ones on threads
    Hybrid,
    /// Worker processes
    Multiprocess,
    /// Rings of calls to the kernel, where the system has them
    IoUring,
}

impl Strategy {
    /// All of them, the baseline first.
    pub const ALL: [Self; 7] =
        [Self::Sequential, Self::Rayon, Self::Tokio, Self::AsyncStd, Self::Hybrid, Self::Multiprocess, Self::IoUring];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Rayon => "rayon",
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Hybrid => "hybrid",
            Self::Multiprocess => "multiprocess",
            Self::IoUring => "io-uring",
        }
    }

    /// Whether this system has what the model is made of.
    ///
    /// # Errors
    ///
    /// It lacks it: what is missing, and what to do about it.
    pub fn available(self) -> Result<(), Unavailable> {
        match self {
            Self::IoUring => IoUringReader::available(),
            _ => Ok(()),
        }
    }

    /// A reader of this model with its default settings. For the one whose workers are processes the program must run a
    /// [`Worker`] early in its `main`.
    pub fn reader<A: PortableAnalysis>(self) -> Box<dyn FileReader<A>> {
        self.reader_with(&Tuning::default())
    }

    /// A reader of this model, tuned. What the model does not have is not looked at.
    pub fn reader_with<A: PortableAnalysis>(self, tuning: &Tuning) -> Box<dyn FileReader<A>> {
        match self {
            Self::Sequential => Box::new(SequentialReader::new()),
            Self::Rayon => Box::new(RayonReader::new()),
            Self::Tokio => Box::new(TokioReader::with_config(tuning.hops())),
            Self::AsyncStd => Box::new(AsyncStdReader::with_config(tuning.hops())),
            Self::Hybrid => {
                let reader = HybridReader::of(TokioReader::with_config(tuning.hops()), RayonReader::new());
                Box::new(reader.with_threshold(tuning.threshold.unwrap_or(polyread_hybrid::Config::DEFAULT_THRESHOLD)))
            }
            Self::Multiprocess => Box::new(MultiprocessReader::new()),
            Self::IoUring => {
                let config = polyread_io_uring::Config::default();
                let config = tuning.in_flight.into_iter().fold(config, polyread_io_uring::Config::in_flight);
                Box::new(IoUringReader::with_config(config))
            }
        }
    }
}

/// Settings of the readers themselves, beside the limits of a run; `None` is the model's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Hops of the async models (of hybrid: of its small side), files of each ring.
    pub in_flight: Option<usize>,
    /// Bytes from which hybrid takes a file for a large one.
    pub threshold: Option<u64>,
}

impl Tuning {
    fn hops(&self) -> polyread_tokio::Config {
        let config = polyread_tokio::Config::default();
        self.in_flight.into_iter().fold(config, polyread_tokio::Config::hops_in_flight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn tuned_readers_read_the_same_and_the_threshold_divides_them() {
        let tree = tempfile::tempdir().unwrap();
        for size in 1..=40 {
            std::fs::write(tree.path().join(size.to_string()), vec![b'x'; size]).unwrap();
        }
        let large = |strategy: Strategy, tuning: &Tuning| {
            let reader = strategy.reader_with::<polyread_core::ByteCount>(tuning);
            let files = polyread_core::Discovery::new(tree.path()).walk().unwrap();
            let (mut large, mut bytes) = (0, 0);
            let job = polyread_core::Job::new(files, polyread_core::ByteCount::default());
            reader
                .read(job, &mut |record| {
                    large += u32::from(record.worker.kind() == "thread");
                    bytes += record.bytes;
                    std::ops::ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(bytes, 820, "{strategy:?} with {tuning:?}");
            large
        };
        for in_flight in [None, Some(1), Some(7)] {
            for strategy in [Strategy::Tokio, Strategy::AsyncStd, Strategy::IoUring] {
                if strategy.available().is_ok() {
                    large(strategy, &Tuning { in_flight, threshold: None });
                }
            }
            for (threshold, expected) in [(None, 0), (Some(0), 40), (Some(31), 10), (Some(u64::MAX), 0)] {
                assert_eq!(large(Strategy::Hybrid, &Tuning { in_flight, threshold }), expected);
            }
        }
    }

    #[test]
    fn names_are_the_readers_own_and_the_command_lines() {
        assert_eq!(Strategy::ALL, Strategy::value_variants());
        for strategy in Strategy::ALL {
            assert_eq!(strategy.reader::<polyread_core::ByteCount>().name(), strategy.name());
            assert_eq!(strategy.to_possible_value().unwrap().get_name(), strategy.name());
        }
    }
}
