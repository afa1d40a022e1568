//! Ignore files: what `ignore` knows of them and of their precedence, asked about one path after the other.

use std::path::Path;
use std::sync::Mutex;

use ignore::{IncrementalIgnore, WalkBuilder};

use crate::lock::lock;

/// Directories whose rules are kept. Those of the ones above them are read again afterwards, so few would cost time.
const KEPT: usize = 4096;

/// The rules that hold below one root. They are read when they are first needed.
pub(super) struct Rules {
    unread: IncrementalIgnore,
    read: Mutex<Read>,
}

struct Read {
    rules: IncrementalIgnore,
    directories: usize,
}

impl Rules {
    /// `None` only if `ignore` has nothing to say of the root.
    pub(super) fn new(root: &Path, skip_hidden: bool) -> Option<Self> {
        let mut builder = WalkBuilder::new(root);
        builder.standard_filters(false).parents(true).ignore(true).git_ignore(true).git_global(true).git_exclude(true);
        // Asked here and not before, because a rule may take a hidden file in again.
        builder.hidden(skip_hidden);
        let unread = builder.build_matchers().pop()?;
        Some(Self { read: Mutex::new(Read { rules: unread.clone(), directories: 0 }), unread })
    }

    /// Whether what stands at this path, given relative to the root, is left out.
    pub(super) fn exclude(&self, relative: &Path, is_directory: bool) -> bool {
        let mut read = lock(&self.read);
        if is_directory {
            read.directories += 1;
            if read.directories > KEPT {
                *read = Read { rules: self.unread.clone(), directories: 0 };
            }
        }
        let (found, error) = read.rules.matched_with_errors(relative, is_directory);
        if let Some(error) = error {
            tracing::warn!(%error, "an ignore file is not obeyed in full");
        }
        found.is_ignore()
    }
}
