//! The trees that are swept on: one that is there, or a series that is made and kept.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use indicatif::BinaryBytes;
use polyread_core::Escaped;
use rustix::fs::statvfs;

use super::Over;
use crate::bench::{Corpus, QUICK_SCALE};
use crate::fixtures;

/// Smaller files would be too many.
pub(super) const SMALLEST_FILE: u64 = 64;
pub(super) const LARGEST_FILE: u64 = 1 << 30;
pub(super) const MOST_FILES: u64 = 1_000_000;
pub(super) const MOST_BY_DEFAULT: u64 = 100_000;

/// Bytes of each file where their number is varied.
const SIZE_OF_COUNTED: u64 = 1024;

/// What a file takes on most disks is a multiple of it.
const BLOCK: u64 = 4096;

/// Bytes of each tree where the size of its files is varied.
pub(super) fn total(quick: bool) -> u64 {
    if quick { 4 << 20 } else { 32 << 20 }
}

pub(super) struct Trees {
    /// In the order of the values.
    pub(super) corpora: Vec<Corpus>,
    pub(super) description: String,
}

/// The user's own directory, or a profile.
pub(super) fn one(path: Option<&Path>, profile: Option<&str>, quick: bool) -> Result<Corpus> {
    if let Some(path) = path {
        fs::metadata(path).with_context(|| format!("cannot read {}", Escaped(path.as_os_str())))?;
        return Ok(Corpus { name: Escaped(path.as_os_str()).to_string(), path: path.to_owned(), goals: None });
    }
    let mut options = fixtures::Options::default();
    if quick {
        options.scale = QUICK_SCALE;
        options.out = options.out.join("quick");
    }
    let tree = fixtures::ensure(profile.unwrap_or("mixed"), &options)?;
    Ok(Corpus { name: tree.name, path: tree.path, goals: None })
}

/// A tree for each of these sizes or counts.
pub(super) fn make(over: Over, values: &[u64], quick: bool) -> Result<Trees> {
    let total = total(quick);
    let shapes = values.iter().map(|value| match over {
        Over::Count => (*value, SIZE_OF_COUNTED),
        _ => ((total / value).max(1), *value),
    });
    let description = match over {
        Over::Count => format!("trees of files of {}", BinaryBytes(SIZE_OF_COUNTED)),
        _ => format!("trees of {}", BinaryBytes(total)),
    };
    Ok(Trees { corpora: ensure(&shapes.collect::<Vec<_>>())?, description })
}

/// The tree on which the memory of a unit is measured: files enough for every unit to have some.
pub(super) fn for_units() -> Result<Corpus> {
    let [corpus] = <[Corpus; 1]>::try_from(ensure(&[(8192, 4096)])?).map_err(|_| anyhow::anyhow!("not one tree"))?;
    Ok(corpus)
}

/// Trees of so many files of so many bytes each, made where they are not there yet.
fn ensure(shapes: &[(u64, u64)]) -> Result<Vec<Corpus>> {
    let mut options = fixtures::Options::default();
    options.out = options.out.join("sweep");
    let name = |(files, size): (u64, u64)| format!("{files}-of-{size}");
    let missing = shapes.iter().filter(|shape| !options.out.join(name(**shape)).exists());
    let missing: Vec<u64> = missing.map(|(files, size)| files * size.next_multiple_of(BLOCK)).collect();
    let room: u64 = missing.iter().sum();
    if room > 0 {
        fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
        let disk = statvfs(&options.out).context("cannot ask how much room there is on the disk")?;
        let free = disk.f_bavail * disk.f_frsize;
        let plural = if missing.len() == 1 { "" } else { "s" };
        let (path, trees) = (options.out.display(), format!("{} tree{plural}", missing.len()));
        if room > free {
            bail!("{trees} would take {} on disk, and {} are free for {path}", BinaryBytes(room), BinaryBytes(free));
        }
        // Unlike `eprintln!`, no panic where standard error is closed.
        let _ = writeln!(io::stderr(), "making {trees} in {path}: {} on disk, to be kept", BinaryBytes(room));
    }
    let corpora = shapes.iter().map(|shape| {
        let tree = fixtures::ensure_even(&name(*shape), shape.0, shape.1, &options)?;
        Ok(Corpus { name: tree.name, path: tree.path, goals: None })
    });
    corpora.collect()
}
