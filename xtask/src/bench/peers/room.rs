//! Whether a peer has memory enough for a tree.
//!
//! The Python readers make a list of all words of a file, and of a file of a gigabyte that takes 17 gigabytes. What is in
//! memory already, the files that others are about to read, would have to make room, or the machine would come to a stop.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Result, bail};
use indicatif::BinaryBytes;
use walkdir::WalkDir;

use super::{Model, Peer};

/// Bytes of memory for each byte of a file: what was measured for text with words of four letters, rounded up.
const PER_BYTE: u64 = 18;

/// Sizes of the largest files of each tree, in bytes. They are asked for once, and not within the sample, which would find
/// the inodes in the cache then.
#[derive(Debug, Default)]
pub(in crate::bench) struct Room(BTreeMap<PathBuf, Vec<u64>>);

impl Room {
    /// # Errors
    ///
    /// The peer needs more than half of the memory that is available now.
    pub(in crate::bench) fn check(&mut self, peer: Peer, root: &Path) -> Result<()> {
        let Peer::Python(model) = peer else { return Ok(()) };
        let Some(available) = available() else { return Ok(()) };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let largest = self.0.entry(root.to_owned()).or_insert_with(|| largest(root, cores));
        // The interpreter's lock lets one thread at a time make a list.
        let at_once = if model == Model::Processes { cores } else { 1 };
        let needed = largest.iter().take(at_once).sum::<u64>() * PER_BYTE;
        if needed > available / 2 {
            let (needed, available) = (BinaryBytes(needed), BinaryBytes(available));
            bail!("needs some {needed} of memory for the words of the largest files, and {available} are available");
        }
        Ok(())
    }
}

/// The sizes of the largest files, the largest first, as many as are asked for.
fn largest(root: &Path, most: usize) -> Vec<u64> {
    let entries = WalkDir::new(root).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let mut sizes: Vec<u64> = entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.truncate(most);
    sizes
}

/// What programs can have without others being pushed out, in bytes, where the system tells.
fn available() -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_words_fill_the_memory_is_refused_and_to_python_alone() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        fs::write(root.join("small"), "a b").unwrap();
        let Some(available) = available() else {
            eprintln!("skipped: this system does not tell what memory is available");
            return;
        };
        assert!(Room::default().check(Peer::Python(Model::Async), root).is_ok());
        // Of a sparse file only the size is asked.
        fs::File::create(root.join("large")).unwrap().set_len(available / 17).unwrap();
        let mut room = Room::default();
        let error = room.check(Peer::Python(Model::Processes), root).unwrap_err().to_string();
        assert!(error.contains("memory for the words"), "{error}");
        assert!(room.check(Peer::FindXargsWc, root).is_ok());
    }
}
