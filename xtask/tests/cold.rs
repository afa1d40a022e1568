//! A cold cache as its users ask for it: what is left in it is found and named before a sample.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["bench", "--runs", "1", "--no-twins", "--strategy", "rayon"]);
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn has_fincore() -> bool {
    let has = Command::new("fincore").arg("--version").output().is_ok();
    if !has {
        eprintln!("skipped: fincore is not installed");
    }
    has
}

/// Files in memory cannot be evicted.
#[test]
#[cfg(target_os = "linux")]
fn what_is_not_evicted_is_counted_and_named() {
    let Ok(tree) = TempDir::new_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm to write to");
        return;
    };
    if !has_fincore() {
        return;
    }
    let name = tree.path().join(OsStr::from_bytes(b"a \x1b[2J\xff\nb"));
    fs::write(name, vec![b'x'; 100_000]).unwrap();
    fs::write(tree.path().join("empty"), "").unwrap();
    let told = text(&bench().args(["--cache", "cold"]).arg(tree.path()).output().unwrap());
    let line = told.lines().find(|line| line.starts_with("NOT EVICTED")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("102.40 kB of 1 file: ") && line.contains(tree.path().to_str().unwrap()), "{line}");
    assert!(!told.contains('\x1b') && told.contains("UNVERIFIED"), "{told}");

    let json = text(&bench().args(["--cache", "both", "--format", "json"]).arg(tree.path()).output().unwrap());
    let results: Value = serde_json::from_str(&json).unwrap();
    let cells = results["corpora"][0]["cells"].as_array().unwrap();
    for cell in cells {
        let is_cold = cell["cache"] == "cold";
        assert_eq!(cell.get("resident_bytes"), is_cold.then_some(&Value::from(102_400)), "{cell}");
        assert!(!is_cold || (cell["resident_files"] == 1 && cell["cache_verified"] == false), "{cell}");
    }
    assert_eq!(results["drop_caches"], false);
}

#[test]
fn of_what_is_evicted_nothing_is_left() {
    if !has_fincore() {
        return;
    }
    // Next to this program and not in what may be a file system in memory.
    let tree = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for file in 0..300 {
        fs::write(tree.path().join(format!("a name {file}")), vec![b'x'; 20_000]).unwrap();
    }
    let json = text(&bench().args(["--cache", "cold", "--format", "json"]).arg(tree.path()).output().unwrap());
    let results: Value = serde_json::from_str(&json).unwrap();
    for cell in results["corpora"][0]["cells"].as_array().unwrap() {
        if cell["cache_verified"] == false {
            // Some file systems keep what they like; that is said.
            eprintln!("skipped: this file system does not evict: {cell}");
            continue;
        }
        assert!(cell["resident_bytes"].as_u64().unwrap() <= cell["stored_bytes"].as_u64().unwrap() / 100, "{cell}");
    }
}

#[test]
fn without_anybody_to_ask_it_is_measured_on_and_said_once() {
    let tree = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(tree.path().join("a"), "a").unwrap();
    let nothing = TempDir::new().unwrap();
    let told = text(&bench().args(["--cache", "cold"]).arg(tree.path()).env("PATH", nothing.path()).output().unwrap());
    assert_eq!(told.matches("fincore cannot be started").count(), 1, "{told}");
    assert!(told.contains("Fastest: rayon") && !told.contains("NOT EVICTED"), "{told}");
}

#[test]
fn caches_are_dropped_by_root_and_for_cold_samples_only() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join("a"), "a").unwrap();
    let output = bench().arg("--drop-caches").arg(tree.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("add --cache cold"), "{stderr}");

    // As somebody else than root, whoever runs this.
    let is_root = fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches").is_ok();
    let mut command = bench();
    if is_root {
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program).args(arguments);
    }
    let Ok(output) = command.args(["--cache", "cold", "--drop-caches"]).arg(tree.path()).output() else {
        eprintln!("skipped: there is no setpriv to be somebody else with");
        return;
    };
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("failed to execute") {
        eprintln!("skipped: others may not run this program: {stderr}");
        return;
    }
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains("run the comparison as root, or leave --drop-caches out"), "{stderr}");
}
