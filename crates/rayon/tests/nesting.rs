//! A pool inside of a pool: whoever calls, and whatever the analysis does, nothing waits for itself.

use polyread_rayon::RayonReader;
use polyread_rayon::core::{Analysis, Discovery, Job, Limits, TextStats};

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
