//! What becomes of a run whose workers are killed, stopped, abort or hang, and of workers whose parent is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use polyread_conformance::{Scripted, children_of, run_alone, tree};
use polyread_multiprocess::core::{
    Analysis, ByteCount, CancelToken, Combine, Discovery, ErrorKind, FileReader, FileResult, Job, Limits, Parts,
    Progress, ReaderError, Summary, TextStats,
};
use polyread_multiprocess::{Config, MultiprocessReader, Pool, Worker};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// What the workers run: this test program again, for this test alone.
#[test]
fn worker() {
    Worker::new().with::<Scripted>().with::<Poison>().run();
}

fn config() -> Config {
    Config::default().in_tests("worker")
}

fn reader() -> MultiprocessReader {
    MultiprocessReader::with_config(config())
}

fn send(process: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(process.cast_signed()).unwrap(), signal);
}

/// Processes that this one has started and that still are.
fn children() -> Vec<u32> {
    children_of(std::process::id())
}

fn process_of<T>(record: &FileResult<T>) -> u32 {
    assert_eq!(record.worker.kind(), "process", "read by {}", record.worker);
    u32::try_from(record.worker.number()).unwrap()
}

/// Reads a tree, with something happening to the process of one of its first records; asserts that every file has one
/// record.
fn read_while(
    tree: &Path,
    files: usize,
    limits: Limits,
    reader: &MultiprocessReader,
    mut happen: impl FnMut(u32),
) -> (Summary, BTreeMap<u32, u64>) {
    let job = Job::new(Discovery::new(tree).walk().unwrap(), TextStats::default()).limits(limits);
    let (mut seen, mut attempts) = (vec![false; files], BTreeMap::new());
    let mut count = 0;
    let summary = reader.read(job, &mut |record| {
        let index = usize::try_from(record.index).unwrap();
        assert!(!std::mem::replace(&mut seen[index], true), "{index} has two records");
        *attempts.entry(record.attempts).or_default() += 1;
        count += 1;
        if count == files / 10 {
            happen(process_of(&record));
        }
        ControlFlow::Continue(())
    });
    assert!(seen.iter().all(|seen| *seen), "a file has no record");
    let summary = summary.unwrap();
    assert_eq!(summary.stopped, None);
    (summary, attempts)
}

/// How often the faults below are provoked; more by hand, with `POLYREAD_ROUNDS=50 POLYREAD_FILES=20000`.
fn rounds() -> (usize, usize) {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    (number("POLYREAD_ROUNDS").unwrap_or(5), number("POLYREAD_FILES").unwrap_or(4_000))
}

#[test]
fn a_worker_that_is_killed_loses_nothing() {
    let (rounds, files) = rounds();
    let tree = Arc::new(tree::many(files));
    for round in 0..rounds {
        let tree = Arc::clone(&tree);
        run_alone(move || {
            let limits = Limits::default().workers(2);
            let kill = |process| send(process, Signal::KILL);
            let (summary, attempts) = read_while(tree.path(), files, limits, &reader(), kill);
            assert_eq!((summary.read, summary.failed()), (files as u64, 0), "round {round}: {:?}", summary.errors);
            assert!(attempts.keys().all(|attempts| *attempts <= 2), "{attempts:?}");
            assert_eq!(children(), [0; 0], "round {round}");
        });
    }
}

#[test]
fn a_worker_that_is_stopped_is_replaced_under_a_time_limit() {
    let (rounds, files) = rounds();
    let tree = Arc::new(tree::many(files));
    for round in 0..rounds {
        let tree = Arc::clone(&tree);
        run_alone(move || {
            let limits = Limits::default().workers(2).timeout(Duration::from_millis(200));
            let stop = |process| send(process, Signal::STOP);
            let (summary, _) = read_while(tree.path(), files, limits, &reader(), stop);
            assert_eq!((summary.read, summary.failed()), (files as u64, 0), "round {round}: {:?}", summary.errors);
            assert_eq!(children(), [0; 0], "round {round}");
        });
    }
}

#[test]
fn workers_that_are_all_killed_are_replaced() {
    run_alone(|| {
        let happen = |_| children().into_iter().for_each(|process| send(process, Signal::KILL));
        let tree = tree::many(4_000);
        let (summary, _) = read_while(tree.path(), 4_000, Limits::default().workers(4), &reader(), happen);
        assert_eq!((summary.read, summary.failed()), (4_000, 0), "{:?}", summary.errors);
    });
}

#[test]
fn a_file_that_kills_its_worker_is_tried_twice_and_the_others_are_read() {
    run_alone(|| {
        let tree = tree::many(1_000);
        for (index, command) in [(7, "abort"), (8, "exit 0"), (555, "exit 3")] {
            fs::write(tree.path().join(format!("{:03}/{index:05}.txt", index / 100)), format!("{command}\n")).unwrap();
        }
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Scripted::default());
        let mut poison = BTreeMap::new();
        let summary = reader().read(job.limits(Limits::default().workers(2)), &mut |record| {
            if let Err(error) = &record.outcome {
                let name = record.path.file_name().unwrap().to_str().unwrap().to_owned();
                assert_eq!((error.kind(), record.attempts), (ErrorKind::WorkerDied, 2));
                assert!(poison.insert(name, error.message()).is_none());
            }
            ControlFlow::Continue(())
        });
        let summary = summary.unwrap();
        assert_eq!((summary.read, summary.failed()), (997, 3), "{:?}", summary.errors);
        let says = |name: &str, what: &str| assert!(poison[name].contains(what), "{name}: {}", poison[name]);
        says("00007.txt", "SIGABRT");
        says("00008.txt", "exit status: 0");
        says("00555.txt", "exit status: 3");
        assert_eq!(children(), [0; 0]);
    });
}

#[test]
fn respawns_are_bounded_and_an_empty_pool_reports_what_is_left() {
    run_alone(|| {
        let tree = tempfile::tempdir().unwrap();
        for index in 0..60 {
            fs::write(tree.path().join(index.to_string()), "abort\n").unwrap();
        }
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Scripted::default());
        let reader = MultiprocessReader::with_config(config().respawns(3));
        let (mut poison, mut left) = (0, 0);
        let summary = reader.read(job.limits(Limits::default().workers(2)), &mut |record| {
            let error = record.outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WorkerDied);
            if error.message().contains("no worker process is left") {
                left += 1;
            } else {
                poison += 1;
            }
            ControlFlow::Continue(())
        });
        assert_eq!(summary.unwrap().failed(), 60);
        // Five processes, and two for each poison.
        assert!((1..=2).contains(&poison), "{poison} were tried twice, {left} were left");
        assert_eq!(children(), [0; 0]);
    });
}

#[test]
fn a_file_that_hangs_costs_its_worker_and_no_respawn() {
    run_alone(|| {
        let tree = tree::many(50);
        for index in 0..6 {
            fs::write(tree.path().join(format!("000/{index:05}.txt")), "hang\n").unwrap();
        }
        let limits = Limits::default().workers(2).timeout(Duration::from_millis(100));
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Scripted::default()).limits(limits);
        let reader = MultiprocessReader::with_config(config().respawns(0));
        let summary = reader.read(job, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(summary.errors, BTreeMap::from([(ErrorKind::Timeout, 6)]));
        assert_eq!(summary.read, 44);
        assert_eq!(children(), [0; 0]);
    });
}

#[test]
fn a_pool_is_used_again() {
    run_alone(|| {
        let tree = tree::many(500);
        let pool = Pool::start(config()).unwrap();
        let read = |limits: Limits| {
            let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default()).limits(limits);
            pool.reader().read(job, &mut |_| ControlFlow::Continue(())).unwrap().read
        };
        assert_eq!(read(Limits::default().workers(2)), 500);
        let mut first = pool.idle_processes();
        assert_eq!(first.len(), 2);
        // Another analysis, and fewer processes: those that are there.
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), ByteCount::default());
        let records = pool.reader().records(job.limits(Limits::default().workers(1))).unwrap();
        assert!(records.map(|record| process_of(&record)).all(|process| first.contains(&process)));
        // One has died meanwhile.
        send(first[0], Signal::KILL);
        assert_eq!(read(Limits::default().workers(2)), 500);
        let mut second = pool.idle_processes();
        first.sort_unstable();
        second.sort_unstable();
        assert_ne!(first, second);
        // All have died meanwhile.
        second.iter().for_each(|process| send(*process, Signal::KILL));
        assert_eq!(read(Limits::default().workers(2)), 500);
        // What a run has written on its board is not taken for the next one's.
        let progress = Progress::new();
        let job =
            Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default()).progress(progress.clone());
        let records = pool.reader().records(job.limits(Limits::default().workers(2))).unwrap();
        let bytes: u64 = records.map(|record| record.bytes).sum();
        assert_eq!(progress.snapshot().bytes, bytes);
        // A run that is dropped kills its own, and the next gets new ones.
        drop(pool.reader().records(Job::of_paths(std::iter::repeat("/proc/version"), ByteCount::default())).unwrap());
        assert_eq!(read(Limits::default().workers(2)), 500);
        drop(pool);
        assert_eq!(children(), [0; 0]);
    });
}

#[test]
fn several_runs_at_once_do_not_disturb_each_other() {
    run_alone(|| {
        let tree = tree::many(500);
        let pool = Pool::start(config()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
                    let records = pool.reader().records(job.limits(Limits::default().workers(2))).unwrap();
                    assert_eq!(records.filter(|record| record.outcome.is_ok()).count(), 500);
                });
            }
        });
        drop(pool);
        assert_eq!(children(), [0; 0]);
    });
}

#[test]
fn programs_that_are_no_workers_are_typed_errors() {
    run_alone(|| {
        let refused = |reader: MultiprocessReader| {
            let job = Job::of_paths(["/proc/version"], Scripted::default());
            let error = reader.read(job, &mut |_| ControlFlow::Continue(())).unwrap_err();
            assert!(matches!(error, ReaderError::Start { strategy: "multiprocess", .. }));
            error.to_string()
        };
        let said = refused(MultiprocessReader::with_worker("/not/there"));
        assert!(said.contains("/not/there"), "{said}");
        let said = refused(MultiprocessReader::with_worker("/bin/true"));
        assert!(said.contains("run early in its main"), "{said}");
        let said = refused(MultiprocessReader::with_config(Config::default().in_tests("worker_without_scripted")));
        assert!(said.contains("Scripted") && said.contains("register it"), "{said}");
        assert_eq!(children(), [0; 0]);
    });
}

/// What the worker above runs.
#[test]
fn worker_without_scripted() {
    Worker::new().run();
}

/// Runs workers until it is killed, if it was asked to: the parent of the test below.
#[test]
fn parent() {
    if std::env::var_os("POLYREAD_TEST_PARENT").is_none() {
        return;
    }
    let tree = tree::of(&[("slow", b"sleep 100\n")]);
    let job = Job::of_paths(std::iter::repeat(tree.path().join("slow")), Scripted::default());
    let _ = reader().read(job.limits(Limits::default().workers(3)), &mut |record| {
        println!("by {}", process_of(&record));
        ControlFlow::Continue(())
    });
}

#[test]
fn workers_die_with_their_parent() {
    run_alone(|| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["parent", "--exact", "--nocapture"]).env("POLYREAD_TEST_PARENT", "1");
        let mut parent = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut workers = std::collections::BTreeSet::new();
        for line in BufReader::new(parent.stdout.take().unwrap()).lines() {
            if let Some(worker) = line.unwrap().strip_prefix("by ") {
                workers.insert(worker.parse::<u32>().unwrap());
            }
            if workers.len() == 3 {
                break;
            }
        }
        // One of them cannot even run.
        send(*workers.first().unwrap(), Signal::STOP);
        parent.kill().unwrap();
        parent.wait().unwrap();
        let alive = |worker: &u32| {
            let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
            // A zombie waits for init, not for us.
            stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
        };
        for _ in 0..100 {
            workers.retain(alive);
            if workers.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{workers:?} live on");
    });
}

#[test]
fn a_run_that_is_cancelled_ends_workers_that_would_never_look() {
    run_alone(|| {
        let tree = tree::of(&[("hangs", b"hang\n")]);
        let (cancel, progress) = (CancelToken::new(), Progress::new());
        let job = Job::of_paths([tree.path().join("hangs")], Scripted::default());
        let job = job.cancel_token(cancel.clone()).progress(progress.clone());
        let canceller = std::thread::spawn(move || {
            // Its worker hangs in the first chunk.
            while progress.snapshot().bytes == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            cancel.cancel();
        });
        let mut kinds = Vec::new();
        let summary = reader().read(job.limits(Limits::default().workers(1)), &mut |record| {
            kinds.push(record.outcome.unwrap_err().kind());
            ControlFlow::Continue(())
        });
        canceller.join().unwrap();
        assert_eq!(kinds, [ErrorKind::Cancelled]);
        assert_eq!(summary.unwrap().failed(), 1);
        assert_eq!(children(), [0; 0]);
    });
}

/// Counts bytes, and aborts over a byte that only poison has.
#[derive(Clone, Default, Deserialize, Serialize)]
struct Poison(u64);

impl Analysis for Poison {
    type Output = u64;
    fn update(&mut self, chunk: &[u8]) {
        if chunk.contains(&0xff) {
            std::process::abort();
        }
        self.0 += chunk.len() as u64;
    }
    fn finish(self) -> u64 {
        self.0
    }
    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for Poison {
    fn begin_part(&mut self) {}
    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }
}

/// A large file of which every part kills: it costs a worker or two, and not one for each part.
#[test]
fn a_large_file_that_kills_workers_costs_itself_alone() {
    run_alone(|| {
        let tree = tree::many(2_000);
        fs::write(tree.path().join("poison.txt"), vec![0xff; 200 << 20]).unwrap();
        let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Poison::default());
        let mut poisoned = Vec::new();
        let summary = reader().read(job.limits(Limits::default().workers(2)), &mut |record| {
            if let Err(error) = &record.outcome {
                poisoned.push((record.path.clone(), error.kind(), record.attempts));
            }
            ControlFlow::Continue(())
        });
        let path = tree.path().join("poison.txt");
        assert_eq!(summary.unwrap().read, 2_000);
        assert_eq!(poisoned, [(path, ErrorKind::WorkerDied, 2)]);
    });
}

/// Workers killed while a file is out in parts: those parts are read again, and the counts are what they are.
#[test]
fn workers_killed_over_parts_of_a_file_lose_nothing() {
    run_alone(|| {
        let tree = tree::large();
        for round in 0..rounds().0 {
            let progress = Progress::new();
            let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), TextStats::default());
            let job = job.limits(Limits::default().workers(2)).progress(progress.clone());
            let records = reader().records(job).unwrap();
            while progress.snapshot().bytes < round as u64 * (4 << 20) {
                std::thread::yield_now();
            }
            children().first().into_iter().for_each(|child| send(*child, Signal::KILL));
            let read: Vec<_> = records.map(|record| (record.path, record.outcome.unwrap())).collect();
            assert_eq!(read.len(), 3);
            for (path, counts) in read {
                let mut alone = TextStats::default();
                alone.update(&fs::read(path).unwrap());
                assert_eq!(counts, alone.finish());
            }
            assert_eq!(children(), []);
        }
    });
}
