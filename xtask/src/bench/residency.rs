//! What of some files is in the page cache, asked without touching it.
//!
//! `mincore` needs a mapping, which this program has no safe way to make, and a read that must not wait (`RWF_NOWAIT`)
//! starts read-ahead and so warms what it asks about. `fincore` of util-linux asks for us: it reads nothing.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use polyread_core::Escaped;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::{Access, access};
use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of paths that one process is asked about: far below what a command line may have, and enough that its start does
/// not show.
const BATCH_BYTES: usize = 256 * 1024;

/// As many files are named.
const NAMED: usize = 3;

/// What was found in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
pub(crate) struct Resident {
    /// In whole pages.
    #[serde(rename = "resident_bytes")]
    pub(crate) bytes: u64,
    /// How many files have at least one page there.
    #[serde(rename = "resident_files")]
    pub(crate) files: u64,
    /// The first of them, escaped.
    #[serde(rename = "resident_first")]
    pub(crate) first: Vec<String>,
}

/// Why nobody can be asked.
pub(crate) fn available() -> Result<(), String> {
    let tried = Command::new("fincore").arg("--version").stdin(Stdio::null()).output();
    tried.map(drop).map_err(|error| {
        format!(
            "Before a cold sample nobody was asked what is left in the cache, since fincore cannot be started ({error}; the \
             system's package util-linux or util-linux-extra has it): that a sample was cold shows in what it fetched."
        )
    })
}

/// Whether the kernel tells about this file. It tells those who own it or may write to it; to others it says of every page
/// that it is there.
pub(crate) fn is_told(path: &Path, metadata: &Metadata) -> bool {
    let user = geteuid();
    user.is_root() || metadata.uid() == user.as_raw() || access(path, Access::WRITE_OK).is_ok()
}

/// What of these files is in the cache. A file that is not there any more has nothing there.
///
/// # Errors
///
/// There is no `fincore`, or it says something that is not understood.
pub(crate) fn ask(files: &[PathBuf]) -> Result<Resident> {
    let mut all = Resident::default();
    for some in batches(files).par_iter().map(|batch| ask_about(batch)).collect::<Vec<_>>() {
        let some = some?;
        all.bytes += some.bytes;
        all.files += some.files;
        all.first.extend(some.first);
    }
    all.first.truncate(NAMED);
    Ok(all)
}

fn batches(files: &[PathBuf]) -> Vec<&[PathBuf]> {
    let mut bytes = 0;
    let is_same = |path: &PathBuf, _: &PathBuf| {
        bytes += path.as_os_str().len() + 1;
        let fits = bytes < BATCH_BYTES;
        bytes *= usize::from(fits);
        fits
    };
    files.chunk_by(is_same).collect()
}

fn ask_about(files: &[PathBuf]) -> Result<Resident> {
    let mut command = Command::new("fincore");
    command.args(["--bytes", "--noheadings", "--raw", "--output", "RES,FILE", "--"]).args(files);
    // What cannot be opened is told there, and cannot be read by the samples either.
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().context("cannot start fincore")?;
    let mut resident = Resident::default();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (figure, name) = split(line).context("fincore says something that is not understood")?;
        if figure > 0 {
            resident.bytes += figure;
            resident.files += 1;
            if resident.first.len() < NAMED {
                resident.first.push(Escaped(&unescaped(name)).to_string());
            }
        }
    }
    Ok(resident)
}

/// `4096 a\x20name`.
fn split(line: &[u8]) -> Option<(u64, &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    Some((std::str::from_utf8(&line[..space]).ok()?.parse().ok()?, &line[space + 1..]))
}

/// A name as it is, of one in which spaces, controls and backslashes are written as `\x20`.
fn unescaped(mut name: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(name.len());
    while let Some((first, rest)) = name.split_first() {
        let code = rest.strip_prefix(b"x").and_then(|it| it.get(..2)).filter(|_| *first == b'\\');
        let code = code.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        name = if code.is_some() { &rest[3..] } else { rest };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_just_written_is_in_the_cache_whatever_its_name() {
        if let Err(reason) = available() {
            eprintln!("skipped: {reason}");
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        let names: [&[u8]; 6] = [b"a b", b"new\nline 7 x", b"not\xffutf", b"back\\x41", b"-n", b"empty"];
        let files: Vec<_> = names.map(|name| tree.path().join(OsString::from_vec(name.into()))).into();
        for file in &files {
            std::fs::write(file, if file.ends_with("empty") { "" } else { "x" }).unwrap();
        }
        let missing = tree.path().join("missing");
        let resident = ask(&[&files[..], &[missing]].concat()).unwrap();
        assert_eq!(resident.files, 5);
        assert!(resident.bytes >= 5 * 4096, "{resident:?}");
        let expected: Vec<_> = files.iter().take(3).map(|path| Escaped(path.as_os_str()).to_string()).collect();
        assert_eq!(resident.first, expected);
    }

    #[test]
    fn every_file_is_in_one_batch() {
        let files: Vec<_> = (0..20_000).map(|at| PathBuf::from(format!("/{at}/{}", "x".repeat(at % 200)))).collect();
        let batches = batches(&files);
        assert!(batches.len() > 5);
        assert_eq!(batches.concat(), files);
        let bytes = |batch: &[PathBuf]| batch.iter().map(|path| path.as_os_str().len() + 1).sum::<usize>();
        // The last path of each is the one that was too much.
        assert!(batches.iter().all(|batch| bytes(batch) <= BATCH_BYTES + 4096));
    }

    #[test]
    fn names_are_what_they_were() {
        assert_eq!(unescaped(br"a\x20b\x5cx41\xff\x"), OsString::from_vec(b"a b\\x41\xff\\x".into()));
        assert_eq!(split(b"4096 a"), Some((4096, &b"a"[..])));
        assert_eq!(split(b"4K"), None);
    }
}
