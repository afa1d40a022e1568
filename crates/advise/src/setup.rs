//! How large to make a model: the rules of thumb for its settings, as arithmetic on the machine.

use std::fmt;

use polyread_core::Limits;

use crate::approach::Approach;

/// Bytes that the rules reckon for one task in flight. Not measured: it is the figure that
/// [`optimal_async_config`] is calculated with.
pub const BYTES_PER_TASK: u64 = 8_192;

/// Bytes that the rules allow all tasks in flight together, unless told otherwise: 100 MiB.
pub const TASK_MEMORY: u64 = 100 * 1024 * 1024;

/// A model, its settings, and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setup {
    /// The model that the settings are for.
    pub approach: Approach,
    /// What to set. What is not set is best left at its default.
    pub settings: Settings,
    /// Where the numbers come from.
    pub why: String,
}

impl Setup {
    /// How large to make a model on a machine with so many cores.
    pub(crate) fn of(approach: Approach, cores: usize) -> Self {
        match approach {
            Approach::Tokio => optimal_async_config(cores, TASK_MEMORY),
            Approach::Multiprocess => optimal_process_config(cores),
            Approach::Hybrid => hybrid_config(cores),
            Approach::Rayon => optimal_thread_config(cores),
        }
    }
}

/// What the rules have an opinion on. `None` is none: the default is fine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// [`Limits::workers`]: threads of `rayon` and of the threaded half of `hybrid`, processes of `multiprocess`.
    pub workers: Option<usize>,
    /// [`Limits::max_open_files`]: what a semaphore around each file bounds.
    pub max_open_files: Option<usize>,
    /// Hops in flight of an async reader (`hops_in_flight` in the configuration of `polyread-tokio`), which are what
    /// tasks hold a permit for. By default it begins at twice the workers and follows what hops wait for.
    pub hops_in_flight: Option<usize>,
}

impl Settings {
    fn workers(workers: usize) -> Self {
        Self { workers: Some(workers), ..Self::default() }
    }

    /// One permit for each file in flight: a hop has one file open at a time.
    fn permits(permits: usize) -> Self {
        Self { max_open_files: Some(permits), hops_in_flight: Some(permits), ..Self::default() }
    }

    /// Tasks for small files and threads for large ones, at work at the same time.
    fn both(permits: usize, workers: usize) -> Self {
        // Each side has half of the files that may be open.
        let max_open_files = Some(permits.max(workers).saturating_mul(2));
        Self { workers: Some(workers), max_open_files, hops_in_flight: Some(permits) }
    }

    /// The default limits with these settings, for a [`Job`](polyread_core::Job). Open files are never more than the default of
    /// this machine: a rule of thumb does not know what `ulimit -n` leaves for them. Hops in flight are not among the
    /// limits; they are the reader's own to set.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(workers) = self.workers {
            limits = limits.workers(workers);
        }
        if let Some(files) = self.max_open_files {
            let possible = limits.open_files();
            limits = limits.max_open_files(files.min(possible));
        }
        limits
    }
}

/// Permits for async tasks: four for each core, but at least 50 and at most 100; and no more than fit into
/// `memory_limit` bytes at [`BYTES_PER_TASK`] each, but at least 1. [`TASK_MEMORY`] is the usual limit; it holds 12,800.
///
/// ```
/// use polyread_advise::{TASK_MEMORY, optimal_async_config};
///
/// assert_eq!(optimal_async_config(16, TASK_MEMORY).settings.hops_in_flight, Some(64));
/// ```
pub fn optimal_async_config(cores: usize, memory_limit: u64) -> Setup {
    let cores = cores.max(1);
    let wanted = cores.saturating_mul(4).clamp(50, 100);
    let fitting = usize::try_from(memory_limit / BYTES_PER_TASK).unwrap_or(usize::MAX);
    let permits = wanted.min(fitting).max(1);
    let mut why = format!("{wanted} files in flight: four for each core (cores: {cores}), at least 50 and at most 100");
    if permits < wanted {
        why += &format!("; of these, {permits} in {memory_limit} bytes, at {BYTES_PER_TASK} bytes each");
    }
    Setup { approach: Approach::Tokio, settings: Settings::permits(permits), why }
}

/// Threads for work that waits for the disk: one more than there are cores.
pub fn optimal_thread_config(cores: usize) -> Setup {
    let cores = cores.max(1);
    let workers = cores.saturating_add(1);
    let why = format!("{workers} threads: one more than cores (cores: {cores}), for one that waits for the disk");
    Setup { approach: Approach::Rayon, settings: Settings::workers(workers), why }
}

/// Processes for work that keeps a core busy: as many as there are cores.
pub fn optimal_process_config(cores: usize) -> Setup {
    let workers = cores.max(1);
    let noun = if workers == 1 { "process" } else { "processes" };
    let why = format!("{workers} {noun}: one for each core (cores: {workers})");
    Setup { approach: Approach::Multiprocess, settings: Settings::workers(workers), why }
}

/// Both halves as they would be alone. There is no rule for how they share a machine.
fn hybrid_config(cores: usize) -> Setup {
    let (tasks, threads) = (optimal_async_config(cores, TASK_MEMORY), optimal_thread_config(cores));
    let permits = tasks.settings.hops_in_flight.unwrap_or(1);
    let settings = Settings::both(permits, threads.settings.workers.unwrap_or(1));
    let why = format!("for small files {}; for the others {}", tasks.why, threads.why);
    Setup { approach: Approach::Hybrid, settings, why }
}

/// Ready-made settings for four kinds of trees, whatever the machine.
///
/// ```
/// use polyread_advise::Preset;
///
/// let setup = Preset::MediumFiles.setup();
/// assert_eq!((setup.approach.as_str(), setup.settings.workers), ("rayon", Some(8)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// More than 1,000 files below 1 kB: `tokio`, 100 files in flight.
    SmallFiles,
    /// 100 to 1,000 files of 1 to 100 kB: `rayon`, 8 threads.
    MediumFiles,
    /// Small files and large ones, in production: `hybrid`, 50 small files in flight and 4 threads for the others.
    MixedWorkload,
    /// Files above 100 kB, and work that keeps the processor busy: `multiprocess`, 4 processes.
    LargeFiles,
}

impl Preset {
    /// All of them, from small files to large.
    pub const ALL: [Self; 4] = [Self::SmallFiles, Self::MediumFiles, Self::MixedWorkload, Self::LargeFiles];

    /// The stable name, in kebab case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmallFiles => "small-files",
            Self::MediumFiles => "medium-files",
            Self::MixedWorkload => "mixed-workload",
            Self::LargeFiles => "large-files",
        }
    }

    /// The model and its settings.
    pub fn setup(self) -> Setup {
        let (approach, settings, why) = match self {
            Self::SmallFiles => (
                Approach::Tokio,
                Settings::permits(100),
                "more than 1,000 files below 1 kB: 100 in flight, as each waits longer than it is read",
            ),
            Self::MediumFiles => (
                Approach::Rayon,
                Settings::workers(8),
                "100 to 1,000 files of 1 to 100 kB: 8 threads share the reading and the work",
            ),
            Self::MixedWorkload => (
                Approach::Hybrid,
                Settings::both(50, 4),
                "small files and large ones: 50 small ones in flight, and 4 threads for the others",
            ),
            Self::LargeFiles => (
                Approach::Multiprocess,
                Settings::workers(4),
                "files above 100 kB and work that keeps the processor busy: 4 processes, which share nothing",
            ),
        };
        Setup { approach, settings, why: why.to_owned() }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_four_for_each_core_between_fifty_and_a_hundred() {
        for (cores, permits) in
            [(0, 50), (1, 50), (2, 50), (12, 50), (13, 52), (24, 96), (25, 100), (26, 100), (usize::MAX, 100)]
        {
            let setup = optimal_async_config(cores, TASK_MEMORY);
            assert_eq!(setup.approach, Approach::Tokio);
            assert_eq!(setup.settings, Settings::permits(permits), "{cores} cores");
            assert!(setup.why.starts_with(&format!("{permits} files in flight")), "{}", setup.why);
        }
    }

    #[test]
    fn tasks_are_as_many_as_the_memory_takes_but_one_at_least() {
        for (memory, permits) in
            [(u64::MAX, 50), (50 * 8_192, 50), (50 * 8_192 - 1, 49), (3 * 8_192, 3), (8_192, 1), (8_191, 1), (0, 1)]
        {
            let setup = optimal_async_config(4, memory);
            assert_eq!(setup.settings, Settings::permits(permits), "{memory} bytes");
            assert_eq!(setup.why.contains("bytes"), permits < 50, "{}", setup.why);
        }
    }

    #[test]
    fn threads_are_one_more_than_cores_and_processes_as_many() {
        for cores in [1, 2, 64] {
            assert_eq!(optimal_thread_config(cores).settings, Settings::workers(cores + 1));
            assert_eq!(optimal_process_config(cores).settings, Settings::workers(cores));
        }
        assert_eq!(optimal_thread_config(0), optimal_thread_config(1));
        assert_eq!(optimal_process_config(0), optimal_process_config(1));
        assert_eq!(optimal_thread_config(usize::MAX).settings.workers, Some(usize::MAX));
        assert_eq!(hybrid_config(2).settings, Settings::both(50, 3));
    }

    #[test]
    fn presets_are_the_four_known_configurations() {
        let all = Preset::ALL.map(|preset| {
            let Setup { approach, settings, why } = preset.setup();
            assert!(!why.is_empty());
            (preset.as_str(), approach.as_str(), settings)
        });
        let expected = [
            ("small-files", "tokio", Settings::permits(100)),
            ("medium-files", "rayon", Settings::workers(8)),
            ("mixed-workload", "hybrid", Settings::both(50, 4)),
            ("large-files", "multiprocess", Settings::workers(4)),
        ];
        assert_eq!(all, expected);
        let mixed = Preset::MixedWorkload.setup().settings;
        assert_eq!((mixed.workers, mixed.max_open_files, mixed.hops_in_flight), (Some(4), Some(100), Some(50)));
    }

    #[test]
    fn settings_become_limits_that_the_machine_can_keep() {
        let machine = Limits::default();
        assert_eq!(Settings::default().limits(), machine);
        let few = Settings::both(1, 1).limits();
        assert_eq!((few.effective_workers(), few.open_files()), (1, 2.min(machine.open_files())));
        assert_eq!(Settings::permits(usize::MAX).limits().open_files(), machine.open_files());
    }
}
