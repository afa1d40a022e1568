//! The settings of the reader itself. How much of the machine a run takes is set by its limits.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::process::Program;

/// Settings of a [`MultiprocessReader`](crate::MultiprocessReader). The number of processes is
/// [`Limits::workers`](polyread_core::Limits::workers).
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) program: Program,
    pub(crate) batch: usize,
    pub(crate) respawns: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { program: Program::default(), batch: 128, respawns: 16 }
    }
}

impl Config {
    /// The program whose processes are the workers. It must run a [`Worker`](crate::Worker) that knows the analyses, and
    /// be built with the same version of this crate. Default: the program that is running, even if its file was replaced.
    #[must_use]
    pub fn worker(mut self, program: impl Into<PathBuf>) -> Self {
        self.program.path = Some(program.into());
        self
    }

    /// Arguments that the worker is started with. Default: none.
    #[must_use]
    pub fn arguments(mut self, arguments: impl IntoIterator<Item: Into<OsString>>) -> Self {
        self.program.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// For tests under the standard harness, whose `main` is not ours: the worker is this test program again, running only
    /// the test of this name, which calls [`Worker::run`](crate::Worker::run) and nothing else.
    ///
    /// ```text
    /// #[test]
    /// fn worker() {
    ///     Worker::new().run();
    /// }
    ///
    /// fn reader() -> MultiprocessReader {
    ///     MultiprocessReader::with_config(Config::default().in_tests("worker"))
    /// }
    /// ```
    #[must_use]
    pub fn in_tests(self, test: &str) -> Self {
        self.arguments([test, "--exact", "--nocapture"])
    }

    /// The most files in one message to a worker, at least 1. A worker that has read 4 MiB gives the rest of a batch
    /// back, so that other workers can have it. Default: 128: with one file a message, messages cost more than reading.
    #[must_use]
    pub fn batch(mut self, files: usize) -> Self {
        self.batch = files.clamp(1, 4096);
        self
    }

    /// How many lost workers one run may replace. Every hundred files that were read add one, so that a long run is not ended
    /// by the sum of its accidents. When they are used up the pool shrinks. Default: 16.
    ///
    /// A worker that is killed because its file takes too long is always replaced.
    #[must_use]
    pub fn respawns(mut self, respawns: u32) -> Self {
        self.respawns = respawns;
        self
    }
}
