//! Rings as one of two readers: they leave large files to the other one, or are given open files to read.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread::scope;

use common::reader;
use crossbeam_channel::unbounded;
use polyread_core::reader::Entry;
use polyread_core::{Discovery, FileReader, FileResult, Job, Limits, TextStats};
use tempfile::TempDir;

/// Files of this size and more are left to the other reader.
const LARGE: usize = 10_000;

type Bytes = Arc<Mutex<BTreeMap<String, u64>>>;

fn note(bytes: &Bytes, record: FileResult<polyread_core::TextCounts>) {
    let name = record.path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(bytes.lock().unwrap().insert(name, record.outcome.unwrap().bytes).is_none(), "two records of one file");
}

#[test]
fn open_files_pass_from_rings_to_rings() {
    let tree = TempDir::new().unwrap();
    let mut expected = BTreeMap::new();
    for (index, size) in [10, LARGE - 1, LARGE, 40_000, 9 << 20].into_iter().cycle().take(100).enumerate() {
        fs::write(tree.path().join(index.to_string()), vec![b'x'; size]).unwrap();
        expected.insert(index.to_string(), size as u64);
    }
    for (workers, open) in [(1, 1), (2, 2), (3, 64)] {
        let walk = Discovery::new(tree.path()).walk().unwrap();
        let limits = Limits::default().workers(workers).max_open_files(open);
        let run = Arc::new(Job::new(walk, TextStats::default()).limits(limits).start());
        let (small, large) = (Bytes::default(), Bytes::default());
        let (sender, deferred) = unbounded();
        let (next, told) = (Arc::clone(&run), Arc::clone(&small));
        let first = Job::part_of(
            &run,
            move |most| next.next_batch(most),
            move |batch| {
                for mut record in batch {
                    match record.take_deferred() {
                        Some(file) => sender.send(Entry::from(file)).unwrap(),
                        None => note(&told, record),
                    }
                }
            },
        );
        let told = Arc::clone(&large);
        let second = Job::part_of(
            &run,
            move |_| deferred.recv().ok().map(|entry| vec![entry]),
            move |batch| {
                batch.into_iter().for_each(|record| note(&told, record));
            },
        );
        // Fewer than there are, so that rings wait for the other reader.
        let first = first.defer_from(LARGE as u64, 4);
        scope(|scope| {
            scope.spawn(|| reader().records(second).unwrap().for_each(drop));
            reader().records(first).unwrap().for_each(drop);
        });
        let (small, large) = (small.lock().unwrap().clone(), large.lock().unwrap().clone());
        assert!(small.values().all(|bytes| *bytes < LARGE as u64));
        assert!(large.values().all(|bytes| *bytes >= LARGE as u64));
        assert_eq!(small.into_iter().chain(large).collect::<BTreeMap<_, _>>(), expected);
    }
}
