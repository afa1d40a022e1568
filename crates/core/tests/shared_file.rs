//! One large file and several workers: the result is that of one worker alone.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Duration;

use polyread_core::reader::{Entry, LargeFile, Run, Scanned, Worker};
use polyread_core::{
    Analysis, Combine, Contents, Discovery, ErrorKind, FileEntry, FileResult, Job, Limits, Parts, TextStats, WorkerId,
};
use tempfile::NamedTempFile;

const RANGE: usize = 2 << 20;

fn text(size: usize) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let text = "Wörter, слова, 單詞　and\r\n words\u{2028}".as_bytes();
    fs::write(file.path(), text.iter().copied().cycle().take(size).collect::<Vec<_>>()).unwrap();
    file
}

fn run<A: Analysis>(analysis: A, limits: Limits) -> Run<A> {
    Job::of_paths(Vec::<String>::new(), analysis).limits(limits).start()
}

fn worker<A: Analysis>(run: &Run<A>) -> Worker<A> {
    run.worker(WorkerId::new("thread", 0))
}

fn scan<A: Analysis>(worker: &mut Worker<A>, file: &NamedTempFile) -> Scanned<A::Output> {
    worker.scan(Entry::new(0, Ok(FileEntry::new(file.path()))))
}

fn large<A: Analysis>(worker: &mut Worker<A>, file: &NamedTempFile) -> LargeFile {
    match scan(worker, file) {
        Scanned::Large(file) => file,
        Scanned::Done(_) => panic!("it is not large"),
    }
}

fn alone<A: Analysis>(run: &Run<A>, file: &NamedTempFile) -> FileResult<A::Output> {
    let mut worker = worker(run);
    let file = large(&mut worker, file);
    worker.read_large(file)
}

#[test]
fn whoever_reads_which_range_the_counts_are_the_same() {
    for size in [4 * RANGE, 4 * RANGE + 1, 5 * RANGE - 1, 5 * RANGE] {
        let file = text(size);
        let run = run(TextStats::default(), Limits::default());
        let expected = alone(&run, &file).outcome.unwrap();
        assert_eq!(expected.bytes, size as u64);
        for ranges in [0, 1, 2, 4, 100] {
            let (mut owner, mut helper) = (worker(&run), worker(&run));
            let shared = large(&mut owner, &file);
            let shared = owner.share(shared).unwrap();
            // It comes first, and leaves after so many ranges.
            let mut left = ranges + 1;
            helper.read_ranges(&shared, &mut || {
                left -= 1;
                left > 0
            });
            owner.read_ranges(&shared, &mut || true);
            let record = owner.conclude(&shared, &|| {});
            assert_eq!(record.outcome.unwrap(), expected, "{size} bytes, {ranges} ranges");
            assert_eq!(record.bytes, size as u64);
        }
    }
}

#[test]
fn threads_that_come_and_go_change_nothing() {
    let file = text(9 * RANGE + 7);
    let run = run(TextStats::default(), Limits::default());
    let expected = alone(&run, &file).outcome.unwrap();
    for _ in 0..20 {
        let mut owner = worker(&run);
        let shared = large(&mut owner, &file);
        let shared = owner.share(shared).unwrap();
        let record = scope(|scope| {
            owner.read_ranges(&shared, &mut || {
                scope.spawn(|| worker(&run).read_ranges(&shared, &mut || true));
                true
            });
            owner.conclude(&shared, &|| {})
        });
        assert_eq!(record.outcome.unwrap(), expected);
    }
}

#[test]
fn some_files_are_read_by_one_worker() {
    let file = text(4 * RANGE);
    let counting = run(TextStats::default(), Limits::default());
    assert!(matches!(scan(&mut worker(&counting), &text(4 * RANGE - 1)), Scanned::Done(_)));

    // Under a time limit a file that hangs costs one worker, and not all.
    let limited = run(TextStats::default(), Limits::default().timeout(Duration::from_secs(60)));
    let keeping = run(Contents::default(), Limits::default());
    fn refused<A: Analysis>(run: &Run<A>, file: &NamedTempFile) -> FileResult<A::Output> {
        let mut worker = worker(run);
        let file = large(&mut worker, file);
        let Err(file) = worker.share(file) else { panic!("it was shared") };
        worker.read_large(file)
    }
    assert_eq!(refused(&limited, &file).outcome.unwrap().bytes, 4 * RANGE as u64);
    assert!(refused(&keeping, &file).outcome.unwrap() == fs::read(file.path()).unwrap());
}

#[test]
fn another_worker_reads_a_large_file_from_its_beginning() {
    let file = text(4 * RANGE);
    let run = run(TextStats::default(), Limits::default());
    let expected = alone(&run, &file).outcome.unwrap();
    let (mut finder, mut reader) = (worker(&run), worker(&run));
    let found = large(&mut finder, &file);
    assert_eq!((found.path(), found.version().size), (file.path(), 4 * RANGE as u64));
    let Scanned::Large(found) = reader.scan(Entry::from(found)) else { panic!("it is large to all") };
    assert_eq!(reader.read_large(found).outcome.unwrap(), expected);
}

#[test]
fn a_worker_may_help_with_another_file_before_it_reads_its_own() {
    let tree = tempfile::tempdir().unwrap();
    let text = fs::read(text(4 * RANGE).path()).unwrap();
    fs::write(tree.path().join("own"), &text).unwrap();
    fs::write(tree.path().join("other"), vec![b' '; 4 * RANGE]).unwrap();
    let walk = Discovery::new(tree.path()).walk().unwrap().sorted();
    let run = Job::new(walk, TextStats::default()).start();
    let (mut worker, mut owner) = (worker(&run), worker(&run));
    let mut large = run.next_batch(2).unwrap().into_iter().map(|entry| match worker.scan(entry) {
        Scanned::Large(file) => file,
        Scanned::Done(_) => panic!("it is not large"),
    });
    let (other, own) = (large.next().unwrap(), large.next().unwrap());
    drop(large);
    let shared = owner.share(other).unwrap();
    worker.read_ranges(&shared, &mut || true);
    assert_eq!(owner.conclude(&shared, &|| {}).outcome.unwrap().words, 0);
    let expected = polyread_core::internals::text_counts(&text);
    assert_eq!(worker.read_large(own).outcome.unwrap(), expected);
}

#[test]
fn a_file_that_shrinks_or_grows_while_it_is_shared_has_changed() {
    let run = run(TextStats::default(), Limits::default());
    for size in [RANGE, 5 * RANGE] {
        let file = text(4 * RANGE);
        let mut owner = worker(&run);
        let shared = large(&mut owner, &file);
        let shared = owner.share(shared).unwrap();
        file.as_file().set_len(size as u64).unwrap();
        owner.read_ranges(&shared, &mut || true);
        assert!(!shared.is_unchanged());
        let error = owner.conclude(&shared, &|| {}).outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
    }
}

#[test]
fn a_part_of_a_file_has_a_state_of_its_own() {
    let file = text(5 * RANGE);
    let run = run(TextStats::default(), Limits::default());
    let expected = alone(&run, &file).outcome.unwrap();
    let parts = TextStats::parts().unwrap();
    let cut = 3 * RANGE as u64 + 1;
    let mut states = [0..cut, cut..5 * RANGE as u64].map(|range| {
        let mut worker = worker(&run);
        let found = large(&mut worker, &file);
        let part = worker.share_part(found, range.clone()).unwrap();
        worker.read_ranges(&part, &mut || true);
        assert_eq!(part.bytes(), range.end - range.start);
        part.seen(&|| {}).unwrap()
    });
    let (mut early, late) = (states[0].take().unwrap(), states[1].take().unwrap());
    parts.combine(&mut early, late);
    assert_eq!(early.finish(), expected);
}

/// Clones that panic from the third on.
#[derive(Debug, Default)]
struct Fragile(Arc<AtomicUsize>, u64);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < 3, "no more clones");
        Self(Arc::clone(&self.0), self.1)
    }
}

impl Analysis for Fragile {
    type Output = u64;
    fn update(&mut self, chunk: &[u8]) {
        self.1 += chunk.len() as u64;
    }
    fn finish(self) -> u64 {
        self.1
    }
    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for Fragile {
    fn begin_part(&mut self) {}
    fn combine(&mut self, later: Self) {
        self.1 += later.1;
    }
}

#[test]
fn a_panic_of_a_helper_is_the_file_s_failure_or_nobody_s() {
    for clones in 0..5 {
        let run = run(Fragile(Arc::new(AtomicUsize::new(clones)), 0), Limits::default());
        let file = text(5 * RANGE);
        let (mut owner, mut helper) = (worker(&run), worker(&run));
        let record = match scan(&mut owner, &file) {
            Scanned::Done(record) => record,
            Scanned::Large(file) => match owner.share(file) {
                Ok(shared) => {
                    let mut left = 2;
                    helper.read_ranges(&shared, &mut || {
                        left -= 1;
                        left > 0
                    });
                    owner.read_ranges(&shared, &mut || true);
                    owner.conclude(&shared, &|| {})
                }
                Err(file) => owner.read_large(file),
            },
        };
        match record.outcome {
            Ok(bytes) => assert_eq!(bytes, 5 * RANGE as u64),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Panicked),
        }
    }
}
