//! What is particular to two readers in one: who reads what, and what they share.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use polyread_conformance::{Held, Scripted, tree};
use polyread_hybrid::core::{
    Analysis, ByteCount, CancelToken, Contents, Discovery, ErrorKind, FileReader, FileResult, Job, Limits, Progress,
    ReaderError, Records, SequentialReader, Stopped, Summary, TextStats, WorkerId,
};
use polyread_hybrid::{CalibrateError, Config, HybridReader, Trial};
use polyread_rayon::RayonReader;
use polyread_tokio::TokioReader;

fn read<A: Analysis>(reader: &HybridReader<A>, job: Job<A>) -> (Vec<FileResult<A::Output>>, Summary) {
    let mut records = Vec::new();
    let summary = reader.read(job, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    });
    (records, summary.unwrap())
}

fn job<A: Analysis>(root: &Path, analysis: A) -> Job<A> {
    Job::new(Discovery::new(root).walk().unwrap(), analysis)
}

/// A directory of files with these sizes, each named after its own.
fn sized(sizes: &[usize]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for size in sizes {
        fs::write(tree.path().join(size.to_string()), vec![b'x'; *size]).unwrap();
    }
    tree
}

/// Files of either side in turns.
fn both_sides(files: usize) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for index in 0..files {
        fs::write(tree.path().join(index.to_string()), vec![b'x'; index % 2 * 20_000 + 1]).unwrap();
    }
    tree
}

/// Whether the default large side has read the file: each side has workers of its own kind.
fn is_large<T>(record: &FileResult<T>) -> bool {
    record.worker.kind() == "thread"
}

fn count_large<T>(records: &[FileResult<T>]) -> usize {
    records.iter().filter(|record| is_large(record)).count()
}

/// A reader that cannot start.
struct Broken;

impl<A: Analysis> FileReader<A> for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn records(&self, _: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        Err(ReaderError::Start { strategy: "broken", reason: "it never could".to_owned() })
    }
}

/// A reader that ends after its first record.
struct Leaves;

impl<A: Analysis> FileReader<A> for Leaves {
    fn name(&self) -> &'static str {
        "leaves"
    }
    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        job.start().records("leaves", |run| {
            if let Some(batch) = run.next_batch(1) {
                run.worker(WorkerId::new("thread", 0)).read(batch);
            }
        })
    }
}

#[test]
fn the_threshold_is_the_first_size_of_the_large_side() {
    let tree = sized(&[0, 1, 9_999, 10_000, 10_001, 300_000]);
    let expect = |threshold: Option<u64>, large: &[&str]| {
        let reader = threshold
            .map_or_else(HybridReader::new, |bytes| HybridReader::with_config(Config::default().threshold(bytes)));
        let (records, summary) = read(&reader, job(tree.path(), ByteCount::default()));
        assert_eq!((records.len(), summary.read, summary.stopped), (6, 6, None));
        let mut found = Vec::new();
        for record in records {
            let name = record.path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(name, record.outcome.as_ref().unwrap().to_string());
            if is_large(&record) {
                found.push(name);
            }
        }
        found.sort_unstable();
        assert_eq!(found, large, "{threshold:?}");
    };
    expect(None, &["10000", "10001", "300000"]);
    expect(Some(10_001), &["10001", "300000"]);
    expect(Some(0), &["0", "1", "10000", "10001", "300000", "9999"]);
    expect(Some(u64::MAX), &[]);
}

#[test]
fn files_that_say_nothing_of_their_size_stay_on_the_small_side() {
    let path = "/proc/self/smaps";
    let (records, _) = read(&HybridReader::new(), Job::of_paths([path], Contents::default()));
    assert!(records[0].outcome.as_ref().unwrap().len() > 10_000, "not long enough to show anything");
    assert_eq!(records[0].worker.kind(), "task");
}

#[test]
fn a_file_that_grows_after_it_was_opened_stays_where_it_is() {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("grows");
    let mut content = format!("append {}\n", path.display()).into_bytes();
    content.resize(9_999, b'x');
    fs::write(&path, content).unwrap();
    let (records, _) = read(&HybridReader::new(), job(tree.path(), Scripted::default()));
    assert_eq!((records.len(), records[0].worker.kind()), (1, "task"));
}

#[test]
fn open_files_stay_within_the_limit_on_both_sides_together() {
    polyread_conformance::run_alone(|| {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path().canonicalize().unwrap();
        for index in 0..200 {
            let mut content = format!("count {}\n", root.display()).into_bytes();
            content.resize(1_000 + index % 2 * 20_000, b'x');
            fs::write(root.join(index.to_string()), content).unwrap();
        }
        // With one open file there is none to hand over.
        for (most, large) in [(1, 0), (2, 100), (3, 100), (10, 100)] {
            let limits = Limits::default().workers(8).max_open_files(most);
            let (records, _) = read(&HybridReader::new(), job(&root, Scripted::default()).limits(limits));
            assert_eq!(count_large(&records), large, "{most} open files");
            let open = records.into_iter().map(|record| record.outcome.unwrap().open_files).max();
            assert!(open.is_some_and(|open| (1..=most).contains(&open)), "{open:?} files open, not {most}");
        }
    });
}

/// Counts how many files are being read at once.
#[derive(Clone, Default)]
struct AtOnce {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Analysis for AtOnce {
    type Output = ();
    fn update(&mut self, _: &[u8]) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(200));
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
    fn finish(self) {}
}

#[test]
fn each_side_reads_no_more_files_at_once_than_it_has_workers() {
    let tree = both_sides(200);
    for (workers, hops) in [(1, 1), (3, 2)] {
        let tokio = || TokioReader::with_config(polyread_tokio::Config::default().hops_in_flight(hops));
        for reader in [HybridReader::of(tokio(), RayonReader::new()), HybridReader::of(RayonReader::new(), tokio())] {
            let seen = AtOnce::default();
            let job = job(tree.path(), seen.clone()).limits(Limits::default().workers(workers));
            assert_eq!(read(&reader, job).1.read, 200);
            let most = seen.most.load(Ordering::SeqCst);
            assert!((1..=workers + hops).contains(&most), "{most} at once, with {workers} threads and {hops} hops");
        }
    }
}

#[test]
fn bytes_in_flight_hold_on_both_sides_together() {
    polyread_conformance::run(|| {
        let tree = tempfile::tempdir().unwrap();
        for index in 0..60 {
            fs::write(tree.path().join(index.to_string()), vec![b'x'; 5_000 + index % 2 * 10_000]).unwrap();
        }
        let held = Held::default();
        let job = job(tree.path(), held.clone()).limits(Limits::default().workers(4).bytes_in_flight(40_000));
        let mut sides = BTreeMap::new();
        let summary = HybridReader::new().read(job, &mut |record| {
            std::thread::sleep(Duration::from_millis(1));
            *sides.entry(is_large(&record)).or_insert(0) += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(summary.unwrap().read, 60);
        assert_eq!(sides, BTreeMap::from([(false, 30), (true, 30)]));
        assert!(held.most() <= 40_000, "{} bytes were alive at once", held.most());
    });
}

#[test]
fn a_small_side_that_cannot_start_is_the_error_of_the_run() {
    let tree = sized(&[1, 20_000]);
    let reader = HybridReader::of(Broken, RayonReader::new());
    let error = reader.read(job(tree.path(), ByteCount::default()), &mut |_| panic!("a record"));
    assert!(matches!(error, Err(ReaderError::Start { strategy: "broken", .. })), "{error:?}");
    assert!(reader.records(job(tree.path(), ByteCount::default())).is_err());
}

#[test]
fn without_a_large_side_everything_is_read_all_the_same() {
    let tree = both_sides(100);
    let (records, summary) =
        read(&HybridReader::of(TokioReader::new(), Broken), job(tree.path(), ByteCount::default()));
    assert_eq!((records.len(), summary.read, summary.stopped), (100, 100, None));
}

#[cfg(target_os = "linux")]
#[test]
fn the_large_side_is_not_started_for_nothing() {
    polyread_conformance::run_alone(|| {
        let threads = || {
            let tasks = fs::read_dir("/proc/self/task").unwrap();
            let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
            names.filter(|name| name.starts_with("polyread-rayon")).count()
        };
        // More than may wait for a consumer, so that the run is not over before it is looked at.
        for (tree, has_large) in [(tree::many(4_000), false), (both_sides(4_000), true)] {
            let limits = Limits::default().workers(2);
            let records = HybridReader::new().records(job(tree.path(), ByteCount::default()).limits(limits)).unwrap();
            let seen = records.step_by(100).map(|_| threads()).max().unwrap();
            assert_eq!(seen > 0, has_large, "{seen} threads of the large side");
        }
    });
}

#[test]
fn a_large_side_that_leaves_loses_nothing() {
    polyread_conformance::run(|| {
        let tree = both_sides(1_000);
        for workers in [1, 4] {
            let job = job(tree.path(), ByteCount::default()).limits(Limits::default().workers(workers));
            let (records, summary) = read(&HybridReader::of(TokioReader::new(), Leaves), job);
            assert_eq!((records.len(), summary.read, summary.stopped), (1_000, 1_000, None));
        }
    });
}

#[test]
fn cancelling_gives_each_file_on_its_way_its_record() {
    polyread_conformance::run(|| {
        let tree = both_sides(2);
        let path = tree.path().join("1");
        for most_open in [1, 200] {
            let (cancel, progress) = (CancelToken::new(), Progress::new());
            // Without an end, and slow: files queue up for the large side.
            let job = Job::of_paths(std::iter::repeat(path.clone()), AtOnce::default())
                .limits(Limits::default().workers(4).max_open_files(most_open))
                .cancel_token(cancel.clone())
                .progress(progress.clone());
            let mut indices = Vec::new();
            let summary = HybridReader::new().read(job, &mut |record| {
                indices.push(record.index);
                if indices.len() == 20 {
                    cancel.cancel();
                }
                ControlFlow::Continue(())
            });
            let summary = summary.unwrap();
            indices.sort_unstable();
            assert_eq!(indices, (0..progress.snapshot().discovered).collect::<Vec<_>>());
            let cancelled = summary.errors.get(&ErrorKind::Cancelled).copied().unwrap_or_default();
            assert_eq!((summary.read + cancelled, summary.stopped), (indices.len() as u64, Some(Stopped::Cancelled)));
        }
    });
}

#[test]
fn progress_counts_each_file_and_each_byte_once() {
    let tree = both_sides(100);
    let progress = Progress::new();
    let (_, summary) = read(&HybridReader::new(), job(tree.path(), TextStats::default()).progress(progress.clone()));
    let seen = progress.snapshot();
    assert_eq!((seen.discovered, seen.read, seen.failed, seen.bytes), (100, 100, 0, summary.bytes));
    assert_eq!(summary.bytes, 100 + 50 * 20_000);
}

#[test]
fn hybrids_nest() {
    polyread_conformance::run(|| {
        let tree = sized(&[0, 10, 100, 1_000, 20_000]);
        let inner = || HybridReader::new().with_threshold(50);
        for reader in [
            HybridReader::of(inner(), RayonReader::new()),
            HybridReader::of(TokioReader::new(), inner()),
            HybridReader::of(inner(), inner()),
        ] {
            for workers in [1, 2] {
                let job = job(tree.path(), ByteCount::default()).limits(Limits::default().workers(workers));
                let (records, summary) = read(&reader, job);
                assert_eq!((records.len(), summary.read, summary.stopped), (5, 5, None));
            }
        }
    });
}

#[test]
fn a_sequential_side_is_one_too() {
    polyread_conformance::run(|| {
        let tree = both_sides(300);
        for workers in [1, 2] {
            let reader = HybridReader::of(SequentialReader::new(), SequentialReader::new());
            let job = job(tree.path(), ByteCount::default()).limits(Limits::default().workers(workers));
            let (records, summary) = read(&reader, job);
            assert_eq!((records.len(), summary.read, summary.stopped), (300, 300, None));
        }
    });
}

/// Hangs without looking at the clock, as a read call in the kernel does.
#[derive(Clone, Default)]
struct Hangs;

impl Analysis for Hangs {
    type Output = ();
    fn update(&mut self, chunk: &[u8]) {
        if chunk.starts_with(b"hang") {
            std::thread::sleep(Duration::from_secs(20));
        }
    }
    fn finish(self) {}
}

#[test]
fn an_abandoned_file_gives_its_place_to_the_others() {
    polyread_conformance::run(|| {
        let tree = both_sides(100);
        for index in [2, 4, 6, 8] {
            fs::write(tree.path().join(index.to_string()), "hang").unwrap();
        }
        // Fewer workers than files that hang.
        let limits = Limits::default().workers(2).timeout(Duration::from_millis(100));
        let (records, summary) = read(&HybridReader::new(), job(tree.path(), Hangs).limits(limits));
        assert_eq!((records.len(), summary.read), (100, 96));
        assert_eq!(summary.errors, BTreeMap::from([(ErrorKind::Timeout, 4)]));
    });
}

#[test]
fn calibration_tries_what_tells_and_keeps_its_bounds() {
    polyread_conformance::run(|| {
        let tree = both_sides(60);
        let files = || Discovery::new(tree.path()).walk().unwrap().sorted();
        let reader = HybridReader::new();
        let calibrate = |trial: &Trial| reader.calibrate(files(), &TextStats::default(), trial);

        let found = calibrate(&Trial::default().time(Duration::from_secs(100))).unwrap();
        assert_eq!((found.files, found.bytes), (60, 60 + 30 * 20_000));
        let tried: Vec<_> = found.measurements.iter().map(|measured| measured.threshold).collect();
        assert_eq!(tried, [0, 10_000, 64 << 10]);
        assert!(tried.contains(&found.threshold));
        assert!(found.measurements.iter().all(|measured| measured.samples.contains(&measured.median)));

        let few = calibrate(&Trial::default().files(7).time(Duration::from_secs(100))).unwrap();
        assert_eq!(few.files, 7);
        let light = calibrate(&Trial::default().bytes(10_000).time(Duration::from_secs(100))).unwrap();
        assert!(light.bytes <= 10_000 && light.files > 0);
        assert_eq!(light.measurements.len(), 2, "nothing is left that is large");

        assert!(matches!(calibrate(&Trial::default().time(Duration::ZERO)), Err(CalibrateError::OutOfTime)));
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(matches!(calibrate(&Trial::default().cancel_token(cancel)), Err(CalibrateError::Cancelled)));
        let nothing = reader.calibrate([], &TextStats::default(), &Trial::default());
        assert!(matches!(nothing, Err(CalibrateError::NothingToRead)));
        let broken = HybridReader::of(Broken, RayonReader::new());
        let broken = broken.calibrate(files(), &TextStats::default(), &Trial::default());
        assert!(matches!(broken, Err(CalibrateError::Reader(ReaderError::Start { strategy: "broken", .. }))));
    });
}

#[test]
fn a_tree_of_many_files_goes_through_narrow_limits() {
    polyread_conformance::run(|| {
        let tree = tree::many(2_000);
        for limits in [Limits::default().workers(1), Limits::default().workers(3).bytes_in_flight(60)] {
            for threshold in [0, 18, 19] {
                let reader = HybridReader::new().with_threshold(threshold);
                let job = job(tree.path(), Contents::default()).limits(limits.clone());
                assert_eq!(read(&reader, job).1.read, 2_000);
            }
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn every_file_is_opened_once_and_closed_once() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

    let tree = both_sides(100);
    let files: Vec<_> = Discovery::new(tree.path()).walk().unwrap().sorted().collect();
    let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    add_watch(&watch, tree.path(), WatchFlags::OPEN | WatchFlags::CLOSE_NOWRITE).unwrap();
    assert_eq!(read(&HybridReader::new(), Job::new(files, ByteCount::default())).1.read, 100);

    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watch, &mut buffer);
    while let Ok(event) = events.next() {
        let Some(name) = event.file_name() else { continue };
        let (opened, closed) = seen.entry(name.to_str().unwrap().to_owned()).or_default();
        *opened += usize::from(event.events().contains(ReadFlags::OPEN));
        *closed += usize::from(event.events().contains(ReadFlags::CLOSE_NOWRITE));
    }
    assert_eq!(seen.len(), 100);
    assert!(seen.values().all(|counts| *counts == (1, 1)), "{seen:?}");
}

#[test]
fn nested_hybrids_route_by_each_threshold() {
    polyread_conformance::run(|| {
        let tree = sized(&[10, 1_000, 20_000, 100_000]);
        let sizes_on = |reader: &HybridReader<ByteCount>, wanted: fn(&FileResult<u64>) -> bool| {
            let (records, _) = read(reader, job(tree.path(), ByteCount::default()));
            let mut sizes: Vec<u64> = records.iter().filter(|r| wanted(r)).map(|r| r.bytes).collect();
            sizes.sort_unstable();
            sizes
        };
        // Inside of the small side: what is large to the outer one leaves it.
        for inner in [50, 50_000] {
            let small = HybridReader::of(TokioReader::new(), TokioReader::new()).with_threshold(inner);
            let outer = HybridReader::of(small, RayonReader::new());
            assert_eq!(sizes_on(&outer, is_large), [20_000, 100_000], "{inner}");
        }
        // Inside of the large side: its own threshold holds.
        let large: Box<dyn FileReader<ByteCount>> = Box::new(HybridReader::new().with_threshold(50_000));
        let outer = HybridReader::of(TokioReader::new(), large);
        assert_eq!(sizes_on(&outer, is_large), [100_000]);
    });
}
