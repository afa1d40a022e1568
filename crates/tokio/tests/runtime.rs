//! What is particular to a reader that lives in a runtime.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt;
use polyread_tokio::core::{
    ByteCount, CancelToken, Discovery, FileReader, Job, Limits, Progress, ReaderError, Stopped, TextStats,
};
use polyread_tokio::{Config, TokioReader};
use tokio::runtime::Builder;

fn count(paths: &[&str]) -> Job<ByteCount> {
    Job::of_paths(paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ByteCount::default())
}

#[test]
fn the_blocking_call_inside_of_a_runtime_is_a_typed_error() {
    for runtime in [Builder::new_current_thread().build().unwrap(), Builder::new_multi_thread().build().unwrap()] {
        let read = || TokioReader::new().read(count(&["/proc/version"]), &mut |_| ControlFlow::Continue(()));
        let error = runtime.block_on(async { read() }).unwrap_err();
        assert!(matches!(error, ReaderError::InsideRuntime { strategy: "tokio" }));
        assert!(error.to_string().contains("use its stream"), "{error}");
        // And outside of it, in the same thread, it is none.
        assert_eq!(read().unwrap().read, 1);
    }
}

#[test]
fn the_stream_outside_of_a_runtime_is_a_typed_error() {
    let error = TokioReader::new().stream(count(&["/proc/version"])).unwrap_err();
    assert!(matches!(error, ReaderError::NoRuntime { strategy: "tokio" }));
}

#[test]
fn the_stream_runs_in_either_flavour_and_without_a_timer() {
    let tree = polyread_conformance::tree::many(500);
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.build().unwrap();
        let summary = runtime.block_on(async {
            let files = Discovery::new(tree.path()).walk().unwrap();
            let mut records = TokioReader::new().stream(Job::new(files, TextStats::default())).unwrap();
            assert_eq!(records.summary().stopped, Some(Stopped::Sink), "a partial run looks whole");
            let mut read = 0;
            while let Some(record) = records.next().await {
                read += u64::from(record.outcome.is_ok());
            }
            assert!(records.next().await.is_none());
            assert_eq!(read, 500);
            records.summary()
        });
        assert_eq!((summary.read, summary.stopped), (500, None));
    }
}

#[test]
fn files_share_hops_unless_told_otherwise() {
    let tree = polyread_conformance::tree::many(640);
    let workers = |config: Config| {
        let mut workers = std::collections::BTreeSet::new();
        let files = Discovery::new(tree.path()).walk().unwrap().sorted();
        let job = Job::new(files, ByteCount::default());
        let read = TokioReader::with_config(config).read(job, &mut |record| {
            workers.insert(record.worker);
            ControlFlow::Continue(())
        });
        read.unwrap();
        workers.len()
    };
    assert_eq!(workers(Config::default().files_per_hop(1)), 640);
    // Batches are cut short when discovery is slow, so that the number is not exactly 640 / 64.
    assert!(workers(Config::default()) < 320);
}

#[test]
fn a_time_limit_without_a_timer_is_a_typed_error() {
    let job = count(&["/proc/version"]).limits(Limits::default().timeout(Duration::from_secs(1)));
    let runtime = Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async { TokioReader::new().stream(job) }).unwrap_err();
    assert!(matches!(error, ReaderError::Start { .. }) && error.to_string().contains("enable_time"), "{error}");
}

#[test]
fn one_thread_in_the_blocking_pool_is_enough() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(500);
        let runtime = Builder::new_current_thread().max_blocking_threads(1).enable_time().build().unwrap();
        for limits in [Limits::default(), Limits::default().timeout(Duration::from_secs(100))] {
            let files = Discovery::new(tree.path()).walk().unwrap();
            let job = Job::new(files, TextStats::default()).limits(limits);
            let read = runtime.block_on(async { TokioReader::new().stream(job).unwrap().count().await });
            assert_eq!(read, 500);
        }
    });
}

#[test]
fn a_stream_that_is_not_polled_keeps_no_thread_from_another() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(2_000);
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let stream = || {
                let files = Discovery::new(tree.path()).walk().unwrap();
                TokioReader::new().stream(Job::new(files, TextStats::default())).unwrap()
            };
            let mut idle = stream();
            idle.next().await.unwrap();
            assert_eq!(stream().count().await, 2_000);
            assert_eq!(idle.count().await, 1_999);
        });
    });
}

#[test]
fn a_stream_that_is_cancelled_while_its_consumer_is_behind_loses_no_record() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(4_000);
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (cancel, progress) = (CancelToken::new(), Progress::new());
            let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
            let job = job.cancel_token(cancel.clone()).progress(progress.clone());
            let mut records = TokioReader::new().stream(job).unwrap();
            records.next().await.unwrap();
            // Until everything waits for the consumer.
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
            assert_eq!(1 + records.count().await as u64, progress.snapshot().discovered);
        });
    });
}

#[test]
fn a_runtime_that_is_shut_down_over_a_run_neither_hangs_nor_makes_it_look_whole() {
    polyread_conformance::run(|| {
        let tree = polyread_conformance::tree::many(1_000);
        for in_flight in [u64::MAX, 100] {
            let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let files = Discovery::new(tree.path()).walk().unwrap();
            let job = Job::new(files, polyread_tokio::core::Contents::default());
            // With little room a hop waits for it while the runtime goes away.
            let job = job.limits(Limits::default().bytes_in_flight(in_flight));
            let mut records = runtime.block_on(async {
                let mut records = TokioReader::new().stream(job).unwrap();
                records.next().await.unwrap();
                records
            });
            drop(runtime);
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            while let std::task::Poll::Ready(Some(_)) = records.poll_next_unpin(&mut context) {}
            assert!(records.summary().stopped.is_some());
        }
    });
}

#[test]
fn the_sink_is_called_outside_of_the_runtime() {
    let mut nested = 0;
    let read = TokioReader::new().read(count(&["/proc/version"]), &mut |_| {
        let inner = TokioReader::new().read(count(&["/proc/version"]), &mut |_| ControlFlow::Continue(()));
        nested += inner.unwrap().read;
        ControlFlow::Continue(())
    });
    assert_eq!((read.unwrap().read, nested), (1, 1));
}
