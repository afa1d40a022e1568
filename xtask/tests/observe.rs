//! What looking on tells of a sample, from outside of its process.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

fn sample(contestant: &str, tree: &Path, more: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["sample", "--contestant", contestant, "--analysis", "text-stats", "--cache", "warm"]);
    let output = command.args(more).arg("--").arg(tree).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn observed(contestant: &str, tree: &Path) -> Value {
    let sample = sample(contestant, tree, &["--observe"]);
    assert!(sample["found"]["totals"]["files"].as_u64().unwrap() > 0, "{sample}");
    let observed = sample["observed"].clone();
    assert!(observed["looks"].as_u64().unwrap() >= 2, "{observed}");
    observed
}

fn figure(observed: &Value, key: &str) -> u64 {
    observed[key].as_u64().unwrap_or_else(|| panic!("{key} in {observed}"))
}

fn tree(files: usize, bytes: usize) -> TempDir {
    let tree = TempDir::new().unwrap();
    for file in 0..files {
        fs::write(tree.path().join(file.to_string()), "some words\n".repeat(bytes / 11 + 1)).unwrap();
    }
    tree
}

fn workers() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

#[test]
fn who_is_not_asked_does_not_look() {
    let tree = tree(3, 10);
    for contestant in ["sequential", "multiprocess", "floor", "naive-rayon"] {
        assert_eq!(sample(contestant, tree.path(), &[])["observed"], Value::Null);
    }
}

#[test]
fn what_looks_on_does_not_show() {
    let observed = observed("floor", tree(3, 10).path());
    // Its main thread, and those that read, which may have ended before somebody looked.
    assert!((1..=1 + workers()).contains(&figure(&observed, "threads")), "{observed}");
    assert_eq!(figure(&observed, "processes"), 1, "{observed}");
    // The three that each process has, perhaps what it inherited, and what it reads at the moment.
    assert!((3..=32).contains(&figure(&observed, "descriptors")), "{observed}");
}

/// So large that it is looked at while it is read, and by several: a run of one file has ended when they have.
#[test]
fn threads_are_seen() {
    let tree = tree(4, 30_000_000);
    let observed = observed("rayon", tree.path());
    assert!(figure(&observed, "threads") > workers(), "{observed}");
    assert_eq!(figure(&observed, "processes"), 1, "{observed}");
    assert!(figure(&observed, "peak_pss_bytes") > 500_000, "{observed}");
}

/// At the end of a strategy's run its workers are still there, and are looked at: that needs no luck.
#[test]
fn workers_are_seen_with_what_is_theirs() {
    let tree = tree(200, 100);
    let sample = sample("multiprocess", tree.path(), &["--observe"]);
    let observed = &sample["observed"];
    let processes = figure(observed, "processes");
    assert!((2..=1 + workers()).contains(&processes), "{observed}");
    assert!(figure(observed, "threads") >= processes, "{observed}");
    // Each has the three that every process has.
    assert!(figure(observed, "descriptors") >= 3 * processes, "{observed}");
    // What they share counts once, in contrast to the sum of what each has; and with whoever else runs the same program now.
    let pss_bytes = figure(observed, "peak_pss_bytes");
    assert!(pss_bytes > 500_000, "{observed}");
    assert!(pss_bytes < sample["peak_rss_bytes"].as_u64().unwrap(), "{sample}");
}

#[test]
fn workers_of_a_twin_are_seen_too() {
    let tree = tree(2000, 10_000);
    let observed = observed("naive-multiprocess", tree.path());
    assert_eq!(figure(&observed, "processes"), 1 + workers(), "{observed}");
}

#[test]
fn system_calls_are_those_of_all_threads_and_processes() {
    let (few, many) = (tree(100, 100), tree(1100, 100));
    for contestant in ["sequential", "rayon", "multiprocess", "naive-multiprocess"] {
        let [few, many] = [&few, &many].map(|tree| observed(contestant, tree.path())["system_calls"].as_u64());
        let (Some(few), Some(many)) = (few, many) else {
            println!("skipped: system calls cannot be counted here");
            return;
        };
        // Each file is opened, read and closed, whoever does it; asked for its size and read to its end, perhaps, and
        // spoken of with another process.
        assert!((3_000..30_000).contains(&(many.saturating_sub(few))), "{contestant}: {few} and {many}");
    }
}

#[test]
fn whoever_fails_tells_why_although_somebody_looks_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["sample", "--contestant", "rayon", "--analysis", "bytes", "--cache", "warm", "--observe"]);
    let output = command.args(["--", "/not/there"]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/not/there"), "{output:?}");
}
