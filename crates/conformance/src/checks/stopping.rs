//! How a run ends before its last file.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use polyread_core::{CancelToken, Discovery, ErrorKind, FileEntry, Job, Progress, Stopped, TextStats};

use super::collect::{all, collect, of_name};
use crate::{Scripted, Subject, tree};

/// After `Break` the sink is not called again, and the summary does not look whole.
pub fn a_break_from_the_sink_stops_the_run(subject: &Subject) {
    let tree = tree::many(2_000);
    let (mut calls, progress) = (0, Progress::new());
    let walk = Discovery::new(tree.path()).walk().unwrap();
    let job = Job::new(walk, TextStats::default()).progress(progress.clone());
    let summary = subject.text_stats.read(job, &mut |_| {
        calls += 1;
        if calls == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let summary = summary.unwrap();
    assert_eq!((calls, summary.read, summary.stopped), (10, 10, Some(Stopped::Sink)));
    assert!(summary.files() < 2_000, "the whole tree was taken up although the sink had left");
    assert_eq!(summary.files(), progress.snapshot().discovered, "what nobody saw is not accounted for");
}

/// A raised token ends the run; each entry that was taken up has its record all the same.
pub fn cancelling_stops_the_run_and_accounts_for_what_was_begun(subject: &Subject) {
    let tree = tree::many(1);
    let path = tree.path().join("000/00000.txt");
    let (cancel, progress) = (CancelToken::new(), Progress::new());
    // Without an end: only the token can be one.
    let job = Job::of_paths(std::iter::repeat(path), TextStats::default())
        .cancel_token(cancel.clone())
        .progress(progress.clone());
    let mut indices = Vec::new();
    let summary = subject.text_stats.read(job, &mut |record| {
        indices.push(record.index);
        if indices.len() == 10 {
            cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    let summary = summary.unwrap();
    assert_eq!(summary.stopped, Some(Stopped::Cancelled));
    indices.sort_unstable();
    assert_eq!(indices, (0..progress.snapshot().discovered).collect::<Vec<_>>());
    let cancelled = summary.errors.get(&ErrorKind::Cancelled).copied().unwrap_or_default();
    assert_eq!(summary.read + cancelled, indices.len() as u64);
}

/// A token is looked at between two chunks, not only between two files.
pub fn cancelling_ends_a_file_that_never_would(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let mut file = fs::File::create(tree.path().join("endless")).unwrap();
    file.write_all(b"sleep 20\n").unwrap();
    // At a twentieth of a second for each chunk this would take days.
    file.set_len(1 << 42).unwrap();
    let (cancel, progress) = (CancelToken::new(), Progress::new());
    let job = Job::new(all(tree.path()), Scripted::default()).cancel_token(cancel.clone()).progress(progress.clone());
    let canceller = std::thread::spawn(move || {
        while progress.snapshot().bytes < 1 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        cancel.cancel();
    });
    let (records, summary) = collect(&*subject.scripted, job);
    canceller.join().unwrap();
    let error = of_name(&records, "endless").outcome.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.bytes_read() >= 1 << 20, "{} bytes", error.bytes_read());
    assert_eq!((summary.stopped, summary.bytes), (Some(Stopped::Cancelled), error.bytes_read()));
}

/// While the sink thinks about its first record, the workers do not run through an endless list.
pub fn a_slow_sink_holds_the_workers_back(subject: &Subject) {
    let tree = tree::many(1);
    let path = tree.path().join("000/00000.txt");
    let progress = Progress::new();
    let job = Job::of_paths(std::iter::repeat(path), TextStats::default()).progress(progress.clone());
    let summary = subject.text_stats.read(job, &mut |_| {
        std::thread::sleep(Duration::from_millis(300));
        ControlFlow::Break(())
    });
    assert_eq!(summary.unwrap().stopped, Some(Stopped::Sink));
    let discovered = progress.snapshot().discovered;
    assert!(discovered < 5_000, "{discovered} entries were taken up ahead of the sink");
}

/// The caller's own iterator panics: that is the caller's to see, after what came before it.
pub fn a_panic_of_the_files_iterator_passes_through(subject: &Subject) {
    let tree = tree::of(&[("file", b"content")]);
    let path = tree.path().join("file");
    let files = std::iter::repeat_n(path, 5).map(|path| Ok(FileEntry::new(path)));
    let files = files.chain(std::iter::from_fn(|| panic!("the list is torn")));
    let mut read = 0;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        subject.text_stats.read(Job::new(files, TextStats::default()), &mut |_| {
            read += 1;
            ControlFlow::Continue(())
        })
    }));
    let panic = panic.expect_err("the panic was swallowed");
    assert_eq!(panic.downcast_ref(), Some(&"the list is torn"));
    assert_eq!(read, 5, "what came before the panic is lost");
}
