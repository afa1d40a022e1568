//! A run that is given to another reader in part.

use std::ops::ControlFlow;
use std::sync::mpsc;

use polyread_core::reader::{Entry, Run};
use polyread_core::{ByteCount, FileEntry, FileReader, Job, Limits, SequentialReader};

fn run() -> Run<ByteCount> {
    Job::of_paths(Vec::<String>::new(), ByteCount::default()).start()
}

#[test]
fn the_records_of_a_part_go_where_the_part_says() {
    let (run, (told, records)) = (run(), mpsc::channel());
    let mut entries = vec![vec![Entry::new(7, Ok(FileEntry::new("Cargo.toml")))]];
    let part = Job::part_of(
        &run,
        move |_| entries.pop(),
        move |batch| {
            batch.into_iter().for_each(|record| told.send(record.index).unwrap());
        },
    );
    let read = SequentialReader::new().read(part, &mut |_| panic!("the sink of a part has no records"));
    assert_eq!(read.unwrap().files(), 0);
    assert_eq!(records.iter().collect::<Vec<_>>(), [7]);
}

#[test]
fn entries_that_were_not_asked_for_are_kept() {
    let (run, (told, records)) = (run(), mpsc::channel());
    let entry = |index| Entry::new(index, Ok(FileEntry::new("Cargo.toml")));
    // An empty batch is not the end.
    let mut entries = vec![vec![entry(3)], vec![], vec![entry(0), entry(1), entry(2)]];
    let part = Job::part_of(&run, move |_| entries.pop(), move |batch| told.send(batch.len()).unwrap());
    let part = part.limits(Limits::default().workers(1)).start();
    let mut sizes = Vec::new();
    let mut worker = part.worker(polyread_core::WorkerId::new("thread", 0));
    while let Some(batch) = part.next_batch(2) {
        sizes.push(batch.len());
        worker.read(batch);
    }
    assert_eq!(sizes, [2, 1, 1]);
    drop((worker, part));
    assert_eq!(records.iter().sum::<usize>(), 4);
}

#[test]
fn a_panic_of_the_part_s_entries_reaches_the_reader_of_the_part() {
    let run = run();
    let part = Job::part_of(&run, |_| panic!("no entries"), drop);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        SequentialReader::new().read(part, &mut |_| ControlFlow::Continue(()))
    }));
    assert_eq!(read.expect_err("the panic was swallowed").downcast_ref(), Some(&"no entries"));
}
