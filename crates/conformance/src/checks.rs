//! What every reader must show. Each function panics when the reader does not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use polyread_core::{
    Analysis, CancelToken, Contents, Discovery, ErrorKind, FileEntry, FileReader, FileResult, Job, Limits, Operation,
    Progress, ReadError, SequentialReader, Stopped, Summary, Text, TextStats,
};

use crate::{Held, Scripted, Subject, tree};

/// All files below a directory, in a fixed order.
fn all(root: &Path) -> std::vec::IntoIter<Result<FileEntry, ReadError>> {
    Discovery::new(root).walk().unwrap().sorted()
}

/// Runs a job to its end and collects its records.
fn collect<A: Analysis>(reader: &dyn FileReader<A>, job: Job<A>) -> (Vec<FileResult<A::Output>>, Summary) {
    let mut records = Vec::new();
    let summary = reader.read(job, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    });
    (records, summary.unwrap())
}

/// The one record of the file with this name.
fn of_name<'a, T>(records: &'a [FileResult<T>], name: &str) -> &'a FileResult<T> {
    let mut found = records.iter().filter(|record| record.path.ends_with(name));
    let record = found.next().unwrap_or_else(|| panic!("no record of {name}"));
    assert!(found.next().is_none(), "two records of {name}");
    record
}

fn kind<T>(record: &FileResult<T>) -> Option<ErrorKind> {
    record.outcome.as_ref().err().map(ReadError::kind)
}

/// What must be equal in two readers' records of a file.
type Told<T> = Result<(T, u64), (ErrorKind, Operation, u64)>;

fn told<T>(records: Vec<FileResult<T>>) -> BTreeMap<PathBuf, Told<T>> {
    let count = records.len();
    let told: BTreeMap<_, _> = records
        .into_iter()
        .map(|FileResult { path, outcome, bytes, .. }| {
            let told = match outcome {
                Ok(output) => Ok((output, bytes)),
                Err(error) => {
                    assert_eq!(error.path(), path);
                    Err((error.kind(), error.operation(), error.bytes_read()))
                }
            };
            (path, told)
        })
        .collect();
    assert_eq!(told.len(), count, "a path has two records");
    told
}

fn compare_on_hostile_tree(subject: &Subject, follow: bool) -> BTreeMap<PathBuf, Told<polyread_core::TextCounts>> {
    let tree = tree::hostile();
    let bite = tree::drop_privileges();
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
    assert!(records.values().any(|told| matches!(told, Err((ErrorKind::NameTooLong, ..)))));
    let name = |(path, told): (&PathBuf, &Told<_>)| (path.strip_prefix(tree.path()).unwrap().to_owned(), *told);
    records.iter().map(name).collect()
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

/// Growing and shrinking under the reader's hands.
pub fn files_that_change_while_they_are_read_fail_as_changed(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let write = |name: &str, command: &str| {
        let path = tree.path().join(name);
        let mut content = format!("{command} {}\n", path.display()).into_bytes();
        content.resize(600_000, b'x');
        fs::write(path, content).unwrap();
    };
    write("grows", "append");
    write("shrinks", "truncate");
    write("stays", "leave");
    let (records, _) = collect(&*subject.scripted, Job::new(all(tree.path()), Scripted::default()));
    for name in ["grows", "shrinks"] {
        let record = of_name(&records, name);
        assert_eq!(kind(record), Some(ErrorKind::Changed), "{name}");
        assert!(record.bytes >= 256 * 1024, "{name}: {} bytes", record.bytes);
    }
    assert_eq!(of_name(&records, "stays").outcome.as_ref().unwrap().bytes, 600_000);
}

/// Deleted, replaced by a FIFO, replaced by a link that leads out, below a directory that was: between walk and open.
pub fn files_that_change_before_they_are_opened_are_told_apart(subject: &Subject) {
    let outside = tree::of(&[("canary", b"outside of the root"), ("swapped", b"outside of the root")]);
    let tree = tree::of(&[("gone", b""), ("fifo", b""), ("link", b""), ("directory", b""), ("kept", b"kept")]);
    let root = tree.path();
    fs::create_dir(root.join("parent")).unwrap();
    fs::write(root.join("parent/swapped"), b"inside").unwrap();
    let files: Vec<_> = all(root).chain([Ok(FileEntry::new(root.join("never was")))]).collect();
    for name in ["gone", "fifo", "link", "directory"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::symlink(outside.path().join("canary"), root.join("link")).unwrap();
    fs::create_dir(root.join("directory")).unwrap();
    fs::rename(root.join("parent"), root.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("parent")).unwrap();

    let progress = Progress::new();
    let job = Job::new(files, Contents::default()).progress(progress.clone());
    let (records, summary) = collect(&*subject.contents, job);
    assert_eq!((progress.snapshot().failed, progress.snapshot().skipped), (2, 4));
    let kind_of = |name: &str| kind(of_name(&records, name));
    assert_eq!(kind_of("gone"), Some(ErrorKind::Vanished));
    assert_eq!(kind_of("fifo"), Some(ErrorKind::NotRegular));
    assert_eq!(kind_of("directory"), Some(ErrorKind::NotRegular));
    assert_eq!(kind_of("link"), Some(ErrorKind::SymbolicLink));
    assert_eq!(kind_of("swapped"), Some(ErrorKind::EscapesRoot));
    assert_eq!(kind_of("never was"), Some(ErrorKind::NotFound));
    assert_eq!((summary.read, summary.failed(), summary.skipped()), (1, 2, 4));
}

/// `/proc` says 0, `/sys` says 4096: neither is the truth.
pub fn files_without_an_honest_size_are_read_to_their_end(subject: &Subject) {
    let paths = ["/proc/self/mountinfo", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"];
    let paths: Vec<_> = paths.into_iter().filter(|path| Path::new(path).exists()).collect();
    let (records, summary) = collect(&*subject.contents, Job::of_paths(paths.clone(), Contents::default()));
    assert_eq!(summary.read, paths.len() as u64, "{records:?}");
    for record in records {
        assert_eq!(record.outcome.unwrap(), fs::read(&record.path).unwrap(), "{}", record.path.display());
    }
}

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

/// Descriptors and threads of this process.
fn resources() -> (usize, usize) {
    let count = |directory| fs::read_dir(directory).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// Waits until the process has no more than it had before: threads end a moment after they were told to.
fn assert_nothing_leaked(before: (usize, usize)) {
    for _ in 0..2_000 {
        let now = resources();
        if now.0 <= before.0 && now.1 <= before.1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("descriptors and threads before: {before:?}, now: {:?}", resources());
}

/// A sink that panics in the middle of a run.
pub fn a_panicking_sink_leaks_nothing(subject: &Subject) {
    let tree = tree::many(500);
    let before = resources();
    for _ in 0..20 {
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
        let run = catch_unwind(AssertUnwindSafe(|| {
            subject.text_stats.read(job, &mut |record| {
                if record.index == 100 { panic!("the sink is full") } else { ControlFlow::Continue(()) }
            })
        }));
        assert_eq!(run.expect_err("the panic was swallowed").downcast_ref(), Some(&"the sink is full"));
    }
    assert_nothing_leaked(before);
}

/// Runs to the end, and runs that were stopped.
pub fn finished_runs_leak_nothing(subject: &Subject) {
    let tree = tree::many(300);
    let before = resources();
    for round in 0..20 {
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
        let summary = subject.text_stats.read(job, &mut |record| {
            if round % 2 == 1 && record.index == 50 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(summary.unwrap().stopped, (round % 2 == 1).then_some(Stopped::Sink));
        assert_nothing_leaked(before);
    }
}

/// Streams and iterators that are dropped after one record.
pub fn dropping_half_way_leaks_nothing(mut half_way: impl FnMut(Job<TextStats>)) {
    let tree = tree::many(1_000);
    let before = resources();
    for round in 0..300 {
        // In turns a walk, and a list without an end, which would go on for ever if it were not told to stop.
        half_way(if round % 2 == 0 {
            Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default())
        } else {
            Job::of_paths(std::iter::repeat(tree.path().join("000/00000.txt")), TextStats::default())
        });
    }
    assert_nothing_leaked(before);
}
