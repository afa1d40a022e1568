//! One large file and several workers: what comes out is what one of them alone would have seen.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;

use polyread_core::{
    Analysis, Colleagues, Combine, Context, Division, Entry, ErrorKind, FileEntry, FileResult, FileScanner, Job,
    Limits, Parts, TextStats, WorkerId,
};
use tempfile::NamedTempFile;

const RANGE: usize = 2 << 20;

fn text(size: usize) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let text = "Wörter, слова, 單詞　and\r\n words\u{2028}".as_bytes();
    fs::write(file.path(), text.iter().copied().cycle().take(size).collect::<Vec<_>>()).unwrap();
    file
}

fn context<A: Analysis>(analysis: A, limits: Limits) -> Context<A> {
    Job::of_paths(Vec::<String>::new(), analysis).limits(limits).start().context
}

fn scan<A: Analysis>(
    context: &Context<A>,
    file: &NamedTempFile,
    colleagues: Option<&mut dyn Colleagues<A>>,
) -> Option<FileResult<A::Output>> {
    let entry = Entry { index: 0, found: Ok(FileEntry::new(file.path())) };
    context.scanner().scan_with(entry, WorkerId::Thread(0), &mut |_| {}, colleagues)
}

/// One who takes so many ranges at the first offer, before the owner has taken one.
struct Eager<A: Analysis> {
    scanner: FileScanner<A>,
    ranges: usize,
    offers: usize,
}

impl<A: Analysis> Colleagues<A> for Eager<A> {
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
        self.offers += 1;
        if self.offers == 1 {
            let mut left = self.ranges;
            self.scanner.help(division, &mut || {
                left = left.saturating_sub(1);
                left > 0
            });
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn whoever_reads_which_range_the_counts_are_the_same() {
    for size in [4 * RANGE, 4 * RANGE + 1, 5 * RANGE - 1, 5 * RANGE] {
        let file = text(size);
        let context = context(TextStats::default(), Limits::default());
        let alone = scan(&context, &file, None).unwrap().outcome.unwrap();
        for ranges in [1, 2, 4, 100] {
            let mut eager = Eager { scanner: context.scanner(), ranges, offers: 0 };
            let together = scan(&context, &file, Some(&mut eager)).unwrap();
            assert_eq!(together.outcome.unwrap(), alone, "{size} bytes, {ranges} ranges");
            assert_eq!(together.bytes, size as u64);
            assert!(eager.offers > 0);
        }
    }
}

/// Threads that come at any time and take what they get.
struct Threads<'scope, 'env, A: Analysis>(&'scope std::thread::Scope<'scope, 'env>, &'env Context<A>);

impl<'scope, A: Analysis> Colleagues<A> for Threads<'scope, '_, A> {
    fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
        let (mut scanner, division) = (self.1.scanner(), Arc::clone(division));
        self.0.spawn(move || scanner.help(&division, &mut || true));
        ControlFlow::Continue(())
    }
}

#[test]
fn threads_that_come_and_go_change_nothing() {
    let file = text(9 * RANGE + 7);
    let context = context(TextStats::default(), Limits::default());
    let alone = scan(&context, &file, None).unwrap().outcome.unwrap();
    for _ in 0..20 {
        let record = scope(|scope| scan(&context, &file, Some(&mut Threads(scope, &context)))).unwrap();
        assert_eq!(record.outcome.unwrap(), alone);
    }
}

#[test]
fn what_is_taken_over_has_no_record_and_small_files_are_not_offered() {
    struct Takes(usize);
    impl<A: Analysis> Colleagues<A> for Takes {
        fn offer(&mut self, division: &Arc<Division<A>>) -> ControlFlow<()> {
            self.0 += 1;
            assert_eq!(division.promise().size, 4 * RANGE as u64);
            ControlFlow::Break(())
        }
    }
    let mut takes = Takes(0);
    let free = context(TextStats::default(), Limits::default());
    assert!(scan(&free, &text(4 * RANGE), Some(&mut takes)).is_none());
    assert!(scan(&free, &text(4 * RANGE - 1), Some(&mut takes)).is_some());
    // Under a time limit what hangs costs one worker, and not all.
    let limited = context(TextStats::default(), Limits::default().timeout(std::time::Duration::from_secs(60)));
    assert!(scan(&limited, &text(4 * RANGE), Some(&mut takes)).is_some());
    assert_eq!(takes.0, 1);
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
fn a_panic_at_a_helper_s_is_the_file_s_failure_or_nobody_s() {
    for clones in 0..5 {
        let context = context(Fragile(Arc::new(AtomicUsize::new(clones)), 0), Limits::default());
        let file = text(5 * RANGE);
        let mut eager = Eager { scanner: context.scanner(), ranges: 2, offers: 0 };
        let record = scan(&context, &file, Some(&mut eager)).unwrap();
        match record.outcome {
            Ok(bytes) => assert_eq!(bytes, 5 * RANGE as u64),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Panicked),
        }
    }
}
