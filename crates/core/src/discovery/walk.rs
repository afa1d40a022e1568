//! The walk itself: threads that list directories, and the bounded channel their entries come through.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use super::{Discovery, Filter};
use crate::background::{Background, Outlet};
use crate::entry::Root;
use crate::{CancelToken, DiscoveryError, ErrorKind, FileEntry, Operation, ReadError};

/// What the walk yields.
type Found = Result<FileEntry, ReadError>;

/// Entries sent at once, at most. A walker starts with one and doubles, so that the first come without delay.
const BATCH: usize = 64;
/// Roots that are held open at the same time, at the most.
const MOST_ROOTS_HELD: usize = 16;
/// Batches waiting to be read, for each walking thread: enough to keep readers busy, little enough to bound memory.
const BATCHES_AHEAD: usize = 16;
/// The entries of a [`Discovery`], while they are found.
///
/// Dropping it ends the walk and its threads.
#[derive(Debug)]
pub struct Walk {
    named: std::vec::IntoIter<Found>,
    walked: Option<Background<Found>>,
}

impl Walk {
    pub(super) fn start(discovery: &Discovery, filter: Filter) -> Result<Self, DiscoveryError> {
        let mut named = Vec::new();
        let mut directories = Vec::new();
        for path in &discovery.roots {
            let root_error = |source| DiscoveryError::Root { path: path.clone(), source };
            // Through links: whoever names one means what it leads to.
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

/// What every walking thread shares.
struct Walkers {
    options: Discovery,
    filter: Filter,
    outlet: Outlet<Found>,
}

impl Walkers {
    fn start(
        discovery: &Discovery,
        filter: Filter,
        roots: Vec<(PathBuf, u64)>,
    ) -> Result<Background<Found>, DiscoveryError> {
        // A child: dropping the walk ends it without raising the caller's token.
        let options = Discovery { cancel: discovery.cancel.child(), ..discovery.clone() };
        let batches_ahead = BATCHES_AHEAD * options.threads;
        Background::spawn("polyread-walk", batches_ahead, options.cancel.clone(), move |outlet| {
            Self { options, filter, outlet }.run(roots);
        })
        .map_err(DiscoveryError::Spawn)
    }

    /// One root after the other, each by several threads.
    fn run(&self, roots: Vec<(PathBuf, u64)>) {
        let held = roots.len() <= MOST_ROOTS_HELD;
        for (path, device) in roots {
            if self.options.cancel.is_cancelled() {
                return;
            }
            // To `ignore`, "-" alone means standard input.
            let path = if path == Path::new("-") { PathBuf::from("./-") } else { path };
            match Root::open(&path, self.options.links(), held) {
                Ok(root) => self.walk(&path, &Arc::new(root), device),
                Err(error) => {
                    let error = ReadError::from_io(error, Operation::ReadDirectory, path);
                    self.outlet.send(vec![Err(error)]);
                }
            }
        }
    }

    fn walk(&self, path: &Path, root: &Arc<Root>, device: u64) {
        let options = &self.options;
        let (filter, filter_root) = (self.filter.clone(), Arc::clone(root));
        WalkBuilder::new(path)
            // Here and not in the visitor: a directory that is excluded is not even opened.
            .filter_entry(move |entry| entry.depth() == 0 || filter.wants_directory(filter_root.relative(entry.path())))
            .standard_filters(false)
            .hidden(options.skip_hidden)
            .parents(options.ignore_files)
            .ignore(options.ignore_files)
            .git_ignore(options.ignore_files)
            .git_global(options.ignore_files)
            .git_exclude(options.ignore_files)
            .follow_links(options.follow_links)
            .max_depth(options.max_depth)
            .threads(options.threads)
            .build_parallel()
            .visit(&mut Visitors { walkers: self, root: Arc::clone(root), device });
    }
}

struct Visitors<'a> {
    walkers: &'a Walkers,
    root: Arc<Root>,
    device: u64,
}

impl<'a> ParallelVisitorBuilder<'a> for Visitors<'a> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 'a> {
        Box::new(Visitor {
            walkers: self.walkers,
            root: Arc::clone(&self.root),
            device: self.device,
            batch: Vec::new(),
            batch_size: 1,
        })
    }
}

/// One walking thread.
struct Visitor<'a> {
    walkers: &'a Walkers,
    root: Arc<Root>,
    device: u64,
    batch: Vec<Found>,
    batch_size: usize,
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, seen: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.walkers.options.cancel.is_cancelled() {
            return WalkState::Quit;
        }
        match seen {
            Ok(entry) => self.visit_entry(entry),
            Err(error) => match self.convert(error) {
                Some(error) => self.push(Err(error)),
                None => WalkState::Continue,
            },
        }
    }
}

impl Visitor<'_> {
    fn visit_entry(&mut self, entry: DirEntry) -> WalkState {
        if let Some(error) = entry.error() {
            tracing::warn!(%error, "an ignore file is not obeyed in full");
        }
        if entry.depth() == 0 {
            return WalkState::Continue;
        }
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        let relative = self.root.relative(entry.path());
        let filter = &self.walkers.filter;
        if !is_directory && !filter.wants_file(relative) {
            return WalkState::Continue;
        }
        match self.classify(&entry, is_directory) {
            Ok(_) if is_directory => WalkState::Continue,
            Ok(size) => self.push(Ok(FileEntry::below(Arc::clone(&self.root), entry.into_path(), size))),
            Err(error) => {
                let state = self.push(Err(error));
                if is_directory && !matches!(state, WalkState::Quit) { WalkState::Skip } else { state }
            }
        }
    }

    /// The size of what is to be read, where it was asked for; or why the entry is left out.
    fn classify(&self, entry: &DirEntry, is_directory: bool) -> Result<Option<u64>, ReadError> {
        let options = &self.walkers.options;
        let skip = |kind| ReadError::new(kind, Operation::Stat, entry.path());
        match entry.file_type() {
            Some(kind) if kind.is_file() || kind.is_dir() => {}
            Some(kind) if kind.is_symlink() => return Err(skip(why_link_is_skipped(entry.path()))),
            _ => return Err(skip(ErrorKind::NotRegular)),
        }
        let bounded = options.min_size.is_some() || options.max_size.is_some();
        if is_directory && entry.path_is_symlink() && self.root.is_left_by(entry.path()) {
            return Err(skip(ErrorKind::EscapesRoot));
        }
        let wanted = if is_directory { options.same_file_system } else { options.sizes || bounded };
        if !wanted {
            // The common case: the type came with the listing, and no system call is spent on the file.
            return Ok(None);
        }
        let metadata = entry.metadata().map_err(|error| self.convert_io(entry.path().to_path_buf(), error))?;
        // Directories alone: on an overlay, files may have the device of the layer that they come from.
        if is_directory && metadata.dev() != self.device {
            return Err(skip(ErrorKind::OtherFileSystem));
        }
        let size = metadata.len();
        let too_small = options.min_size.is_some_and(|min| size < min);
        let too_large = options.max_size.is_some_and(|max| size > max);
        if !is_directory && (too_small || too_large) {
            return Err(skip(ErrorKind::FilteredBySize).with_detail(format!("{size} bytes")));
        }
        Ok(Some(size))
    }

    /// An error of the walk as a record; `None` if it concerns a link that the filters exclude.
    fn convert(&self, error: ignore::Error) -> Option<ReadError> {
        let (path, error) = self.unwrap_error(error);
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
        let wanted = !is_link || self.walkers.filter.wants_file(self.root.relative(&path));
        wanted.then(|| match error {
            ignore::Error::Loop { ancestor, .. } => {
                let detail = format!("leads back to {}", crate::Escaped(ancestor.as_os_str()));
                ReadError::new(ErrorKind::Loop, Operation::ReadDirectory, path).with_detail(detail)
            }
            error if is_link => {
                let error = self.convert_io(path, error);
                // Followed and found missing: it is the target that is not there.
                let kind = if error.kind() == ErrorKind::Vanished { ErrorKind::Dangling } else { error.kind() };
                error.with_kind(kind)
            }
            error => self.convert_io(path, error),
        })
    }

    fn convert_io(&self, path: PathBuf, error: ignore::Error) -> ReadError {
        let error = error.into_io_error().unwrap_or_else(|| io::Error::other("the walk failed"));
        ReadError::from_io(error, Operation::ReadDirectory, path)
    }

    /// The path that an error is about, and what it says of it.
    fn unwrap_error(&self, error: ignore::Error) -> (PathBuf, ignore::Error) {
        match error {
            ignore::Error::WithPath { path, err } => (path, *err),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => self.unwrap_error(*err),
            ignore::Error::Loop { ancestor, child } => (child.clone(), ignore::Error::Loop { ancestor, child }),
            // Without a path it can only be told of the root.
            error => (self.walkers.options.roots.first().cloned().unwrap_or_default(), error),
        }
    }

    fn push(&mut self, found: Found) -> WalkState {
        self.batch.push(found);
        if self.batch.len() < self.batch_size {
            return WalkState::Continue;
        }
        self.batch_size = (self.batch_size * 2).min(BATCH);
        let full = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_size));
        // Nobody receives any more: the walk was dropped.
        if self.walkers.outlet.send(full) { WalkState::Continue } else { WalkState::Quit }
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.walkers.outlet.send(std::mem::take(&mut self.batch));
    }
}

/// A link that is not followed, told apart by what it leads to: only this costs a system call, and links are rare.
fn why_link_is_skipped(path: &Path) -> ErrorKind {
    match std::fs::metadata(path) {
        Ok(target) if target.is_file() || target.is_dir() => ErrorKind::SymbolicLink,
        Ok(_) => ErrorKind::NotRegular,
        Err(error) if error.kind() == io::ErrorKind::NotFound => ErrorKind::Dangling,
        Err(_) => ErrorKind::SymbolicLink,
    }
}
