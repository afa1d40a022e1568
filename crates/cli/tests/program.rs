//! The program as its users and their scripts see it: arguments in, lines, exit code and diagnostics out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use polyread_cli::Strategy;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

fn polyread() -> Command {
    Command::new(env!("CARGO_BIN_EXE_polyread"))
}

fn run(arguments: &[&str], path: &Path) -> Output {
    polyread().args(arguments).arg(path).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn tree(files: &[(&str, &[u8])]) -> TempDir {
    let tree = TempDir::new().unwrap();
    for (path, content) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tree
}

/// The figures of each file, as polyread and the oracle both write them.
fn figures(records: &[Value]) -> BTreeMap<String, [u64; 5]> {
    let of = |record: &Value| {
        ["bytes", "words", "chars", "lines", "invalid_bytes"].map(|key| record[key].as_u64().expect(key))
    };
    let files = records.iter().filter(|record| record["type"] == "file");
    files.map(|record| (record["path"].as_str().unwrap().to_owned(), of(record))).collect()
}

/// The strategies that this system has.
fn strategies() -> impl Iterator<Item = Strategy> {
    Strategy::ALL.into_iter().filter(|strategy| {
        let reason = strategy.available().err();
        reason.iter().for_each(|reason| println!("skipped {}: {reason}", strategy.name()));
        reason.is_none()
    })
}

/// Every strategy on one tree, against what the oracle has written.
fn assert_agrees(directory: &Path, root: &str, expected: &[Value]) {
    let expected = figures(expected);
    assert!(!expected.is_empty());
    for strategy in strategies() {
        let mut command = polyread();
        command.current_dir(directory).args(["--format", "json", "--sorted", "--strategy", strategy.name(), root]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let records = lines(&output);
        let found = figures(&records);
        for (path, figures) in &expected {
            assert_eq!(found.get(path), Some(figures), "{path} by {}", strategy.name());
        }
        assert_eq!(found.len(), expected.len());

        let paths: Vec<_> = records.iter().filter_map(|record| record["path"].as_str()).collect();
        assert!(paths.is_sorted(), "{paths:?}");
        let summary = records.last().unwrap();
        let sum = |at: usize| expected.values().map(|figures| figures[at]).sum::<u64>();
        for (at, key) in ["bytes", "words", "chars", "lines", "invalid_bytes"].iter().enumerate() {
            assert_eq!(summary[*key], sum(at), "{key}");
        }
        assert_eq!(summary["files"], expected.len());
        assert_eq!(summary["strategy"], strategy.name());
    }
}

#[test]
fn golden_files_are_counted_as_cpython_counts_them() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let expected = fs::read_to_string(golden.join("expected.ndjson")).unwrap();
    let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_agrees(&golden, "tree", &expected);
}

#[test]
fn every_scalar_value_and_random_bytes_are_counted_as_cpython_counts_them() {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/text_stats.py");
    let tree = TempDir::new().unwrap();
    let scalars = || (0..=0x10_ffff).filter_map(char::from_u32);
    fs::write(tree.path().join("all.txt"), scalars().collect::<String>()).unwrap();
    let apart: String = scalars().flat_map(|c| ['a', c, 'b', '\n']).collect();
    fs::write(tree.path().join("apart.txt"), apart).unwrap();
    let mut state = 1_u64;
    for file in 0..40 {
        // Knuth's MMIX generator: any bytes will do, as long as they are the same each time.
        let byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let bytes: Vec<u8> = std::iter::repeat_with(byte).take(file * file * 400).collect();
        fs::write(tree.path().join(format!("random-{file}")), bytes).unwrap();
    }
    let Ok(output) = Command::new("python3").arg(oracle).arg(".").current_dir(tree.path()).output() else {
        println!("skipped: there is no python3");
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    assert_agrees(tree.path(), ".", &lines(&output));
}

#[test]
fn json_has_the_keys_that_scripts_know_in_their_order() {
    let tree = tree(&[("a.txt", b"one two\r\n\xff"), ("b.md", b"")]);
    symlink("nowhere", tree.path().join("c")).unwrap();
    let output = polyread()
        .args(["--format", "json", "--sorted", "--strategy", "sequential", "--max-file-size", "5", "."])
        .current_dir(tree.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut text: Vec<_> = text.lines().collect();
    let summary = text.pop().unwrap();
    assert_eq!(
        text,
        [
            r#"{"type":"file","path":"./a.txt","error":{"kind":"too-large","operation":"open","message":"larger than the limit: 10 bytes, the largest size allowed is 5","bytes_read":0}}"#,
            r#"{"type":"file","path":"./b.md","bytes":0,"words":0,"chars":0,"lines":0,"invalid_bytes":0,"worker":"thread-0"}"#,
            r#"{"type":"skipped","path":"./c","reason":"dangling"}"#,
        ]
    );
    let before = r#"{"type":"summary","strategy":"sequential","files":2,"failed":1,"skipped":1,"bytes":0,"words":0,"chars":0,"lines":0,"invalid_bytes":0,"elapsed_s":"#;
    assert!(summary.starts_with(before) && summary.ends_with(r#","stopped":null}"#), "{summary}");
    assert!(lines(&output)[3]["elapsed_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn other_analyses_write_what_they_have() {
    let tree = tree(&[("text", "größe\n".as_bytes()), ("bytes", b"\xff\xfe")]);
    let json = |analysis| {
        let output = run(&["--format", "json", "--sorted", "-s", "sequential", "--analysis", analysis], tree.path());
        assert_eq!(output.status.code(), Some(0));
        let mut lines = lines(&output);
        lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("path")));
        lines
    };
    let bytes = json("bytes");
    assert_eq!(bytes[0], json!({"type": "file", "bytes": 2, "worker": "thread-0"}));
    assert_eq!(bytes[2].get("words"), None);
    let contents = json("contents");
    assert_eq!(contents[0]["contents_base64"], "//4=");
    assert_eq!(contents[1]["contents"], "größe\n");
    let text = run(&["--analysis", "contents", "--sorted"], &tree.path().join("text"));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.starts_with("==> ") && text.contains("text <==\ngröße\n"), "{text}");
}

#[test]
fn names_are_escaped_in_text_and_whole_in_json() {
    let tree = TempDir::new().unwrap();
    let name = OsStr::from_bytes(b"a\x1b[2J\n\xff\xe2\x80\xae.txt");
    fs::write(tree.path().join(name), "x").unwrap();
    let text = String::from_utf8(run(&[], tree.path()).stdout).unwrap();
    assert!(text.contains(r"/a\u{1b}[2J\n\xff\u{202e}.txt"), "{text}");
    assert!(!text.contains('\x1b'));

    let record = &lines(&run(&["--format", "json"], tree.path()))[0];
    assert!(record["path"].as_str().unwrap().ends_with("/a\u{1b}[2J\n\u{fffd}\u{202e}.txt"));
    let path =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, record["path_base64"].as_str().unwrap());
    assert_eq!(path.unwrap(), tree.path().join(name).as_os_str().as_bytes());
}

#[test]
fn filters_choose_files() {
    let tree = tree(&[("a.md", b""), ("b.txt", b""), (".c.md", b""), ("sub/d.md", b""), ("target/e.md", b"")]);
    fs::create_dir(tree.path().join(".git")).unwrap();
    fs::write(tree.path().join(".gitignore"), "a.md\n").unwrap();
    let names = |arguments: &[&str]| -> Vec<String> {
        let output = polyread()
            .args(["--format", "json", "--sorted"])
            .args(arguments)
            .arg(".")
            .current_dir(tree.path())
            .output()
            .unwrap();
        let paths = lines(&output);
        paths.iter().filter_map(|line| Some(line["path"].as_str()?.strip_prefix("./")?.to_owned())).collect()
    };
    assert_eq!(names(&["--ext", "md,txt"]), [".c.md", "a.md", "b.txt", "sub/d.md", "target/e.md"]);
    assert_eq!(names(&["--ext", "md", "--skip-hidden", "--exclude", "target"]), ["a.md", "sub/d.md"]);
    assert_eq!(names(&["--include", "sub/*", "--include", "b.*"]), ["b.txt", "sub/d.md"]);
    assert_eq!(names(&["--ext", "md", "--ignore-files"]), [".c.md", "sub/d.md", "target/e.md"]);
}

#[test]
fn exit_codes_say_what_happened_and_messages_where() {
    let tree = tree(&[("a", b"a")]);
    let check = |arguments: &[&str], path: &Path, code: i32, said: &str| {
        let output = run(arguments, path);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
        if code == 2 {
            assert!(output.stdout.is_empty());
        }
    };
    check(&[], tree.path(), 0, "");
    check(&[], &tree.path().join("missing"), 2, "missing: No such file or directory");
    check(&["--include", "x["], tree.path(), 2, "bad glob 'x['");
    check(&["--exclude", "{"], tree.path(), 2, "bad glob '{'");
    check(&["--workers", "0"], tree.path(), 2, "--workers");
    check(&["--ext", "*.md"], tree.path(), 2, "--include");
    check(&["--timeout", "1e19", "--workers", "99999999", "--max-open", "99999999"], tree.path(), 0, "");
    check(&["--timeout", "0"], tree.path(), 2, "--timeout");
    check(
        &["--strategy", "magic"],
        tree.path(),
        2,
        "sequential, rayon, tokio, async-std, hybrid, multiprocess, io-uring",
    );
    check(&["--max-file-size", "0"], tree.path(), 3, "a: larger than the limit");
    let empty = TempDir::new().unwrap();
    check(&[], empty.path(), 0, "");
    assert_eq!(polyread().output().unwrap().status.code(), Some(2));
}

#[test]
fn an_unreadable_file_is_named_and_the_rest_is_read() {
    let tree = tree(&[("closed", b"secret"), ("open", b"two words")]);
    fs::set_permissions(tree.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    for strategy in strategies() {
        let mut command = polyread();
        command.args(["--format", "json", "--sorted", "--strategy", strategy.name()]).arg(tree.path());
        if fs::File::open(tree.path().join("closed")).is_ok() {
            // Root ignores modes, unless it gives up what lets it.
            let program = std::mem::replace(&mut command, Command::new("setpriv"));
            command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]);
            command.arg(program.get_program()).args(program.get_args());
        }
        let Ok(output) = command.output() else {
            println!("skipped: permissions do not bite, and there is no setpriv");
            return;
        };
        assert_eq!(output.status.code(), Some(3));
        let lines = lines(&output);
        assert_eq!(lines[0]["error"]["kind"], "permission-denied");
        assert_eq!(lines[0]["error"]["operation"], "open");
        assert_eq!((&lines[1]["words"], &lines[2]["failed"]), (&json!(2), &json!(1)));
    }
}

#[test]
fn few_descriptors_are_enough() {
    let tree = polyread_conformance::tree::many(2_000);
    for strategy in strategies() {
        let program = env!("CARGO_BIN_EXE_polyread");
        let script = format!("ulimit -n 20 && exec {program} --format json --strategy {} \"$0\"", strategy.name());
        let output = Command::new("sh").args(["-c", &script]).arg(tree.path()).output().unwrap();
        let summary = lines(&output).pop().unwrap();
        assert_eq!((&summary["files"], &summary["failed"]), (&json!(2_000), &json!(0)), "{}", strategy.name());
    }
}

#[test]
fn a_reader_that_goes_away_and_a_full_device_are_no_panic() {
    let tree = polyread_conformance::tree::many(5_000);
    let mut child = polyread().arg(tree.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(first.contains("words"));
    assert_eq!((output.status.code(), stderr(&output)), (Some(141), String::new()));

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = polyread().arg(tree.path()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot write to standard output: No space left"), "{}", stderr(&output));
}

/// Waits for what another process does. The bound tells a wait from a hang; it measures nothing.
fn wait_until(what: &str, mut happens: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happens() {
        assert!(started.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process and its children, where the kernel tells of them.
fn processes_of(id: u32) -> Vec<PathBuf> {
    let processes = polyread_conformance::children_of(id).into_iter().chain([id]);
    processes.map(|process| PathBuf::from(format!("/proc/{process}"))).collect()
}

/// A run over a sparse file that takes hours to count, well into it, with the most memory it has had, in bytes.
fn deep_in_a_sparse_file(tree: &TempDir, strategy: Strategy) -> (Child, u64) {
    let path = tree.path().join("sparse");
    // 4 TiB of nothing: only its length is stored. 20 GB would do, were the machine not to count them in time.
    fs::File::create(&path).unwrap().set_len(4 << 40).unwrap();
    let child = polyread()
        .args(["--format", "json", "--strategy", strategy.name()])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Until it has read some hundred megabytes, by its own account and that of its workers.
    let figure = |file: &str, key: &str| -> u64 {
        let figure = |process: PathBuf| -> u64 {
            let text = fs::read_to_string(process.join(file)).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        processes_of(child.id()).into_iter().map(figure).max().unwrap_or(0)
    };
    wait_until("the program reads", || figure("io", "rchar:") > 200_000_000);
    let peak = figure("status", "VmHWM:") * 1024;
    (child, peak)
}

#[test]
fn signals_end_the_run_in_order_and_counting_takes_no_memory() {
    for strategy in strategies() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let tree = TempDir::new().unwrap();
            let (child, peak) = deep_in_a_sparse_file(&tree, strategy);
            kill_process(Pid::from_child(&child), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{}", strategy.name());
            let lines = lines(&output);
            assert_eq!(lines[0]["error"]["kind"], "cancelled");
            assert!(lines[0]["error"]["bytes_read"].as_u64().unwrap() > 100_000_000);
            assert_eq!(lines[1]["stopped"], "signal");
            assert!((1..32 << 20).contains(&peak), "{} had {peak} bytes", strategy.name());
        }
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let tree = polyread_conformance::tree::many(3_000);
    let mut child = polyread().args(["--format", "json"]).arg(tree.path()).stdout(Stdio::piped()).spawn().unwrap();
    // One byte, then no more: the pipe fills, and the program can neither write nor end in order.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let pid = Pid::from_child(&child);
    let waits_to_write = || {
        let call = fs::read_to_string(format!("/proc/{}/syscall", child.id())).unwrap_or_default();
        // Where the kernel does not show it, or numbers calls otherwise, the pipe is full soon enough.
        call.is_empty() || call.starts_with("1 ") || !cfg!(target_arch = "x86_64")
    };
    wait_until("the program waits for its reader", waits_to_write);
    kill_process(pid, Signal::INT).unwrap();
    // Until the first has been taken note of; it cannot be seen from outside, so that more than two may be sent.
    let status = loop {
        std::thread::sleep(Duration::from_millis(50));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let _ = kill_process(pid, Signal::INT);
    };
    assert_eq!(status.code(), Some(130));
}

#[test]
fn completions_come_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = polyread().args(["--completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains("max-file-size"), "{shell}");
    }
}
