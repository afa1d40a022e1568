//! Large files, which several rings read together.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::reader;
use polyread_core::{Analysis, Combine, Discovery, FileEntry, Job, Limits, Parts, ReadError};
use polyread_io_uring::IoUringReader;
use tempfile::TempDir;

/// Threads that have seen bytes of a file, by the letter that the file is full of.
type Seen = Arc<(Mutex<BTreeMap<u8, BTreeSet<String>>>, Condvar)>;

/// Counts bytes, and lets no thread go on with a file before so many have come to it, unless its letter is a small one.
#[derive(Clone)]
struct Meeting {
    seen: Seen,
    wanted: usize,
    bytes: u64,
}

impl Analysis for Meeting {
    type Output = u64;

    fn update(&mut self, chunk: &[u8]) {
        /// Whoever is not there by then does not come.
        const LONG: Duration = Duration::from_secs(20);
        self.bytes += chunk.len() as u64;
        let (seen, changed) = &*self.seen;
        let mut seen = seen.lock().unwrap();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        if seen.entry(chunk[0]).or_default().insert(thread) {
            changed.notify_all();
        }
        if chunk[0].is_ascii_uppercase() {
            drop(changed.wait_timeout_while(seen, LONG, |seen| seen[&chunk[0]].len() < self.wanted).unwrap());
        }
    }

    fn finish(self) -> u64 {
        self.bytes
    }

    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for Meeting {
    fn begin_part(&mut self) {}

    fn combine(&mut self, later: Self) {
        self.bytes += later.bytes;
    }
}

const SIZE: u64 = 24 << 20;

fn letters(tree: &TempDir, letters: &[u8]) {
    for letter in letters {
        let size = usize::try_from(SIZE).unwrap();
        fs::write(tree.path().join(char::from(*letter).to_string()), vec![*letter; size]).unwrap();
    }
}

/// Threads that have read some of each file.
fn threads_of_each(files: Vec<Result<FileEntry, ReadError>>, wanted: usize, workers: usize) -> Vec<usize> {
    let (seen, count) = (Seen::default(), files.len());
    let job = Job::new(files, Meeting { seen: Arc::clone(&seen), wanted, bytes: 0 });
    let mut read = 0;
    let summary = reader().read(job.limits(Limits::default().workers(workers)), &mut |record| {
        assert_eq!((record.outcome.unwrap(), record.bytes), (SIZE, SIZE));
        read += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((summary.unwrap().stopped, read), (None, count));
    seen.0.lock().unwrap().values().map(BTreeSet::len).collect()
}

fn listed(tree: &TempDir) -> Vec<Result<FileEntry, ReadError>> {
    Discovery::new(tree.path()).walk().unwrap().sorted().collect()
}

#[test]
fn a_single_file_is_read_by_all_threads() {
    if IoUringReader::available().is_err() {
        return;
    }
    let tree = TempDir::new().unwrap();
    letters(&tree, b"A");
    assert_eq!(threads_of_each(listed(&tree), 3, 3), [3]);
}

/// The thread that ends its own file first takes part in the other, whoever has that one and whatever it had before.
#[test]
fn nobody_leaves_while_there_is_a_file_to_share() {
    if IoUringReader::available().is_err() {
        return;
    }
    let tree = TempDir::new().unwrap();
    letters(&tree, b"aB");
    for _ in 0..10 {
        let named = ["a", "B"].map(|name| Ok(FileEntry::new(tree.path().join(name))));
        let threads = threads_of_each(named.into(), 2, 2);
        assert_eq!(threads[0], 2);
    }
}

#[test]
fn a_single_worker_reads_alone() {
    let tree = TempDir::new().unwrap();
    letters(&tree, b"abc");
    assert_eq!(threads_of_each(listed(&tree), 1, 1), [1, 1, 1]);
}

#[test]
fn two_that_read_a_file_each_do_not_wait_for_each_other() {
    let tree = TempDir::new().unwrap();
    letters(&tree, b"abcdef");
    let threads = threads_of_each(listed(&tree), 1, 2);
    assert!(threads.len() == 6 && threads.iter().all(|threads| (1..=2).contains(threads)), "{threads:?}");
}
