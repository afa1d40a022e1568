//! `--peers` as its users run it: programs of others over names and texts that they might trip over.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const PEERS: [&str; 7] =
    ["find-xargs-wc", "python-async", "python-hybrid", "python-processes", "python-threads", "rg", "tokei"];

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

fn bench() -> Command {
    let mut command = xtask();
    command.args(["bench", "--runs", "1", "--no-twins", "--strategy", "rayon", "--peers"]);
    command
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The cells of those peers that are installed; about the others a reason is printed.
fn cells(results: &Value) -> Vec<&Value> {
    let notes = results["notes"].to_string();
    for peer in PEERS.iter().filter(|peer| notes.contains(&format!("{peer} takes no part: "))) {
        eprintln!("skipped: {peer}, see {notes}");
    }
    let cells = results["corpora"][0]["cells"].as_array().unwrap();
    let peers: Vec<_> = cells.iter().filter(|cell| cell["kind"] == "peer").collect();
    for peer in PEERS {
        let is_there = peers.iter().any(|cell| cell["strategy"] == peer);
        assert_ne!(is_there, notes.contains(&format!("{peer} takes no part: ")), "{peer} in {results}");
    }
    peers
}

/// Ten files, and two links that are none.
fn hostile(root: &Path) {
    let files: [(&[u8], &[u8]); 9] = [
        (b"total", b"no line feed"),
        (b"new\nline 5 5 5 /total", b"one\r\ntwo\xff\n"),
        (b"-lead", b"\r\r\n"),
        (b"sub dir/total", "\u{3000}文字\u{2028}x".as_bytes()),
        (b"not\xffutf", b"a\x1cb \xf0\x9f\x98"),
        (b".hidden", b"\0\0 \0"),
        (b".gitignore", b"*\n"),
        (b"'quoted' \"\\", b""),
        (b"tab\there", b"\xef\xbb\xbfbom"),
    ];
    for (name, content) in files {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    // Above the size at which the hybrid takes its other way.
    fs::write(root.join("sub dir/large"), b"\xff one\r\n\xe6\x96\x87 two ".repeat(2000)).unwrap();
    symlink("total", root.join("link")).unwrap();
    symlink("..", root.join("sub dir/up")).unwrap();
}

#[test]
fn each_counts_hostile_names_and_texts_as_polyread_does_where_it_counts_the_same() {
    let tree = TempDir::new().unwrap();
    // The root is hostile as well, and the way to it relative.
    let root = tree.path().join("-r\n1 1 1 total");
    fs::create_dir(&root).unwrap();
    hostile(&root);
    let results = json(&bench().args(["--format", "json"]).arg(&root).output().unwrap());
    let corpus = &results["corpora"][0];
    let truth = &corpus["cells"].as_array().unwrap().iter().find(|cell| cell["strategy"] == "rayon").unwrap()["totals"];
    assert_eq!((&truth["files"], &corpus["failures"]), (&10.into(), &json!([])));
    for cell in cells(&results) {
        assert_eq!(cell["verified"], true, "{cell} and {truth}");
        let name = cell["strategy"].as_str().unwrap();
        let told = &cell["totals"];
        let same: &[&str] = match name {
            "find-xargs-wc" => &["files", "lines"],
            "rg" => &["files"],
            "tokei" => &[],
            _ => &["files", "bytes", "words", "chars"],
        };
        for key in same {
            assert_eq!(told[key], truth[key], "{key} of {name}");
        }
        for key in ["median_s", "peak_rss_bytes"] {
            assert!(cell[key].as_f64().unwrap() > 0.0, "{key} in {cell}");
        }
        // Who reads all of the tree has read its bytes, counted or not.
        assert_eq!(cell["bytes_per_s"].as_f64().unwrap() > 0.0, name != "tokei", "{cell}");
    }
    assert_eq!(corpus["fastest"]["warm"], "rayon");
    assert_eq!(results["recommendation"], "rayon");

    let relative = bench()
        .args(["--format", "json", "--analysis", "bytes", "--", "-r\n1 1 1 total"])
        .current_dir(tree.path())
        .output()
        .unwrap();
    assert!(cells(&json(&relative)).iter().all(|cell| cell["verified"] == true && cell["totals"]["words"] == 0));
}

#[test]
fn who_misses_a_file_is_wrong_and_not_ranked() {
    let tree = TempDir::new().unwrap();
    hostile(tree.path());
    let tools = TempDir::new().unwrap();
    // A `find` that finds less than there is.
    let find = "#!/bin/sh\nexec /usr/bin/find \"$2\" -type f ! -name -lead -print0\n";
    let path = tools.path().join("find");
    fs::write(&path, find).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    if !Path::new("/usr/bin/find").exists() {
        eprintln!("skipped: there is no /usr/bin/find");
        return;
    }
    let search = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let output = bench().arg(tree.path()).env("PATH", search).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("WRONG, not ranked: find-xargs-wc found 9 files"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

/// It is told, and is no fault of polyread.
#[test]
fn a_peer_that_fails_fails_alone() {
    let tree = TempDir::new().unwrap();
    hostile(tree.path());
    let tools = TempDir::new().unwrap();
    let path = tools.path().join("rg");
    fs::write(&path, "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = bench();
    command.arg(tree.path()).env("PATH", tools.path()).env_remove("RUST_BACKTRACE");
    let told = command.output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains("FAILED, not ranked: rg: exit status: 1: Error: rg: exit status: 7"), "{text}");
    assert!(told.status.success() && text.contains("Fastest: rayon"), "{text}");
}

#[test]
fn who_is_not_installed_takes_no_part_and_that_is_said() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join("a"), "a").unwrap();
    let nothing = TempDir::new().unwrap();
    let output = bench().arg(tree.path()).env("PATH", nothing.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // As wide as it may be: lines are broken anywhere.
    let text = String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for peer in PEERS {
        assert!(text.contains(&format!("{peer} takes no part: ")), "{peer} in {text}");
    }
    for remedy in ["packages findutils and coreutils", "cargo install tokei", "package ripgrep", "package python3"] {
        assert!(text.contains(remedy), "{remedy} in {text}");
    }

    // A python3 that has no modules of others.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let Some(python) = python.ok().filter(|it| it.status.success()) else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let python = String::from_utf8(python.stdout).unwrap();
    let path = nothing.path().join("python3");
    fs::write(&path, format!("#!/bin/sh\nexec '{}' -I -S \"$@\"\n", python.trim())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench().arg(tree.path()).env("PATH", nothing.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for (peer, said) in [("python-async", true), ("python-hybrid", true), ("python-threads", false)] {
        assert_eq!(text.contains(&format!("{peer} takes no part: python3 has no module aiofiles")), said, "{text}");
    }
}

/// A comparison that is killed leaves nobody behind who reads on.
#[test]
#[cfg(target_os = "linux")]
fn a_python_reader_ends_with_the_sample_that_started_it() {
    let tree = TempDir::new().unwrap();
    // Seconds of counting.
    fs::write(tree.path().join("a"), "a ".repeat(75_000_000)).unwrap();
    let root = tree.path().to_str().unwrap();
    let sample =
        ["sample", "--contestant", "python-threads", "--analysis", "text-stats", "--cache", "warm", "--", root];
    let mut sample = xtask().args(sample).stdout(Stdio::null()).spawn().unwrap();
    let reader = || {
        fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path()).find(|process| {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("threaded_file_reader.py") && line.contains(root)
        })
    };
    let until = |happened: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !happened() && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        happened()
    };
    let is_reading = |process: PathBuf| {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
        // More than any interpreter has before it reads.
        resident.is_some_and(|kilobytes| kilobytes.trim().parse::<u64>().unwrap() > 100_000)
    };
    let process = until(&|| reader().is_some_and(is_reading)).then(reader).flatten();
    sample.kill().unwrap();
    sample.wait().unwrap();
    let Some(process) = process else {
        eprintln!("skipped: no python3 has started to read");
        return;
    };
    assert!(until(&|| !process.exists() || reader().is_none()), "{} reads on", process.display());
}
