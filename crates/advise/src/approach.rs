//! The models that the rules choose from, by name.

use std::fmt;

/// A model that the rules choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Approach {
    /// Cooperative tasks under a semaphore.
    Tokio,
    /// Worker processes.
    Multiprocess,
    /// Tasks for small files and threads for large ones.
    Hybrid,
    /// Work-stealing threads.
    Rayon,
}

impl Approach {
    /// The stable name: what a reader calls itself and what the command line takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Multiprocess => "multiprocess",
            Self::Hybrid => "hybrid",
            Self::Rayon => "rayon",
        }
    }

    /// The package that has the model's reader.
    pub fn package(self) -> &'static str {
        match self {
            Self::Tokio => "polyread-tokio",
            Self::Multiprocess => "polyread-multiprocess",
            Self::Hybrid => "polyread-hybrid",
            Self::Rayon => "polyread-rayon",
        }
    }
}

impl fmt::Display for Approach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
