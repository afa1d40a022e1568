//! What can be set on the reader itself; how much of the machine a run takes is set by its limits.

/// Settings of an [`IoUringReader`](crate::IoUringReader). The defaults suit every tree that was measured; the number of
/// rings is [`Limits::workers`](polyread_core::Limits::workers).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) in_flight: usize,
    pub(crate) buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { in_flight: 64, buffer: 32 * 1024 }
    }
}

impl Config {
    /// Files that each ring has in flight, at least 1 and at most 1024, and never more than
    /// [`Limits::max_open_files`](polyread_core::Limits::max_open_files) allow. More of them share each call into the kernel, and
    /// keep a slow device busier. Default: 64.
    #[must_use]
    pub fn in_flight(mut self, files: usize) -> Self {
        self.in_flight = files.clamp(1, 1024);
        self
    }

    /// Bytes of the buffer that each file in flight has, from 512 up to a MiB. A file that fills it is read anew, by blocking
    /// calls. Default: 32 KiB.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.clamp(512, 1 << 20);
        self
    }
}
