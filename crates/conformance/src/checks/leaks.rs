//! What a run leaves behind: nothing.

use std::fs;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use polyread_core::{Discovery, Job, Stopped, TextStats};

use crate::{Subject, children_of, tree};

/// What this process has: descriptors, threads, child processes.
fn resources() -> [usize; 3] {
    let count = |directory| fs::read_dir(directory).unwrap().count();
    [count("/proc/self/fd"), count("/proc/self/task"), children_of(std::process::id()).len()]
}

/// What the process has once the reader has run: a runtime that is shared by all runs stays.
fn resources_after_a_run(read: impl FnOnce(Job<TextStats>)) -> [usize; 3] {
    let tree = tree::many(100);
    let before = resources();
    read(Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default()));
    // Its threads that idle end within a second, others within a moment.
    let mut last = resources();
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(50));
        last = std::array::from_fn(|what| last[what].min(resources()[what]));
        if last == before {
            break;
        }
    }
    last
}

/// Waits until the process has no more than it had before: threads end a moment after they were told to.
fn assert_nothing_leaked(before: [usize; 3]) {
    for _ in 0..2_000 {
        if resources().iter().zip(before).all(|(now, before)| *now <= before) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    let names: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let open: Vec<_> = descriptors.filter_map(|open| fs::read_link(open.ok()?.path()).ok()).collect();
    let now = resources();
    panic!("descriptors, threads and children before: {before:?}, now: {now:?}, threads: {names:?}, open: {open:?}");
}

/// Reads all of a job with the subject.
fn read_all(subject: &Subject) -> impl FnOnce(Job<TextStats>) {
    |job| drop(subject.text_stats.read(job, &mut |_| ControlFlow::Continue(())).unwrap())
}

/// A sink that panics in the middle of a run.
pub fn a_panicking_sink_leaks_nothing(subject: &Subject) {
    let before = resources_after_a_run(read_all(subject));
    let tree = tree::many(500);
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
    let before = resources_after_a_run(read_all(subject));
    let tree = tree::many(300);
    for round in 0..20 {
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
        let summary = subject.text_stats.read(job, &mut |record| {
            if round % 2 == 1 && record.index == 50 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(summary.unwrap().stopped, (round % 2 == 1).then_some(Stopped::Sink));
        assert_nothing_leaked(before);
    }
}

/// Streams and iterators that are dropped after one record; as many as `POLYREAD_DROPS` says, or 300.
pub fn dropping_half_way_leaks_nothing(mut half_way: impl FnMut(Job<TextStats>)) {
    let before = resources_after_a_run(&mut half_way);
    let tree = tree::many(1_000);
    let rounds = std::env::var("POLYREAD_DROPS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300);
    for round in 0..rounds {
        // In turns a walk, and a list without an end, which would go on for ever if it were not told to stop.
        half_way(if round % 2 == 0 {
            Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default())
        } else {
            Job::of_paths(std::iter::repeat(tree.path().join("000/00000.txt")), TextStats::default())
        });
    }
    assert_nothing_leaked(before);
}
