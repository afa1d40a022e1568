//! What is particular to a reader in a runtime that the whole program shares.

use std::ops::ControlFlow;

use async_std::stream::StreamExt;
use async_std::task;
use polyread_async_std::core::{ByteCount, Discovery, FileReader, Job, Limits, ReaderError, TextStats};
use polyread_async_std::{AsyncStdReader, Config};

fn count() -> Job<ByteCount> {
    Job::of_paths(["/proc/version"], ByteCount::default())
}

fn read() -> Result<u64, ReaderError> {
    Ok(AsyncStdReader::new().read(count(), &mut |_| ControlFlow::Continue(()))?.read)
}

#[test]
fn the_blocking_call_in_a_task_is_a_typed_error() {
    polyread_conformance::run(|| {
        // As many at once as would keep every thread of the runtime waiting.
        let tasks: Vec<_> = (0..64).map(|_| task::spawn(async { read() })).collect();
        for nested in tasks {
            let error = task::block_on(nested).unwrap_err();
            assert!(matches!(error, ReaderError::InsideRuntime { strategy: "async-std" }));
        }
        assert!(task::block_on(async { read() }).is_err());
        // Where blocking is allowed it is none, and neither is it outside.
        assert_eq!(task::block_on(task::spawn_blocking(read)).unwrap(), 1);
        assert_eq!(read().unwrap(), 1);
    });
}

#[test]
fn streams_go_on_in_many_tasks_at_once() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(300);
        let streams = (0..16).map(|_| {
            let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
            task::spawn(async { AsyncStdReader::new().stream(job).unwrap().fold(0, |count, _| count + 1).await })
        });
        let streams: Vec<_> = streams.collect();
        for stream in streams {
            assert_eq!(task::block_on(stream), 300);
        }
    });
}

#[test]
fn the_sink_is_called_outside_of_any_task() {
    let mut nested = 0;
    let outer = AsyncStdReader::new().read(count(), &mut |_| {
        nested += read().unwrap();
        ControlFlow::Continue(())
    });
    assert_eq!((outer.unwrap().read, nested), (1, 1));
}

#[test]
fn a_hop_of_one_file_is_possible() {
    let tree = polyread_conformance::tree::many(300);
    let reader = AsyncStdReader::with_config(Config::default().files_per_hop(1).hops_in_flight(3));
    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
    let mut workers = std::collections::BTreeSet::new();
    let summary = reader.read(job.limits(Limits::default().max_open_files(2)), &mut |record| {
        workers.insert(record.worker);
        ControlFlow::Continue(())
    });
    assert_eq!((summary.unwrap().read, workers.len()), (300, 300));
}
