//! The walk itself: one root after the other, each by as many threads as are worth it, and the bounded channel their
//! entries come through.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::filter::Filter;
use super::options::Options;
use super::rules::Rules;
use super::shared::{Found, Walked};
use super::walker::Walker;
use super::work_queue::WorkQueue;
use crate::background::{Background, Outlet};
use crate::cancel::CancelToken;
use crate::error::{DiscoveryError, ErrorKind, Operation, ReadError};
use crate::file::{FileEntry, Root, when_free};

/// Roots that are held open at the same time, at the most.
const MOST_ROOTS_HELD: usize = 16;
/// Batches waiting to be read, for each walking thread: enough to keep readers busy, little enough to bound memory.
const BATCHES_AHEAD: usize = 16;
/// Directories that a walk lists before it takes on a second thread: a walk of fewer ends sooner than a thread starts.
const ALONE: usize = 32;

/// The entries of a [`Discovery`](crate::Discovery), while they are found.
///
/// Dropping it ends the walk and its threads.
#[derive(Debug)]
pub struct Walk {
    named: std::vec::IntoIter<Found>,
    walked: Option<Background<Found>>,
}

impl Walk {
    pub(super) fn start(discovery: &Options, filter: Filter) -> Result<Self, DiscoveryError> {
        let mut named = Vec::new();
        let mut directories = Vec::new();
        for path in &discovery.roots {
            let root_error = |source| DiscoveryError::Root { path: path.clone(), source };
            // Through links: naming one means the file or directory that it leads to.
            let metadata = std::fs::metadata(path).map_err(root_error)?;
            if metadata.is_dir() {
                directories.push((path.clone(), metadata.dev()));
            } else if metadata.is_file() {
                named.push(Ok(FileEntry::named(path, discovery.sizes.then_some(metadata.len()))));
            } else {
                named.push(Err(ReadError::new(ErrorKind::NotRegular, Operation::Stat, path)));
            }
        }
        // No thread for files that were named: reading one small file must not cost a walk.
        let walked = if directories.is_empty() { None } else { Some(Walkers::start(discovery, filter, directories)?) };
        Ok(Self { named: named.into_iter(), walked })
    }

    /// The entries that are there without waiting, at most `most`; if there are none, waits for the first. Empty at the
    /// end.
    pub(crate) fn next_batch(&mut self, most: usize) -> Vec<Found> {
        let mut batch: Vec<_> = self.next().into_iter().collect();
        while batch.len() < most.max(1)
            && let Some(found) = self.named.next().or_else(|| self.walked.as_mut()?.next_ready())
        {
            batch.push(found);
        }
        batch
    }

    /// From now on this walk also ends when `cancel` is raised.
    pub(crate) fn end_with(&self, cancel: &CancelToken) {
        if let Some(walked) = &self.walked {
            walked.cancel_token().follow(cancel);
        }
    }

    /// All entries, ordered by the bytes of their paths: the same on each run over the same tree.
    ///
    /// Waits for the end of the walk and holds every entry in memory.
    pub fn sorted(self) -> std::vec::IntoIter<Result<FileEntry, ReadError>> {
        let path = |found: &Found| match found {
            Ok(file) => file.path().as_os_str().to_owned(),
            Err(error) => error.path().as_os_str().to_owned(),
        };
        let mut all: Vec<_> = self.collect();
        all.sort_by_cached_key(path);
        all.into_iter()
    }
}

impl Iterator for Walk {
    type Item = Result<FileEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.named.next().or_else(|| self.walked.as_mut()?.next())
    }
}

/// What the walk of every root shares.
struct Walkers {
    options: Options,
    filter: Filter,
    outlet: Outlet<Found>,
}

impl Walkers {
    fn start(
        discovery: &Options,
        filter: Filter,
        roots: Vec<(PathBuf, u64)>,
    ) -> Result<Background<Found>, DiscoveryError> {
        // A child: dropping the walk ends it without raising the caller's token.
        let options = Options { cancel: discovery.cancel.child(), ..discovery.clone() };
        let batches_ahead = BATCHES_AHEAD * options.threads;
        Background::spawn("polyread-walk", batches_ahead, options.cancel.clone(), move |outlet| {
            Self { options, filter, outlet }.run(roots);
        })
        .map_err(DiscoveryError::Spawn)
    }

    /// One root after the other.
    fn run(&self, roots: Vec<(PathBuf, u64)>) {
        let held = roots.len() <= MOST_ROOTS_HELD;
        for (path, device) in roots {
            if self.options.cancel.is_cancelled() {
                return;
            }
            // To `ignore`, "-" alone means standard input.
            let path = if path == Path::new("-") { PathBuf::from("./-") } else { path };
            let root = when_free(&self.options.cancel, None, || Root::open(&path, self.options.links(), held));
            match root {
                Ok(root) => self.walk(Arc::new(root), device),
                Err(error) => {
                    let error = ReadError::from_io(error.into(), Operation::ReadDirectory, path);
                    self.outlet.send(vec![Err(error)]);
                }
            }
        }
    }

    /// One root, by this thread. Others come to help when there is enough to do and the consumer waits for this one: it
    /// is no use to find files faster than they are read.
    fn walk(&self, root: Arc<Root>, device: u64) {
        let Self { options, filter, outlet } = self;
        let rules = options.ignore_files.then(|| Rules::new(root.path(), options.skip_hidden)).flatten();
        let walked = Walked { options, filter, outlet, root, device, rules, queue: WorkQueue::new() };
        std::thread::scope(|scope| {
            let mut wanted = options.threads - 1;
            let mut directories = 0;
            Walker::new(&walked).lead(|| {
                directories += 1;
                if wanted > 0 && directories > ALONE && outlet.is_drained() {
                    let name = "polyread-walk".to_owned();
                    let walked = &walked;
                    let help =
                        std::thread::Builder::new().name(name).spawn_scoped(scope, || Walker::new(walked).help());
                    // Where no more can be started, those there are do it.
                    wanted = if help.is_ok() { wanted - 1 } else { 0 };
                }
            });
        });
    }
}
