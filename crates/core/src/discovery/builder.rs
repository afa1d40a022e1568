//! Which files to find: roots and filters.

use std::path::PathBuf;

use super::filter::Filter;
use super::options::{MOST_THREADS, Options};
use super::walk::Walk;
use crate::cancel::CancelToken;
use crate::error::DiscoveryError;

/// Which files to read: roots, and what below them.
///
/// A root that is a directory is walked; a root that is a file is taken as it is, whatever the filters say, and a link
/// given as a root is followed. Unless told otherwise, discovery takes *every* regular file: hidden ones too, and
/// without regard to ignore files.
///
/// What is seen and cannot be read is not dropped: an unreadable directory, a dangling link or a FIFO whose name passes
/// the filters is yielded as a [`ReadError`](crate::ReadError). What the filters exclude leaves no trace.
///
/// ```
/// # fn main() -> Result<(), polyread_core::DiscoveryError> {
/// use polyread_core::Discovery;
///
/// let sources = Discovery::new("src").extensions(["rs"]).exclude("tests").walk()?.sorted();
/// assert!(sources.count() > 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Discovery(Options);

impl Discovery {
    /// Everything below one root.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::of_roots([root])
    }

    /// Everything below several roots: the roots that are files first, then the directories, one after the other. A file below
    /// two of them is yielded twice.
    pub fn of_roots(roots: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self(Options {
            roots: roots.into_iter().map(Into::into).collect(),
            extensions: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            skip_hidden: false,
            ignore_files: false,
            max_depth: None,
            follow_links: false,
            confined: false,
            same_file_system: false,
            min_size: None,
            max_size: None,
            sizes: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS),
            cancel: CancelToken::new(),
        })
    }

    /// Only files with one of these extensions, with or without the leading dot, compared byte by byte. A file that is
    /// nothing but a dot and the extension (`.md`) has none. Several calls add up.
    #[must_use]
    pub fn extensions(mut self, extensions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let bare = |extension: &str| extension.strip_prefix('.').unwrap_or(extension).to_owned();
        self.0.extensions.extend(extensions.into_iter().map(|extension| bare(extension.as_ref())));
        self
    }

    /// Only files that match one of the globs given so. See [`exclude`](Self::exclude) for what a glob is matched with.
    #[must_use]
    pub fn include(mut self, glob: impl Into<String>) -> Self {
        self.0.include.push(glob.into());
        self
    }

    /// No file and no directory that matches; what is below such a directory is not even looked at. Wins over
    /// [`include`](Self::include).
    ///
    /// A glob without a `/` is matched with the name, at any depth; one with a `/` with the whole path below the root.
    /// `*` and `?` do not match a `/`, `**` does; `{a,b}` and `[a-z]` are what they are in `globset`.
    #[must_use]
    pub fn exclude(mut self, glob: impl Into<String>) -> Self {
        self.0.exclude.push(glob.into());
        self
    }

    /// Leaves out files and directories whose name starts with a dot.
    #[must_use]
    pub fn skip_hidden(mut self, yes: bool) -> Self {
        self.0.skip_hidden = yes;
        self
    }

    /// Obeys `.gitignore`, `.ignore` and git's exclude files, as `ripgrep` does.
    #[must_use]
    pub fn ignore_files(mut self, yes: bool) -> Self {
        self.0.ignore_files = yes;
        self
    }

    /// Directories below a root to descend into: 1 takes the files directly in it, 0 none.
    #[must_use]
    pub fn max_depth(mut self, depth: impl Into<Option<usize>>) -> Self {
        self.0.max_depth = depth.into();
        self
    }

    /// Follows symbolic links. One that leads back to a directory above it is an error of kind
    /// [`Loop`](crate::ErrorKind::Loop). Otherwise links are skipped, and no file outside of the root is ever read, even
    /// if a directory is swapped for a link during the run.
    #[must_use]
    pub fn follow_links(mut self, yes: bool) -> Self {
        self.0.follow_links = yes;
        self
    }

    /// When links are followed: only links that stay below their root. Any other fails as
    /// [`EscapesRoot`](crate::ErrorKind::EscapesRoot) when it is opened. Needs Linux 5.6; elsewhere every followed link
    /// fails so.
    #[must_use]
    pub fn confined(mut self, yes: bool) -> Self {
        self.0.confined = yes;
        self
    }

    /// Leaves out what lies on another file system than its root; each such directory is yielded as skipped.
    #[must_use]
    pub fn same_file_system(mut self, yes: bool) -> Self {
        self.0.same_file_system = yes;
        self
    }

    /// Smallest size in bytes; a smaller file is yielded as skipped.
    #[must_use]
    pub fn min_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.0.min_size = bytes.into();
        self
    }

    /// Largest size in bytes; a larger file is yielded as skipped.
    #[must_use]
    pub fn max_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.0.max_size = bytes.into();
        self
    }

    /// Asks each file for its size, so that [`FileEntry::size_hint`](crate::FileEntry::size_hint) is there. It costs one
    /// system call for each file, on the walker's threads.
    #[must_use]
    pub fn sizes(mut self, yes: bool) -> Self {
        self.0.sizes = yes;
        self
    }

    /// Threads of the walk, at least 1 and at most these: others than the first are started when the walk is long and its
    /// consumer waits for it. Default: the number of cores, at most 8, beyond which a walk rarely gains.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.0.threads = threads.max(1);
        self
    }

    /// A token that ends the walk early, even while nothing matches.
    #[must_use]
    pub fn cancel_token(mut self, cancel: CancelToken) -> Self {
        self.0.cancel = cancel;
        self
    }

    /// Starts the walk. Entries come while it goes on, in no particular order; dropping the [`Walk`] ends it.
    ///
    /// # Errors
    ///
    /// - [`DiscoveryError::NoRoot`] without any root.
    /// - [`DiscoveryError::Root`] for a root that does not exist or cannot be looked at.
    /// - [`DiscoveryError::Glob`] for a pattern that is not a glob.
    /// - [`DiscoveryError::Spawn`] if the walker's thread cannot be started.
    pub fn walk(&self) -> Result<Walk, DiscoveryError> {
        if self.0.roots.is_empty() {
            return Err(DiscoveryError::NoRoot);
        }
        Walk::start(&self.0, Filter::new(&self.0.extensions, &self.0.include, &self.0.exclude)?)
    }
}
