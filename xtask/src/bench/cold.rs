//! Taking a tree out of the cache, without root, and telling whether that was so.
//!
//! `posix_fadvise` asks the kernel to forget a file's pages; it may refuse, for pages that are dirty, mapped or locked,
//! and on file systems that live in memory. Whether it obeyed is not asked before the sample: `mincore` needs a mapping,
//! and a read that must not wait (`RWF_NOWAIT`) starts read-ahead and so warms what it asks about. The proof is the sample
//! itself: the kernel counts the bytes that a process has caused to be fetched from storage, and a cold sample must have
//! caused every page of the tree.
//!
//! What stays cached are directories and inodes: only root can drop those.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::{Advice, fadvise, syncfs};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::sample::Sample;

/// The state of the page cache before a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cache {
    /// Everything has been read before
    Warm,
    /// Every page of every file has been evicted
    Cold,
}

impl Cache {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// Pages are what the cache is made of; where they are larger, less is expected than is fetched.
const PAGE: u64 = 4096;

/// In hundredths: how much of the tree may come from the wrong place before a sample is not what it is called.
const TOLERANCE: u64 = 1;

/// The files that are to be evicted.
#[derive(Debug)]
pub(crate) struct Tree(Vec<PathBuf>);

impl Tree {
    /// Lists the tree and has its file system write down what is dirty: only clean pages can be evicted.
    pub(crate) fn list(root: &Path) -> Result<Self> {
        let directory = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
        syncfs(&directory).context("cannot write dirty pages down before they are evicted")?;
        let entries = WalkDir::new(root).into_iter().filter_map(Result::ok);
        Ok(Self(entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()))
    }

    /// Asks the kernel to forget every page, and tells how many bytes are to come from storage now. What cannot be opened
    /// cannot be read by the samples either.
    pub(crate) fn evict(&self) -> u64 {
        let evicted = self.0.par_iter().filter_map(|path| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            // A refusal shows in the sample.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
            // Holes and what is stored in the inode itself are not fetched.
            Some(metadata.len().next_multiple_of(PAGE).min(metadata.blocks() * 512))
        });
        evicted.sum()
    }
}

/// Whether a sample of a tree of so many bytes was as warm or as cold as it should be.
pub(crate) fn is_as_told(cache: Cache, sample: &Sample, stored_bytes: u64) -> bool {
    match cache {
        Cache::Warm => sample.usage.fetched_bytes <= stored_bytes / 100 * TOLERANCE,
        Cache::Cold => sample.usage.fetched_bytes >= stored_bytes - stored_bytes / 100 * TOLERANCE,
    }
}
