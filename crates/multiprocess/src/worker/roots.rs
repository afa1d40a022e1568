//! The parent's roots, opened again in a worker process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyread_core::reader::custom::Root;
use polyread_core::{FileEntry, Operation, ReadError};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::protocol::{Bytes, SentRoot};

/// The roots of a run, in the order in which the parent has sent them.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// The process id of the parent.
    parent: u32,
    /// An error as its OS code.
    roots: Vec<Result<Arc<Root>, i32>>,
}

impl Roots {
    pub(super) fn of_parent(parent: u32) -> Self {
        Self { parent, roots: Vec::new() }
    }

    pub(super) fn add(&mut self, sent: Vec<SentRoot>) {
        let parent = self.parent;
        let opened = sent.into_iter().map(|root| {
            let root = open(root, parent);
            root.map(Arc::new).map_err(|error| error.raw_os_error().unwrap_or(0))
        });
        self.roots.extend(opened);
    }

    /// The file at this path, below the root of this number if it has one, with its size in bytes if that is known.
    pub(super) fn entry(&self, path: Bytes, root: Option<u32>, size: Option<u64>) -> Result<FileEntry, ReadError> {
        let path = PathBuf::from(path);
        let Some(root) = root else { return Ok(FileEntry::new(path)) };
        let unknown = Err(0);
        let root = usize::try_from(root).ok().and_then(|root| self.roots.get(root)).unwrap_or(&unknown);
        match root {
            Ok(root) => Ok(FileEntry::below(Arc::clone(root), path, size)),
            Err(code) => {
                let error = ReadError::from_io(io::Error::from_raw_os_error(*code), Operation::Open, path);
                Err(error.with_detail("its root cannot be opened in the worker process"))
            }
        }
    }
}

/// Opens a root through the descriptor of the parent, if it holds one, or else by its path. The descriptor stays right when
/// the directory is renamed. Neither may lead to another directory than the parent's.
fn open(sent: SentRoot, parent: u32) -> io::Result<Root> {
    let SentRoot { path, identity, links, descriptor } = sent;
    let path = PathBuf::from(path);
    let open_same = |at: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Root::of_directory(path.clone(), openat(CWD, at, flags, Mode::empty())?, links)?;
        if root.identity() == identity { Ok(root) } else { Err(rustix::io::Errno::STALE.into()) }
    };
    let through = descriptor.map(|descriptor| PathBuf::from(format!("/proc/{parent}/fd/{descriptor}")));
    through.and_then(|through| open_same(&through).ok()).map_or_else(|| open_same(&path), Ok)
}
