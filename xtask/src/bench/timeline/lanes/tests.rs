//! What becomes of the records of a run: nothing is lost, and nothing is counted twice.

use std::time::Duration;

use polyread_core::{ErrorKind, Operation, ReadError};
use proptest::prelude::*;

use super::*;

const OWN: u32 = 7;
const BEGUN: u64 = 1_000_000;

fn thread(id: u32) -> Thread {
    Thread { process: OWN, id }
}

/// The record of a file with these stretches: thread, begin and end since the run began, bytes.
fn record(path: &str, worker: WorkerId, stretches: &[(u32, u64, u64, u64)]) -> FileResult<((), Vec<Stretch>)> {
    let stretch = |&(id, begin, end, bytes): &(u32, u64, u64, u64)| Stretch {
        thread: thread(id),
        free_ns: 0,
        begin_ns: BEGUN + begin,
        end_ns: BEGUN + end,
        bytes,
    };
    let outcome = Ok(((), stretches.iter().map(stretch).collect()));
    let mut record = FileResult::new(0, Path::new("/root").join(path), outcome, worker);
    record.bytes = stretches.iter().map(|(.., bytes)| bytes).sum();
    record
}

fn lanes(records: Vec<FileResult<((), Vec<Stretch>)>>, elapsed_ns: u64) -> (Vec<Lane>, u64) {
    let mut lanes = Lanes::new(Path::new("/root"), BEGUN, |worker| (worker.number() == 0).then_some("large"));
    records.into_iter().for_each(|record| lanes.add(record));
    lanes.finish(elapsed_ns, OWN, &|thread| Some(format!("some-thread-{}", thread.id)))
}

fn spans(lane: &Lane) -> Vec<(f64, f64, u64, u64, &str)> {
    lane.spans.iter().map(|span| (span.start_s, span.end_s, span.files, span.bytes, &*span.path)).collect()
}

#[test]
fn a_large_file_that_two_read_is_in_both_lanes_and_counts_once() {
    let second = 1_000_000_000;
    let stretches = [(1, second, 3 * second, 20), (2, second, 2 * second, 10)];
    let (lanes, not_shown) = lanes(vec![record("dir/large", WorkerId::new("thread", 1), &stretches)], 4 * second);
    let [first, other] = &lanes[..] else { panic!("{lanes:?}") };
    // No record names either: a file is its owner's, and these two read it together. Their own names do.
    assert_eq!((&*first.worker, &*other.worker), ("thread-1", "thread-2"));
    assert_eq!(spans(first), [(1.0, 3.0, 1, 20, "dir/large")]);
    assert_eq!(spans(other), [(1.0, 2.0, 0, 10, "dir/large")]);
    assert_eq!(not_shown, 0);
}

#[test]
fn lanes_have_the_workers_names_where_those_are_one_thread() {
    let alone = |id, worker| record("a", worker, &[(id, 0, 10, 1)]);
    let mut other_process = record("a", WorkerId::new("process", 4711), &[(9, 0, 10, 1)]);
    other_process.outcome.as_mut().unwrap().1[0].thread.process = 4711;
    let records = vec![
        alone(1, WorkerId::new("thread", 10)),
        alone(2, WorkerId::new("thread", 9)),
        alone(3, WorkerId::new("ring", 0)),
        alone(4, WorkerId::new("task", 5)),
        alone(4, WorkerId::new("task", 6)),
        alone(5, WorkerId::new("task", 7)),
        other_process,
        alone(8, WorkerId::new("thread", 0)),
    ];
    let (lanes, _) = lanes(records, 10);
    let names: Vec<_> = lanes.iter().map(|lane| &*lane.worker).collect();
    let expected = [
        "blocking thread 1",
        "blocking thread 2",
        "large: ring-0",
        "large: thread-0",
        "process-4711",
        "thread-9",
        "thread-10",
    ];
    assert_eq!(names, expected);
}

#[test]
fn small_files_become_one_and_a_large_one_stays_apart() {
    // A thousandth of the run each.
    let mut records: Vec<_> = (0..100)
        .map(|file| record(&format!("{file}"), WorkerId::new("thread", 0), &[(1, file * 10, file * 10 + 10, 3)]))
        .collect();
    records.push(record("large", WorkerId::new("thread", 0), &[(1, 1000, 9000, 5)]));
    records.push(record("root-itself", WorkerId::new("thread", 0), &[(1, 9000, 9001, 0)]));
    let (lanes, not_shown) = lanes(records, 10_000);
    let spans = spans(&lanes[0]);
    let [small @ .., large, last] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((small.len(), large.4, last.4, not_shown), (20, "large", "root-itself", 0));
    assert!(small.iter().all(|span| (span.2, span.3) == (5, 15)), "{small:?}");
}

#[test]
fn many_files_take_little_room() {
    let mut lanes = Lanes::new(Path::new("/root"), BEGUN, |worker| (worker.number() == 0).then_some("large"));
    for file in 0..100_000 {
        let begin = file * 1000;
        lanes.add(record("some/file", WorkerId::new("thread", 0), &[(1, begin, begin + 900, 2)]));
        assert!(lanes.threads[&thread(1)].stays.len() < SPANS_AT_HAND);
    }
    let (lanes, not_shown) = lanes.finish(100_000_000, OWN, &|_| None);
    assert!((MOST_SPANS / 3..=MOST_SPANS).contains(&lanes[0].spans.len()), "{}", lanes[0].spans.len());
    let files: u64 = lanes[0].spans.iter().map(|span| span.files).sum();
    assert_eq!((files, not_shown), (100_000, 0));
}

#[test]
fn lanes_that_are_left_out_are_said() {
    // The busiest stay.
    let records = (0..100).map(|id| record("a", WorkerId::new("task", id.into()), &[(id, 0, 1 + u64::from(id), 1)]));
    let (lanes, not_shown) = lanes(records.collect(), 200);
    assert_eq!((lanes.len(), not_shown), (MOST_LANES, 68));
    assert!(lanes.iter().all(|lane| lane.spans[0].end_s > 68e-9), "{lanes:?}");
}

proptest! {
    #[test]
    fn whatever_was_read_is_there_once_and_in_order(
        files in prop::collection::vec(
            (prop::collection::vec((0..5u32, 0..5_000u64, 0..400u64, 0..1_000u64), 0..4), 0..3u64, 0..500u64, any::<bool>()),
            0..1_500,
        ),
        scale in prop::sample::select(vec![1, 7, 1_000, 1_000_000]),
    ) {
        let elapsed_ns = 5_400 * scale;
        let (mut bytes, mut failed_bytes) = (0, 0);
        let count = files.len() as u64;
        let records = files.into_iter().enumerate().map(|(number, (stretches, worker, elapsed, fails))| {
            let scaled: Vec<_> =
                stretches.iter().map(|&(id, begin, length, bytes)| (id, begin * scale, (begin + length) * scale, bytes)).collect();
            let mut record = record(&number.to_string(), WorkerId::new("task", worker), &scaled);
            record.elapsed = Duration::from_nanos(elapsed * scale);
            bytes += record.bytes;
            if fails && number % 3 == 0 {
                failed_bytes += record.bytes;
                record.outcome = Err(ReadError::new(ErrorKind::NotFound, Operation::Open, &record.path));
            }
            record
        }).collect();
        let (lanes, not_shown) = lanes(records, elapsed_ns);
        let all = || lanes.iter().flat_map(|lane| &lane.spans);
        prop_assert_eq!(all().map(|span| span.files).sum::<u64>() + not_shown, count);
        prop_assert_eq!(all().map(|span| span.bytes).sum::<u64>() + failed_bytes, bytes);
        for lane in &lanes {
            prop_assert!(lane.spans.len() <= MOST_SPANS);
            prop_assert!(lane.spans.iter().all(|span| 0.0 <= span.start_s && span.start_s <= span.end_s));
            prop_assert!(lane.spans.windows(2).all(|pair| pair[0].end_s <= pair[1].start_s));
            prop_assert!(lane.spans.last().is_none_or(|span| span.end_s <= elapsed_ns as f64 / 1e9));
        }
        let names: BTreeSet<_> = lanes.iter().map(|lane| &lane.worker).collect();
        prop_assert_eq!(names.len(), lanes.len());
    }
}
