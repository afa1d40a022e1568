//! The call that makes a program a worker.

use std::any::type_name;
use std::collections::BTreeMap;
use std::process::exit;

use polyread_core::{Annotated, ByteCount, Contents, Text, TextStats};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::session::{OpenSession, open_session};
use super::worker_loop::WorkerLoop;
use crate::portable_analysis::PortableAnalysis;
use crate::protocol::{PARENT, SOCKET};

/// A worker process: the one call that belongs early into `main`.
///
/// It registers the analyses that the workers know, beside those of `polyread-core`. In a process that is no worker,
/// [`run`](Self::run) returns at once.
///
/// ```
/// # use polyread_core::Analysis;
/// use polyread_multiprocess::Worker;
/// use serde::{Deserialize, Serialize};
///
/// /// The longest line of a file, in bytes.
/// #[derive(Clone, Default, Deserialize, Serialize)]
/// struct LongestLine { at_hand: u64, longest: u64 }
///
/// impl Analysis for LongestLine {
///     type Output = u64;
///     fn update(&mut self, chunk: &[u8]) {
///         for byte in chunk {
///             self.at_hand = if *byte == b'\n' { 0 } else { self.at_hand + 1 };
///             self.longest = self.longest.max(self.at_hand);
///         }
///     }
///     fn finish(self) -> u64 {
///         self.longest
///     }
/// }
///
/// fn main() {
///     Worker::new().with::<LongestLine>().run();
///     // From here on it is the program itself.
/// }
/// ```
#[derive(Debug)]
pub struct Worker {
    /// By the names of their types.
    analyses: BTreeMap<&'static str, OpenSession>,
}

impl Default for Worker {
    fn default() -> Self {
        let own = Self { analyses: BTreeMap::new() };
        own.with::<TextStats>().with::<ByteCount>().with::<Contents>().with::<Text>().with::<Annotated>()
    }
}

impl Worker {
    /// A worker that knows the analyses of `polyread-core`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an analysis. A pair of analyses is one of its own: register `(A, B)`.
    #[must_use]
    pub fn with<A: PortableAnalysis>(mut self) -> Self {
        self.analyses.insert(type_name::<A>(), open_session::<A>);
        self
    }

    /// Returns at once, unless this process was started as a worker. A worker serves its parent until the parent needs it no
    /// more, and then the process ends in here.
    ///
    /// Whatever the program does before this call, each worker does too; what it prints there is lost.
    pub fn run(self) {
        let Some(socket) = std::env::var_os(SOCKET) else { return };
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // The parent may have died before the call above.
        let parent = std::env::var(PARENT).ok().and_then(|parent| parent.parse().ok());
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != parent {
            exit(1);
        }
        let code = match WorkerLoop::connect(&socket.to_string_lossy(), self.analyses) {
            Ok(mut worker) => worker.serve(),
            Err(_) => 1,
        };
        exit(code);
    }
}
