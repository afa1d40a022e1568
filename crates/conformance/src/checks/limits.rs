//! What the limits of a run hold.

use std::fs;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use polyread_core::{Contents, Discovery, ErrorKind, FileEntry, Job, Limits, TextStats};

use super::collect::{all, collect, kind, of_name};
use crate::scripted::has_been_waited_for;
use crate::{Held, Scripted, Subject, tree};

/// Refused by its size before anything is read, or where it outgrows the limit.
pub fn the_largest_file_size_holds(subject: &Subject) {
    let tree = tree::of(&[("small", &[b'x'; 1000]), ("large", &[b'x'; 1001])]);
    let limits = Limits::default().max_file_size(1000);
    let mut files: Vec<_> = all(tree.path()).collect();
    // Says that it is empty, and is not.
    files.push(Ok(FileEntry::new("/proc/self/smaps")));
    let (records, _) = collect(&*subject.text_stats, Job::new(files, TextStats::default()).limits(limits));
    assert_eq!(kind(of_name(&records, "small")), None);
    let large = of_name(&records, "large");
    assert_eq!((kind(large), large.bytes), (Some(ErrorKind::TooLarge), 0));
    assert_eq!(kind(of_name(&records, "smaps")), Some(ErrorKind::TooLarge));

    // What is to be held at once is refused before it is allocated, however large the machine is.
    let tree = tempfile::tempdir().unwrap();
    fs::File::create(tree.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
    let (records, _) = collect(&*subject.contents, Job::new(all(tree.path()), Contents::default()));
    let sparse = of_name(&records, "sparse");
    assert_eq!((kind(sparse), sparse.bytes), (Some(ErrorKind::TooLarge), 0));
}

/// A file that takes longer than its time fails with what was read until then; the others are read.
pub fn the_time_limit_holds(subject: &Subject) {
    let mut slow = b"sleep 50\n".to_vec();
    slow.resize(20 << 20, b'x');
    let tree = tree::of(&[("slow", &slow), ("fast", b"fast")]);
    let limits = Limits::default().timeout(Duration::from_millis(200));
    let (records, summary) =
        collect(&*subject.scripted, Job::new(all(tree.path()), Scripted::default()).limits(limits));
    let error = of_name(&records, "slow").outcome.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!((1..20 << 20).contains(&error.bytes_read()), "{} bytes", error.bytes_read());
    assert_eq!((kind(of_name(&records, "fast")), summary.failed()), (None, 1));
}

/// For models that can leave a call alone that hangs: the file fails when its time is over, and the others are read.
pub fn a_file_that_hangs_is_abandoned(subject: &Subject) {
    let tree = tree::many(100);
    for index in [3, 50, 51, 52] {
        fs::write(tree.path().join(format!("000/{index:05}.txt")), "hang").unwrap();
    }
    // Fewer workers than files that hang: each must give its place back.
    let limits = Limits::default().workers(2).timeout(Duration::from_millis(100));
    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Scripted::default()).limits(limits);
    let (records, summary) = collect(&*subject.scripted, job);
    assert!(!has_been_waited_for(), "the run waited for a file that hangs");
    let errors = records.iter().filter_map(|record| record.outcome.as_ref().err());
    let hung: Vec<_> = errors.map(|error| (error.kind(), error.bytes_read())).collect();
    assert_eq!(hung, [(ErrorKind::Timeout, 4); 4]);
    assert_eq!((summary.read, summary.failed()), (96, 4));
}

/// A sink that sleeps over contents: what is alive at any moment stays within the budget.
pub fn bytes_in_flight_hold_with_a_slow_sink(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    for index in 0..40 {
        fs::write(tree.path().join(index.to_string()), vec![b'x'; 30_000 + index * 1000]).unwrap();
    }
    let budget = 100_000;
    let held = Held::default();
    let limits = Limits::default().workers(4).bytes_in_flight(budget);
    let job = Job::new(all(tree.path()), held.clone()).limits(limits);
    let summary = subject.held.read(job, &mut |record| {
        std::thread::sleep(Duration::from_millis(2));
        drop(record);
        ControlFlow::Continue(())
    });
    assert_eq!(summary.unwrap().read, 40);
    assert!((69_000..=budget).contains(&held.most()), "{} bytes were alive at once", held.most());
}

/// Time spent waiting for a slow consumer is not the file's: with room for one, no file is late.
pub fn waiting_for_room_does_not_count_against_the_time_limit(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    for index in 0..5 {
        fs::write(tree.path().join(index.to_string()), vec![b'x'; 1000]).unwrap();
    }
    let limits = Limits::default().workers(2).bytes_in_flight(1000).timeout(Duration::from_millis(100));
    let job = Job::new(all(tree.path()), Held::default()).limits(limits);
    let summary = subject.held.read(job, &mut |_| {
        std::thread::sleep(Duration::from_millis(600));
        ControlFlow::Continue(())
    });
    let summary = summary.unwrap();
    assert_eq!((summary.read, summary.failed()), (5, 0), "{:?}", summary.errors);
}

/// An iterator that goes on only when the record before has come: nobody may hold entries back to make them many.
pub fn entries_do_not_wait_for_others(subject: &Subject) {
    let tree = tree::many(1);
    let path = tree.path().join("000/00000.txt");
    let (come, comes) = mpsc::channel();
    let mut first = true;
    let files = std::iter::from_fn(move || {
        // The watchdog ends a wait that is in vain.
        if !std::mem::take(&mut first) {
            comes.recv().ok()?;
        }
        Some(Ok(FileEntry::new(&path)))
    });
    let mut read = 0;
    let summary = subject.text_stats.read(Job::new(files.take(20), TextStats::default()), &mut |_| {
        read += 1;
        // The iterator is gone when it has given the last.
        let _ = come.send(());
        ControlFlow::Continue(())
    });
    assert_eq!((read, summary.unwrap().read), (20, 20));
}

/// Limits that no clock and no machine can hold are none.
pub fn limits_beyond_all_bounds_are_none(subject: &Subject) {
    let tree = tree::many(200);
    let limits = Limits::default()
        .timeout(Duration::MAX)
        .workers(usize::MAX)
        .max_open_files(3)
        .max_file_size(u64::MAX)
        .bytes_in_flight(u64::MAX);
    let (records, summary) =
        collect(&*subject.contents, Job::new(all(tree.path()), Contents::default()).limits(limits));
    assert_eq!((records.len(), summary.read, summary.stopped), (200, 200, None));
}

/// Files that are open at the same time, as the process itself sees them.
pub fn open_files_stay_within_the_limit(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path().canonicalize().unwrap();
    for index in 0..200 {
        fs::write(root.join(index.to_string()), format!("count {}\n", root.display())).unwrap();
    }
    for limit in [1, 3] {
        let limits = Limits::default().workers(8).max_open_files(limit);
        let job = Job::new(all(&root), Scripted::default()).limits(limits);
        let (records, _) = collect(&*subject.scripted, job);
        let open: Vec<_> = records.into_iter().map(|record| record.outcome.unwrap().open_files).collect();
        assert_eq!(open.len(), 200);
        assert!(open.iter().all(|open| (1..=limit).contains(open)), "limit {limit}, open at once: {open:?}");
    }
}
