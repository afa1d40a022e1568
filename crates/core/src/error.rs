//! What can go wrong: with one file ([`ReadError`]), or with the machinery that reads files ([`ReaderError`]).
//!
//! The two never mix. A file that cannot be read is an item in the results, in the place of its contents, and the run
//! goes on; only when no file at all could be read does a call return an error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::escape::Escaped;

/// What kept one entry from being read.
///
/// Kinds for which [`is_skip`](Self::is_skip) holds are not failures: the entry was left out on purpose, or is nothing
/// whose content could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refuses access.
    PermissionDenied,
    /// A path that was given, not discovered, does not exist.
    NotFound,
    /// Any other error of the operating system; [`ReadError::os_error`] has it.
    Io,
    /// Following a link leads back to one of its own ancestors.
    Loop,
    /// The path leads out of the root that confines it.
    EscapesRoot,
    /// The path, or a part of it, is longer than the system takes.
    NameTooLong,
    /// The file is larger than [`Limits`](crate::Limits) allow.
    TooLarge,
    /// The file changed its size while it was read, or was written to between two reads of it.
    Changed,
    /// Reading took longer than [`Limits::timeout`](crate::Limits::timeout).
    Timeout,
    /// There was no memory for what the analysis retains.
    OutOfMemory,
    /// No descriptor was free, even after waiting for others to close.
    TooManyOpenFiles,
    /// The content is not UTF-8 and the analysis insists on it.
    InvalidUtf8,
    /// The analysis did not accept the content for a reason of its own.
    Rejected,
    /// The analysis panicked.
    Panicked,
    /// The worker process died over the file, twice: the file is taken for its poison. Or no worker was left to try it.
    WorkerDied,
    /// The worker process answered what is no answer, twice.
    Protocol,
    /// The run ended before this entry was read.
    Cancelled,
    /// Skipped: a directory, FIFO, socket or device stands where a file was expected.
    NotRegular,
    /// Skipped: a symbolic link, and links are not followed.
    SymbolicLink,
    /// Skipped: a symbolic link to nothing.
    Dangling,
    /// Skipped: it was there when it was listed and gone when it was opened.
    Vanished,
    /// Skipped: its size is outside of the bounds that discovery was given.
    FilteredBySize,
    /// Skipped: it lies on another file system than its root.
    OtherFileSystem,
}

impl ErrorKind {
    /// The stable name of the kind, in kebab case, as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission-denied",
            Self::NotFound => "not-found",
            Self::Io => "io",
            Self::Loop => "loop",
            Self::EscapesRoot => "escapes-root",
            Self::NameTooLong => "name-too-long",
            Self::TooLarge => "too-large",
            Self::Changed => "changed",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out-of-memory",
            Self::TooManyOpenFiles => "too-many-open-files",
            Self::InvalidUtf8 => "invalid-utf-8",
            Self::Rejected => "rejected",
            Self::Panicked => "panicked",
            Self::WorkerDied => "worker-died",
            Self::Protocol => "protocol",
            Self::Cancelled => "cancelled",
            Self::NotRegular => "not-regular",
            Self::SymbolicLink => "symbolic-link",
            Self::Dangling => "dangling",
            Self::Vanished => "vanished",
            Self::FilteredBySize => "filtered-by-size",
            Self::OtherFileSystem => "other-file-system",
        }
    }

    /// Whether an entry of this kind was left out rather than failed.
    pub fn is_skip(self) -> bool {
        matches!(
            self,
            Self::NotRegular
                | Self::SymbolicLink
                | Self::Dangling
                | Self::Vanished
                | Self::FilteredBySize
                | Self::OtherFileSystem
        )
    }

    /// What an error of the operating system means for the entry it happened to.
    fn of_os_error(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::ACCESS | Errno::PERM) => Self::PermissionDenied,
            Some(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Self::Vanished,
            Some(Errno::LOOP) => Self::Loop,
            Some(Errno::XDEV) => Self::EscapesRoot,
            Some(Errno::NAMETOOLONG) => Self::NameTooLong,
            Some(Errno::NOMEM) => Self::OutOfMemory,
            Some(Errno::MFILE | Errno::NFILE) => Self::TooManyOpenFiles,
            // What open(2) says of a socket, and of a device without a driver.
            Some(Errno::NXIO | Errno::NODEV | Errno::ISDIR) => Self::NotRegular,
            _ => Self::Io,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::PermissionDenied => "permission denied",
            Self::NotFound => "no such file",
            Self::Io => "input/output error",
            Self::Loop => "link loop",
            Self::EscapesRoot => "leads out of its root",
            Self::NameTooLong => "path too long for the system",
            Self::TooLarge => "larger than the limit",
            Self::Changed => "changed while it was read",
            Self::Timeout => "time limit exceeded",
            Self::OutOfMemory => "out of memory",
            Self::TooManyOpenFiles => "no file descriptor free",
            Self::InvalidUtf8 => "not valid UTF-8",
            Self::Rejected => "rejected by the analysis",
            Self::Panicked => "the analysis panicked",
            Self::WorkerDied => "its worker process died",
            Self::Protocol => "its worker process answered nonsense",
            Self::Cancelled => "cancelled",
            Self::NotRegular => "not a regular file",
            Self::SymbolicLink => "symbolic link, not followed",
            Self::Dangling => "symbolic link to nothing",
            Self::Vanished => "vanished before it was read",
            Self::FilteredBySize => "outside of the size bounds",
            Self::OtherFileSystem => "on another file system",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was being done to an entry when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[non_exhaustive]
pub enum Operation {
    /// Listing a directory.
    ReadDirectory,
    /// Asking for type, size or device.
    Stat,
    /// Opening the file.
    Open,
    /// Reading its bytes.
    Read,
    /// Running the analysis on them.
    Analyse,
}

impl Operation {
    /// The stable name of the operation, in kebab case, as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadDirectory => "read-directory",
            Self::Stat => "stat",
            Self::Open => "open",
            Self::Read => "read",
            Self::Analyse => "analyse",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one entry has no result: kind, path, operation, the system's own error and how much was read before it.
///
/// It takes the place of the entry's output in a [`FileResult`](crate::FileResult); it is never an early return.
#[derive(Clone)]
pub struct ReadError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    operation: Operation,
    path: PathBuf,
    bytes_read: u64,
    detail: Option<Box<str>>,
    source: Option<Arc<io::Error>>,
}

impl ReadError {
    /// An error of polyread's own finding.
    pub fn new(kind: ErrorKind, operation: Operation, path: impl Into<PathBuf>) -> Self {
        Self(Box::new(Inner { kind, operation, path: path.into(), bytes_read: 0, detail: None, source: None }))
    }

    /// An error of the operating system, its kind derived from the error code.
    pub fn from_io(error: io::Error, operation: Operation, path: impl Into<PathBuf>) -> Self {
        let mut this = Self::new(ErrorKind::of_os_error(&error), operation, path);
        this.0.source = Some(Arc::new(error));
        this
    }

    /// The same error under another kind, where the circumstances say more than the error code.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// States how many bytes had been read before the error.
    #[must_use]
    pub fn with_bytes_read(mut self, bytes: u64) -> Self {
        self.0.bytes_read = bytes;
        self
    }

    /// Adds a sentence that the kind alone does not tell: the limit, the offset, the panic's message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The entry that it happened to.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What was being done.
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The operating system's error, where there was one.
    pub fn os_error(&self) -> Option<&io::Error> {
        self.0.source.as_deref()
    }

    /// Bytes read from the file before the error.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read
    }

    /// What was added by [`with_detail`](Self::with_detail).
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Whether the entry was left out rather than failed; see [`ErrorKind::is_skip`].
    pub fn is_skip(&self) -> bool {
        self.0.kind.is_skip()
    }

    /// What happened in words, without the path: for a place that already shows it.
    pub fn message(&self) -> String {
        let inner = &*self.0;
        let mut message = String::from(inner.kind.describe());
        // The system's words are added where the kind does not already say the same.
        let own_words = inner.source.as_ref().filter(|_| inner.kind == ErrorKind::Io);
        for part in own_words.map(ToString::to_string).iter().map(String::as_str).chain(inner.detail.as_deref()) {
            message.push_str(": ");
            message.push_str(part);
        }
        message
    }
}

impl fmt::Debug for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("ReadError")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("path", &inner.path)
            .field("bytes_read", &inner.bytes_read)
            .field("detail", &inner.detail)
            .field("source", &inner.source)
            .finish()
    }
}

impl fmt::Display for ReadError {
    /// `path: what happened`, the path escaped so that it cannot steer a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped(self.path().as_os_str()), self.message())
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|error| error as _)
    }
}

/// Why a [`Discovery`](crate::Discovery) could not start. Nothing has been read when it is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No root was given.
    #[error("no directory or file was given to read")]
    NoRoot,
    /// A root does not exist or cannot be looked at.
    #[error("cannot read {}", Escaped(.path.as_os_str()))]
    Root {
        /// The root as it was given.
        path: PathBuf,
        /// What the system says of it.
        source: io::Error,
    },
    /// A pattern is not a valid glob.
    #[error("bad glob '{}': {reason}", Escaped(glob.as_ref()))]
    Glob {
        /// The pattern as it was given.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The walker's thread could not be started.
    #[error("cannot start the walker's thread")]
    Spawn(#[source] io::Error),
}

/// Why a reader could not run at all. The failure of one file is never one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// The blocking call was made inside of an async runtime, whose thread it would block.
    #[error(
        "the blocking call of the {strategy} reader was made inside of an async runtime: use its stream there, or call it from a thread of its own"
    )]
    InsideRuntime {
        /// The reader's [`name`](crate::FileReader::name).
        strategy: &'static str,
    },
    /// The stream was asked for outside of the runtime that it needs.
    #[error("the stream of the {strategy} reader was asked for outside of its runtime: use the blocking call there")]
    NoRuntime {
        /// The reader's [`name`](crate::FileReader::name).
        strategy: &'static str,
    },
    /// Threads or a runtime could not be started.
    #[error("the {strategy} reader cannot start its workers: {reason}")]
    Start {
        /// The reader's [`name`](crate::FileReader::name).
        strategy: &'static str,
        /// What was refused and by whom.
        reason: String,
    },
    /// This system does not have what the model is made of.
    #[error("the {strategy} reader is not available here: {reason}")]
    Unavailable {
        /// The reader's [`name`](crate::FileReader::name).
        strategy: &'static str,
        /// What is missing, and what to do about it.
        reason: String,
    },
}
