//! What can be set on the reader itself; how much of the machine a run takes is set by its limits.

/// Settings of a [`RayonReader`](crate::RayonReader). The defaults suit every tree that was measured; the number of
/// threads is [`Limits::workers`](polyread_core::Limits::workers).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) batch: usize,
    pub(crate) leaf: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { batch: 128, leaf: 64 }
    }
}

impl Config {
    /// Entries handed to the pool at once, at least 1. More of them cost fewer wake-ups and give thieves more to split;
    /// fewer bring the first records sooner. Default: 128.
    #[must_use]
    pub fn batch(mut self, entries: usize) -> Self {
        self.batch = entries.max(1);
        self
    }

    /// Entries that a thread reads without offering the rest to thieves, at least 1, and so the most records that it
    /// hands over at once. A large file ends a leaf early. Default: 64.
    #[must_use]
    pub fn leaf(mut self, entries: usize) -> Self {
        self.leaf = entries.max(1);
        self
    }
}
