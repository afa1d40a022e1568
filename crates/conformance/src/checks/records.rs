//! What comes out: the same records, once each, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use polyread_core::reader::Entry;
use polyread_core::{
    Contents, Discovery, ErrorKind, Job, Limits, Progress, SequentialReader, Summary, Text, TextCounts, TextStats,
};

use super::collect::{Told, all, collect, of_name, told};
use crate::{Scripted, Subject, privileges, tree};

fn compare_on_hostile_tree(subject: &Subject, follow: bool) -> BTreeMap<PathBuf, Told<TextCounts>> {
    let tree = tree::hostile();
    let bite = privileges::bite();
    let job = || {
        let files = Discovery::new(tree.path()).follow_links(follow).walk().unwrap();
        Job::new(files, TextStats::default())
    };
    let (reference, expected) = collect(&SequentialReader::new(), job());
    let (records, summary) = collect(&*subject.text_stats, job());
    let (reference, records) = (told(reference), told(records));
    assert_eq!(records, reference);
    let counts = |summary: &Summary| (summary.read, summary.bytes, summary.errors.clone(), summary.stopped);
    assert_eq!(counts(&summary), counts(&expected));

    let of = |name: &str| records[&tree.path().join(name)].map_err(|(kind, ..)| kind);
    if bite {
        assert_eq!(of("unreadable.txt"), Err(ErrorKind::PermissionDenied));
        assert_eq!(of("closed"), Err(ErrorKind::PermissionDenied));
    }
    assert_eq!(of("fifo.txt"), Err(ErrorKind::NotRegular));
    assert_eq!(of("socket.txt"), Err(ErrorKind::NotRegular));
    assert_eq!(of("endless.txt"), Err(ErrorKind::NotRegular));
    assert_eq!(of("dangling.txt"), Err(ErrorKind::Dangling));
    assert!(of("sparse.txt").is_ok_and(|(counts, bytes)| bytes == 50 << 20 && counts.chars == bytes));
    let out_of_reach = records.iter().find(|(path, _)| path.ends_with("out-of-reach.txt")).unwrap();
    assert!(out_of_reach.0.as_os_str().len() > 4096 && out_of_reach.1.is_ok(), "{:?}", out_of_reach.1);
    // So that it can be removed again.
    fs::set_permissions(tree.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let name = |(path, told): (&PathBuf, &Told<_>)| (path.strip_prefix(tree.path()).unwrap().to_owned(), *told);
    records.iter().map(name).collect()
}

/// Counts of large files as the sequential reader has them, which reads each from front to back; and no byte is read twice.
pub fn large_files_count_alike_wherever_they_are_cut(subject: &Subject) {
    let tree = tree::large();
    let progress = Progress::new();
    // More workers than files: some have nothing else to do, wherever this runs.
    let job = || Job::new(all(tree.path()), TextStats::default()).limits(Limits::default().workers(5));
    let (reference, expected) = collect(&SequentialReader::new(), job());
    let (records, summary) = collect(&*subject.text_stats, job().progress(progress.clone()));
    assert_eq!(told(records), told(reference));
    assert_eq!((summary.read, summary.bytes), (expected.read, expected.bytes));
    assert_eq!(progress.snapshot().bytes, expected.bytes);
}

/// Paths, counts, bytes and errors as the sequential reader has them, on everything a file system can hold.
pub fn same_records_as_the_sequential_reader(subject: &Subject) {
    let records = compare_on_hostile_tree(subject, false);
    for link in ["link.txt", "loop", "linked-directory", "itself.txt"] {
        assert!(matches!(records[Path::new(link)], Err((ErrorKind::SymbolicLink, ..))), "{link}");
    }
}

/// The same when links are followed.
pub fn same_records_when_links_are_followed(subject: &Subject) {
    let records = compare_on_hostile_tree(subject, true);
    assert_eq!(records[Path::new("link.txt")], records[Path::new("ascii.txt")]);
    assert!(records[Path::new("linked-directory/inside.txt")].is_ok());
    for link in ["loop", "itself.txt"] {
        assert!(matches!(records[Path::new(link)], Err((ErrorKind::Loop, ..))), "{link}");
    }
}

/// Contents of sizes around those of buffers and messages.
pub fn contents_come_across_byte_for_byte(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let content = |size: usize| (0..size).map(|at| (at * 31 + at / 251).to_le_bytes()[0]).collect::<Vec<_>>();
    let sizes = [0, 1, 4095, 65_535, 65_536, 262_143, 262_144, 262_145, 3_000_000];
    for size in sizes {
        fs::write(tree.path().join(size.to_string()), content(size)).unwrap();
    }
    let (records, summary) = collect(&*subject.contents, Job::new(all(tree.path()), Contents::default()));
    assert_eq!((records.len(), summary.read), (sizes.len(), sizes.len() as u64));
    for size in sizes {
        let found = of_name(&records, &size.to_string()).outcome.as_ref().unwrap();
        assert!(*found == content(size), "{size} bytes differ");
    }
}

/// A rejection by the analysis is a record with its reason.
pub fn strict_text_names_the_offset(subject: &Subject) {
    let tree = tree::of(&[("good", "gültig".as_bytes()), ("bad", b"good until \xff here")]);
    let (records, _) = collect(&*subject.text, Job::new(all(tree.path()), Text::default()));
    assert_eq!(of_name(&records, "good").outcome.as_ref().unwrap(), "gültig");
    let error = of_name(&records, "bad").outcome.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidUtf8);
    assert!(error.message().contains("offset 11"), "{error}");
}

/// Indices and paths are each there once, in a tree of several thousand files.
pub fn every_entry_ends_in_exactly_one_record(subject: &Subject) {
    let files = 4_000;
    let tree = tree::many(files);
    let walk = Discovery::new(tree.path()).walk().unwrap();
    let progress = Progress::new();
    let job = Job::new(walk, TextStats::default()).progress(progress.clone());
    let (records, summary) = collect(&*subject.text_stats, job);
    assert!(records.iter().all(|record| record.attempts == 1 && record.elapsed <= summary.elapsed));
    assert!(!summary.elapsed.is_zero());
    let mut indices: Vec<_> = records.iter().map(|record| record.index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..files as u64).collect::<Vec<_>>());
    assert_eq!(told(records).len(), files);
    assert_eq!((summary.read, summary.failed(), summary.stopped), (files as u64, 0, None));
    let counters = progress.snapshot();
    assert!(counters.discovery_ended);
    assert_eq!((counters.discovered, counters.read, counters.bytes), (summary.read, summary.read, summary.bytes));
}

/// Nothing to read is nothing to fail.
pub fn no_files_at_all(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let (records, summary) = collect(&*subject.text_stats, Job::new(all(tree.path()), TextStats::default()));
    assert!(records.is_empty());
    assert_eq!((summary.files(), summary.skipped(), summary.stopped), (0, 0, None));
}

/// The others are read, by the same workers.
pub fn a_panicking_analysis_costs_its_file_alone(subject: &Subject) {
    let tree = tree::many(300);
    for name in ["000/00007.txt", "001/00150.txt"] {
        fs::write(tree.path().join(name), "panic over this file\n").unwrap();
    }
    let progress = Progress::new();
    let job = Job::new(all(tree.path()), Scripted::default()).progress(progress.clone());
    let (records, summary) = collect(&*subject.scripted, job);
    assert_eq!((records.len(), summary.read, summary.failed()), (300, 298, 2));
    assert_eq!((progress.snapshot().read, progress.snapshot().failed), (298, 2));
    let error = of_name(&records, "00007.txt").outcome.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.bytes_read()), (ErrorKind::Panicked, 21));
    assert!(error.message().ends_with("over this file"), "{error}");
}

/// A part of another reader's run, as hybrid's sides are: every entry comes out once, as a record or as a deferred file. With
/// one worker and few permits for a tree of many files, a permit that is not given back is soon missing.
pub fn parts_of_a_run_are_read_to_their_end(subject: &Subject) {
    let files = 20_000;
    let tree = tree::many(files);
    for index in (0..files).step_by(10) {
        fs::write(tree.path().join(format!("{:03}/{index:05}.txt", index / 100)), [b'x'; 100]).unwrap();
    }
    let (records, delivered) = mpsc::channel();
    let (deferred, crossing) = mpsc::channel();
    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
    let (run, _) = job.limits(Limits::default().workers(1)).start().delivering(drop);
    let small = Job::part_of(&run, run.batches(), {
        let records = records.clone();
        move |batch| {
            for mut record in batch {
                match record.take_deferred() {
                    Some(file) => deferred.send(file).unwrap(),
                    None => records.send((record.index, record.outcome.unwrap().bytes, "small")).unwrap(),
                }
            }
        }
    });
    let next = move |_| crossing.recv().ok().map(|file| vec![Entry::from(file)]);
    let large = Job::part_of(&run, next, move |batch| {
        for record in batch {
            records.send((record.index, record.outcome.unwrap().bytes, "large")).unwrap();
        }
    });
    std::thread::scope(|scope| {
        // It ends when the small side has, and with it the other end of its entries.
        scope.spawn(|| assert_eq!(subject.text_stats.records(large).unwrap().count(), 0));
        assert_eq!(subject.text_stats.records(small.defer_from(100, 2)).unwrap().count(), 0);
    });
    let mut seen: Vec<_> = delivered.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen.iter().map(|(index, ..)| *index).collect::<Vec<_>>(), (0..files as u64).collect::<Vec<_>>());
    assert_eq!(seen.iter().filter(|(_, bytes, _)| *bytes == 100).count(), files / 10);
    // A reader whose files are opened elsewhere defers none.
    let crossed = seen.iter().filter(|(.., side)| *side == "large").count();
    assert!(crossed == 0 || seen.iter().all(|(_, bytes, side)| (*bytes == 100) == (*side == "large")), "{crossed}");
}
