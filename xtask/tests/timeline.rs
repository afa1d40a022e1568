//! Who read what when, as the process of a timeline tells it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

fn timeline(strategy: &str, tree: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["trace", "--strategy", strategy, "--analysis", "text-stats", "--cache", "warm", "--"]);
    let output = command.arg(tree).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The strategies that this system has.
fn strategies() -> Vec<&'static str> {
    let all = ["sequential", "rayon", "tokio", "async-std", "hybrid", "multiprocess", "io-uring"];
    let has = |name: &&str| polyread_cli::Strategy::ALL.iter().any(|it| it.name() == *name && it.available().is_ok());
    all.into_iter().filter(has).collect()
}

fn spans(timeline: &Value) -> impl Iterator<Item = (&str, &Value)> {
    timeline["lanes"].as_array().unwrap().iter().flat_map(|lane| {
        let worker = lane["worker"].as_str().unwrap();
        lane["spans"].as_array().unwrap().iter().map(move |span| (worker, span))
    })
}

fn sum(timeline: &Value, key: &str) -> u64 {
    spans(timeline).map(|(_, span)| span[key].as_u64().unwrap()).sum()
}

const LARGE: usize = 40_000_000;

/// Many small files, one that several can read together, and a link, which is skipped.
fn tree() -> TempDir {
    let tree = TempDir::new().unwrap();
    fs::create_dir(tree.path().join("sub")).unwrap();
    for file in 0..2_000 {
        fs::write(tree.path().join(format!("sub/{file}")), "some words\n".repeat(file % 50)).unwrap();
    }
    fs::write(tree.path().join("large"), vec![b'x'; LARGE]).unwrap();
    std::os::unix::fs::symlink("large", tree.path().join("link")).unwrap();
    tree
}

#[test]
fn every_strategy_shows_who_read_each_file_once() {
    let tree = tree();
    let bytes = LARGE as u64 + (0..2_000).map(|file| file % 50 * 11).sum::<u64>();
    for strategy in strategies() {
        let timeline = timeline(strategy, tree.path());
        assert_eq!((&timeline["strategy"], &timeline["cache"]), (&strategy.into(), &"warm".into()));
        // The link has a record and no place.
        assert_eq!((sum(&timeline, "files"), &timeline["not_shown"]), (2_001, &1.into()), "{strategy}");
        assert_eq!(sum(&timeline, "bytes"), bytes, "{strategy}");
        let elapsed = timeline["elapsed_s"].as_f64().unwrap();
        for lane in timeline["lanes"].as_array().unwrap() {
            let ends = |span: &Value| ["start_s", "end_s"].map(|key| span[key].as_f64().unwrap());
            let times: Vec<_> = lane["spans"].as_array().unwrap().iter().flat_map(ends).collect();
            assert!(times.is_sorted() && times[0] >= 0.0 && times[times.len() - 1] <= elapsed, "{strategy}: {lane}");
        }
        assert!(spans(&timeline).any(|(_, span)| span["path"] == "large"), "{strategy}: {timeline}");
        let prefix = match strategy {
            "sequential" | "rayon" => "thread-",
            "tokio" | "async-std" => "blocking thread ",
            "multiprocess" => "process-",
            "io-uring" => "ring-",
            _ => continue,
        };
        let workers: BTreeSet<_> = spans(&timeline).map(|(worker, _)| worker).collect();
        assert!(workers.iter().all(|worker| worker.starts_with(prefix)), "{workers:?}");
    }
}

#[test]
fn both_sides_of_a_split_run_are_told_apart() {
    let tree = tree();
    let timeline = timeline("hybrid", tree.path());
    let reader_of_large = spans(&timeline).find(|(_, span)| span["path"] == "large").unwrap().0;
    assert!(reader_of_large.starts_with("large: "), "{reader_of_large}");
    assert!(spans(&timeline).any(|(worker, _)| worker.starts_with("small: ")), "{timeline}");
}

#[test]
fn what_only_a_part_was_read_of_belongs_to_the_file() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join("one"), vec![b'x'; 4 * LARGE]).unwrap();
    for strategy in ["rayon", "multiprocess"] {
        let timeline = timeline(strategy, tree.path());
        assert_eq!((sum(&timeline, "files"), sum(&timeline, "bytes")), (1, 4 * LARGE as u64), "{strategy}");
        let parts: Vec<_> = spans(&timeline).collect();
        assert!(parts.iter().all(|(_, span)| span["path"] == "one"), "{parts:?}");
    }
}

#[test]
fn a_root_that_is_a_file_has_its_name() {
    let tree = TempDir::new().unwrap();
    let file = tree.path().join("file");
    fs::write(&file, "words").unwrap();
    let timeline = timeline("sequential", &file);
    let [(worker, span)] = spans(&timeline).collect::<Vec<_>>()[..] else { panic!("{timeline}") };
    assert_eq!((worker, &span["path"], &span["files"]), ("thread-0", &"file".into(), &1.into()));
}
