//! How much of the machine one run may take.

use std::time::Duration;

/// Bounds of one run. Every default comes from the machine it runs on.
///
/// ```
/// use std::time::Duration;
/// use polyread_core::Limits;
///
/// let limits = Limits::default().workers(2).max_file_size(1 << 30).timeout(Duration::from_secs(30));
/// assert_eq!(limits.effective_workers(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) workers: usize,
    pub(crate) max_open_files: usize,
    pub(crate) bytes_in_flight: u64,
    pub(crate) max_file_size: Option<u64>,
    pub(crate) timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_open_files: default_open_files(),
            bytes_in_flight: default_bytes_in_flight(),
            max_file_size: None,
            timeout: None,
        }
    }
}

impl Limits {
    /// Files read at the same time by a model whose worker is a thread or a process. The async models have a setting of their
    /// own for hops in flight, and io_uring for the files in flight on each ring; these are the number of rings. Hybrid gives
    /// the number to each of its sides. At least 1,
    /// at most 1024. Default: the number of cores this process may use.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, MOST_AT_ONCE);
        self
    }

    /// Files open at the same time, in every model. At least 1, at most 1024.
    ///
    /// Default: a quarter of the soft limit on open files (`RLIMIT_NOFILE`), at most 256. The rest is for the walk, the
    /// runtime and the program around them.
    #[must_use]
    pub fn max_open_files(mut self, files: usize) -> Self {
        self.max_open_files = files.clamp(1, MOST_AT_ONCE);
        self
    }

    /// Bytes of content that results may hold between the workers and the consumer, the record the consumer looks at
    /// included. Only analyses that retain content count, see [`Analysis::retains`](crate::Analysis::retains); a file
    /// that alone would exceed the bound is refused as [`TooLarge`](crate::ErrorKind::TooLarge) before anything is
    /// allocated. One that turns out longer than it says, as in `/proc`, takes its room while it is read, beyond the bound
    /// if need be, but never more than the bound alone.
    ///
    /// Default: a quarter of the memory that this process may use.
    #[must_use]
    pub fn bytes_in_flight(mut self, bytes: u64) -> Self {
        self.bytes_in_flight = bytes;
        self
    }

    /// Largest file in bytes; a larger one is refused as [`TooLarge`](crate::ErrorKind::TooLarge) before the
    /// analysis sees any of it, and one that grows beyond it while it is read ends there. Default: none.
    #[must_use]
    pub fn max_file_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_file_size = bytes.into();
        self
    }

    /// Longest time for one file, from its opening on; then it fails as [`Timeout`](crate::ErrorKind::Timeout).
    ///
    /// Every model looks at the clock between two chunks. A single read call that hangs in the kernel can be given
    /// up by the async models, which leave a thread behind in it, by worker processes, which are killed, and by rings of io_uring
    /// for small files, which leave the file's slot to the kernel. Default: none.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Workers that may have a file open each: the smaller of the two bounds.
    pub fn effective_workers(&self) -> usize {
        self.workers.min(self.max_open_files)
    }

    /// The bound set by [`max_open_files`](Self::max_open_files).
    pub fn open_files(&self) -> usize {
        self.max_open_files
    }

    /// The bound set by [`bytes_in_flight`](Self::bytes_in_flight).
    pub fn bytes_held(&self) -> u64 {
        self.bytes_in_flight
    }

    /// The bound set by [`max_file_size`](Self::max_file_size).
    pub fn largest_file(&self) -> Option<u64> {
        self.max_file_size
    }

    /// The bound set by [`timeout`](Self::timeout).
    pub fn time_limit(&self) -> Option<Duration> {
        self.timeout
    }
}

/// Beyond this neither threads nor files in flight make any device faster, and starting them takes seconds.
const MOST_AT_ONCE: usize = 1024;

fn default_open_files() -> usize {
    // Above this more files in flight no longer help any model; below it the machine's limit decides.
    const ENOUGH: u64 = 256;
    let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let quarter = soft.map_or(ENOUGH, |soft| soft / 4).clamp(1, ENOUGH);
    usize::try_from(quarter).unwrap_or(1)
}

fn default_bytes_in_flight() -> u64 {
    const FALLBACK: u64 = 1 << 30;
    let address_space = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let bounds = [physical_memory(), cgroup_memory(), address_space];
    bounds.into_iter().flatten().min().unwrap_or(FALLBACK) / 4
}

/// What the control group of this process allows it, in version 2 of the hierarchy: containers have one. The tightest of
/// the groups above it counts.
fn cgroup_memory() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |group: &std::path::Path| {
        let limit = std::fs::read_to_string(std::path::Path::new("/sys/fs/cgroup").join(group).join("memory.max"));
        limit.ok()?.trim().parse::<u64>().ok()
    };
    std::path::Path::new(group).ancestors().filter_map(limit).min()
}

#[cfg(target_os = "linux")]
fn physical_memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    // `unsigned long` is 32 bits wide on some targets.
    #[expect(clippy::useless_conversion, reason = "u64 already on 64-bit targets")]
    let memory = u64::from(info.totalram).checked_mul(u64::from(info.mem_unit))?;
    (memory > 0).then_some(memory)
}

#[cfg(not(target_os = "linux"))]
fn physical_memory() -> Option<u64> {
    None
}
