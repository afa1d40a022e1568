//! A pool inside of a pool: whoever calls, and whatever the analysis does, nothing waits for itself.

use polyread_rayon::RayonReader;
use polyread_rayon::core::{Analysis, Combine, Discovery, Job, Limits, Parts, TextStats};

/// Uses the pool that it runs in, so that a thread in the middle of a file may steal another file; and holds room, which
/// the stolen one may have to wait for.
#[derive(Clone, Default)]
struct UsesRayon(u64);

impl Analysis for UsesRayon {
    type Output = u64;
    fn update(&mut self, chunk: &[u8]) {
        let (left, right) = chunk.split_at(chunk.len() / 2);
        let sum = |half: &[u8]| half.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        for _ in 0..20 {
            let (left, right) = rayon::join(|| sum(left), || sum(right));
            self.0 = left + right;
        }
    }
    fn finish(self) -> u64 {
        self.0
    }
    fn retains(&self, size: u64) -> u64 {
        size
    }
}

#[test]
fn calls_from_inside_of_other_pools_come_to_an_end() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(400);
        let read = || {
            let files = Discovery::new(tree.path()).walk().unwrap();
            RayonReader::new().records(Job::new(files, TextStats::default())).unwrap().count()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(read), 400);
        let (left, right) = rayon::join(read, read);
        assert_eq!((left, right), (400, 400));
    });
}

#[test]
fn an_analysis_that_uses_rayon_does_not_wait_for_itself() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(2_000);
        let files = Discovery::new(tree.path()).walk().unwrap();
        let job = Job::new(files, UsesRayon::default()).limits(Limits::default().workers(3).bytes_in_flight(50));
        let records = RayonReader::new().records(job).unwrap();
        assert_eq!(records.filter(|record| *record.outcome.as_ref().unwrap() > 0).count(), 2_000);
    });
}

#[test]
fn threads_are_no_more_than_the_limits_allow() {
    let tree = polyread_conformance::tree::many(1_000);
    for (limits, most) in [
        (Limits::default().workers(3), 3),
        (Limits::default().workers(8).max_open_files(2), 2),
        (Limits::default().workers(1), 1),
    ] {
        let files = Discovery::new(tree.path()).walk().unwrap();
        let records = RayonReader::new().records(Job::new(files, TextStats::default()).limits(limits)).unwrap();
        let workers: std::collections::BTreeSet<_> = records.map(|record| record.worker).collect();
        assert!((1..=most).contains(&workers.len()), "{workers:?}");
    }
}

/// Has every thread of the pool do its share, also the one that waits for the others at the end of a large file.
#[derive(Clone, Default)]
struct Broadcasts(u64);

impl Analysis for Broadcasts {
    type Output = u64;
    fn update(&mut self, chunk: &[u8]) {
        rayon::broadcast(|_| ());
        self.0 += chunk.len() as u64;
    }
    fn finish(self) -> u64 {
        self.0
    }
    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for Broadcasts {
    fn begin_part(&mut self) {}
    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }
}

#[test]
fn threads_that_share_a_file_can_be_asked_for_something_else() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::large();
        for _ in 0..5 {
            let files = Discovery::new(tree.path()).walk().unwrap();
            let job = Job::new(files, Broadcasts::default()).limits(Limits::default().workers(2));
            let records = RayonReader::new().records(job).unwrap();
            assert!(records.map(|record| (record.bytes, record.outcome.unwrap())).all(|(bytes, seen)| bytes == seen));
        }
    });
}
