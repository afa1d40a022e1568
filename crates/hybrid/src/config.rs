//! What can be set on the reader itself; how much of the machine a run takes is set by its limits.

/// Settings of a [`HybridReader`](crate::HybridReader). The settings of each side are given with the side, see
/// [`HybridReader::of`](crate::HybridReader::of).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) threshold: u64,
}

impl Config {
    /// The threshold unless told otherwise, in bytes.
    pub const DEFAULT_THRESHOLD: u64 = 10_000;

    /// The size in bytes from which on a file is read on the large side; those below stay on the small one. With 0 every
    /// file goes to the large side, with [`u64::MAX`] none. Default: 10,000; what suits a tree and a machine best is
    /// [measured](crate::HybridReader::calibrate).
    #[must_use]
    pub fn threshold(mut self, bytes: u64) -> Self {
        self.threshold = bytes;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold: Self::DEFAULT_THRESHOLD }
    }
}
