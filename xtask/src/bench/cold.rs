//! Taking a tree out of the cache, without root, and telling whether that was so.
//!
//! `posix_fadvise` asks the kernel to forget a file's pages; it may refuse, for pages that are dirty, mapped or locked,
//! and on file systems that live in memory. Whether it obeyed is asked before the sample, by [`residency`], as often as that
//! is cheap. The proof for each sample is the sample itself: the kernel counts the bytes that a process has caused to be
//! fetched from storage, and a cold sample must have caused every page of the tree.
//!
//! What stays cached are directories and inodes: only root can drop those, with [`drop_caches`].

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::{Advice, fadvise, sync, syncfs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use super::residency::{self, Resident};
use super::sample::Sample;

/// The state of the page cache before a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize, ValueEnum)]
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

/// In bytes: what may be fetched before a sample of a small tree is called not warm. It need not be the tree's: a page of a
/// program is fetched with some that follow it.
const OF_PROGRAMS: u64 = 256 * 1024;

/// To ask takes longer than to evict: once that has had this part of its time, it is time to ask again.
const ASKING: u32 = 5;

/// The files that are to be evicted.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Those first that the kernel tells about.
    files: Vec<PathBuf>,
    told: usize,
    /// As last asked.
    resident: Option<Resident>,
    /// Time spent so far.
    evicting: Duration,
    asking: Duration,
}

/// What there is to fetch for a sample.
#[derive(Debug)]
pub(crate) struct Evicted {
    /// What is to come from storage, in bytes.
    pub(crate) stored_bytes: u64,
    /// What the kernel did not let go of: asked just now, or nothing when it was last asked. `None` if nobody can be asked, or
    /// about no file.
    pub(crate) resident: Option<Resident>,
}

impl Tree {
    /// Lists the tree and has its file system write down what is dirty: only clean pages can be evicted.
    pub(crate) fn list(root: &Path) -> Result<Self> {
        let directory = File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
        syncfs(&directory).context("cannot write dirty pages down before they are evicted")?;
        let entries = WalkDir::new(root).into_iter().filter_map(Result::ok);
        let files = entries.filter(|entry| entry.file_type().is_file());
        // What has several names is stored once.
        let mut seen = HashSet::new();
        let files =
            files.filter(|entry| entry.metadata().is_ok_and(|it| it.nlink() == 1 || seen.insert((it.dev(), it.ino()))));
        let is_told = |entry: &DirEntry| entry.metadata().is_ok_and(|it| residency::is_told(entry.path(), &it));
        let (told, others): (Vec<_>, Vec<_>) = files.partition(is_told);
        Ok(Self {
            told: told.len(),
            files: told.into_iter().chain(others).map(DirEntry::into_path).collect(),
            resident: None,
            evicting: Duration::ZERO,
            asking: Duration::ZERO,
        })
    }

    /// Asks the kernel to forget every page. What cannot be opened cannot be read by the samples either.
    pub(crate) fn evict(&mut self) -> Evicted {
        let started = Instant::now();
        let evicted = self.files.par_iter().filter_map(|path| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            // A refusal shows when it is asked what is left, and in the sample.
            let _ = fadvise(&file, 0, None, Advice::DontNeed);
            // Holes and what is stored in the inode itself are not fetched.
            Some(metadata.len().next_multiple_of(PAGE).min(metadata.blocks() * 512))
        });
        let stored_bytes = evicted.sum();
        self.evicting += started.elapsed();
        let was_clean = self.resident.as_ref().is_some_and(|resident| resident.files == 0);
        if self.told > 0 && (!was_clean || self.asking * ASKING <= self.evicting) {
            let started = Instant::now();
            self.resident = residency::ask(&self.files[..self.told]).ok();
            self.asking += started.elapsed();
        }
        Evicted { stored_bytes, resident: self.resident.clone() }
    }
}

/// Has the kernel drop all that it caches of any file system, directories and inodes too, once what is dirty has been
/// written down.
///
/// # Errors
///
/// It is not allowed, as to all but root.
pub(crate) fn drop_caches() -> Result<()> {
    sync();
    fs::write("/proc/sys/vm/drop_caches", "3").context(
        "cannot write to /proc/sys/vm/drop_caches; only root of the machine can (in a container, not even its root): run \
         the comparison as root, or leave --drop-caches out",
    )
}

/// Whether a sample of a tree of so many bytes was as warm or as cold as it should be.
pub(crate) fn is_as_told(cache: Cache, sample: &Sample, stored_bytes: u64) -> bool {
    match cache {
        Cache::Warm => sample.usage.fetched_bytes <= (stored_bytes / 100 * TOLERANCE).max(OF_PROGRAMS),
        Cache::Cold => {
            let tolerated = stored_bytes / 100 * TOLERANCE;
            let is_evicted = sample.resident.as_ref().is_none_or(|resident| resident.bytes <= tolerated);
            is_evicted && sample.usage.fetched_bytes >= stored_bytes - tolerated
        }
    }
}
