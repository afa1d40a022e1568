//! `polyread advise` as its users and their scripts see it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

fn polyread() -> Command {
    Command::new(env!("CARGO_BIN_EXE_polyread"))
}

fn advise(arguments: &[&str], path: &Path) -> Output {
    polyread().arg("advise").args(arguments).arg(path).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn json_of(output: &Output) -> Value {
    assert_eq!(stdout(output).lines().count(), 1, "{}", stdout(output));
    serde_json::from_str(stdout(output)).unwrap()
}

/// So many files of so many bytes each. Only their lengths are stored.
fn tree(files: &[(usize, u64)]) -> TempDir {
    let tree = TempDir::new().unwrap();
    for (group, (count, bytes)) in files.iter().enumerate() {
        for file in 0..*count {
            fs::File::create(tree.path().join(format!("{group}-{file}"))).unwrap().set_len(*bytes).unwrap();
        }
    }
    tree
}

/// What follows a label in the text.
fn labelled<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label} in {text}")).trim_start()
}

#[test]
fn text_tells_figures_advice_and_what_to_run() {
    let tree = tree(&[(1, 0), (11, 300), (4, 20_000)]);
    symlink("nowhere", tree.path().join("link")).unwrap();
    let output =
        polyread().args(["advise", "--exclude", "1-10", "--exclude=-*", "."]).current_dir(tree.path()).output();
    let output = output.unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let text = stdout(&output);
    let head = "\
15 files (1 empty), 83,000 bytes, 5,533 on average
bytes of a file  smallest  10%  median     90%     99%  largest
                        0  300     300  19,968  19,968   20,000
below 10,000 bytes: 73.3% of the files, 3.6% of the bytes
1 skipped: 1 dangling

strategy    hybrid
because     11 of 15 files are below 10,000 bytes and 4 are not, ";
    assert!(text.starts_with(head), "{text}");
    assert!(labelled(text, "settings").starts_with("workers "));
    assert!(labelled(text, "or").starts_with("rayon: "));
    assert!(labelled(text, "but").contains("rules of thumb"));
    let run = labelled(text, "run");
    assert!(run.starts_with("polyread --strategy hybrid --workers "), "{run}");
    assert!(run.ends_with(" --exclude 1-10 '--exclude=-*' ."), "{run}");
    assert_eq!(labelled(text, "Cargo.toml"), r#"polyread-hybrid = "0.1""#);
    assert!(text.lines().all(|line| line.starts_with("run") || line.chars().count() <= 100), "{text}");
}

#[test]
fn json_has_the_keys_that_scripts_know_in_their_order() {
    let tree = tree(&[(3, 100), (1, 20_000)]);
    symlink("nowhere", tree.path().join("link")).unwrap();
    let output = advise(&["--format", "json", "--cpu-bound"], tree.path());
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let text = stdout(&output);
    let head = r#"{"type":"advice","files":4,"bytes":20300,"mean_size":5075,"empty_files":0,"small_files":3,"small_bytes":300,"sizes":{"min":100,"p10":100,"p50":100,"p90":19968,"p99":19968,"max":20000},"failed":0,"skipped":1,"cpu_bound":true,"mixed_workload":true,"advice":{"strategy":"multiprocess","why":"#;
    assert!(text.starts_with(head) && text.ends_with("},\"stopped\":null}\n"), "{text}");
    let advice = &json_of(&output)["advice"];
    let keys: Vec<_> = advice.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 7);
    for key in ["why", "caveat"] {
        assert!(advice[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    assert!(advice["settings"]["workers"].as_u64() >= Some(1) && advice["settings"]["why"].is_string());
    assert_eq!(advice["settings"]["max_open_files"], Value::Null);
    assert_eq!(advice["settings"]["hops_in_flight"], Value::Null);
    assert_eq!(advice["alternatives"][0]["strategy"], "rayon");
    let workers = advice["settings"]["workers"].to_string();
    assert_eq!(advice["options"], json!(["--strategy", "multiprocess", "--workers", workers]));
    assert_eq!(advice["dependency"], r#"polyread-multiprocess = "0.1""#);
}

#[test]
fn each_rule_has_its_strategy() {
    let strategy = |arguments: &[&str], files: &[(usize, u64)]| {
        let output = advise(&[&["--format", "json"], arguments].concat(), tree(files).path());
        json_of(&output)["advice"]["strategy"].as_str().unwrap().to_owned()
    };
    assert_eq!(strategy(&[], &[(1_001, 999)]), "tokio");
    assert_eq!(strategy(&["--cpu-bound"], &[(1_001, 999)]), "tokio");
    assert_eq!(strategy(&["--cpu-bound"], &[(1_000, 999)]), "multiprocess");
    assert_eq!(strategy(&[], &[(9, 9_999), (1, 10_000)]), "hybrid");
    assert_eq!(strategy(&[], &[(1_000, 999)]), "rayon");
    // Sizes are asked for, files not read: this one would take hours.
    assert_eq!(strategy(&[], &[(1, 4 << 40)]), "rayon");
}

#[test]
fn options_bring_the_settings_into_the_program() {
    let tree = tree(&[(1_001, 1)]);
    let script = format!("ulimit -n 40 && exec {} advise --format json \"$0\"", env!("CARGO_BIN_EXE_polyread"));
    let output = Command::new("sh").args(["-c", &script]).arg(tree.path()).output().unwrap();
    let advice = &json_of(&output)["advice"];
    let hops = advice["settings"]["hops_in_flight"].as_u64().unwrap();
    // Two hops for each worker; and no more open files than this shell can have.
    let workers = hops.div_ceil(2).to_string();
    let expected = ["--strategy", "tokio", "--workers", &workers, "--max-open", "10"];
    assert_eq!(advice["options"], json!(expected));
    let output = polyread().args(expected).args(["--format", "json"]).arg(tree.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn exit_codes_say_what_happened_and_messages_where() {
    let files = tree(&[(1, 1)]);
    let check = |arguments: &[&str], path: &Path, code: i32, said: &str| {
        let output = advise(arguments, path);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
        if code == 2 {
            assert!(output.stdout.is_empty());
        }
    };
    check(&[], files.path(), 0, "");
    check(&[], &files.path().join("0-0"), 0, "");
    check(&[], &files.path().join("missing"), 2, "missing: No such file or directory");
    check(&["--include", "x["], files.path(), 2, "bad glob 'x['");
    check(&["--format", "xml"], files.path(), 2, "--format");
    check(&["--strategy", "tokio"], files.path(), 2, "--strategy");
    assert_eq!(polyread().arg("advise").output().unwrap().status.code(), Some(2));

    let empty = TempDir::new().unwrap();
    let output = advise(&[], empty.path());
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("There is no file to advise on."), "{}", stdout(&output));
    let nothing = json_of(&advise(&["--format", "json"], empty.path()));
    assert_eq!((&nothing["files"], &nothing["mean_size"], &nothing["sizes"]), (&json!(0), &Value::Null, &Value::Null));
    assert_eq!(nothing["advice"], Value::Null);
}

#[test]
fn what_cannot_be_looked_at_is_named_and_the_rest_advised_on() {
    let tree = tree(&[(1, 1)]);
    let closed = tree.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let run = |path: &Path| {
        let mut command = polyread();
        command.args(["advise", "--format", "json"]).arg(path);
        if fs::read_dir(&closed).is_ok() {
            // Root ignores modes, unless it gives up what lets it.
            let program = std::mem::replace(&mut command, Command::new("setpriv"));
            command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]);
            command.arg(program.get_program()).args(program.get_args());
        }
        command.output()
    };
    let (Ok(some), Ok(none)) = (run(tree.path()), run(&closed)) else {
        println!("skipped: permissions do not bite, and there is no setpriv");
        return;
    };
    for (output, code, files) in [(some, 0, 1), (none, 3, 0)] {
        assert_eq!(output.status.code(), Some(code));
        assert!(stderr(&output).contains("closed: permission denied"), "{}", stderr(&output));
        let object = json_of(&output);
        assert_eq!((&object["files"], &object["failed"]), (&json!(files), &json!(1)));
        assert_eq!(object["advice"].is_null(), files == 0);
    }
}

#[test]
fn the_command_to_run_is_safe_to_show_and_to_copy() {
    let tree = TempDir::new().unwrap();
    let directory = tree.path().join(OsStr::from_bytes(b"it's a\x1b[2J\n\xff\xe2\x80\xae $dir"));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("advise"), "two words").unwrap();
    let text = advise(&[], &directory);
    assert!(stdout(&text).chars().all(|char| char == '\n' || !char.is_control()), "{}", stdout(&text));
    let run = labelled(stdout(&text), "run").replacen("polyread", env!("CARGO_BIN_EXE_polyread"), 1);
    let Ok(output) = Command::new("bash").args(["-c", &run]).output() else {
        println!("skipped: there is no bash");
        return;
    };
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    assert!(stdout(&output).contains("1 file: 2 words"), "{}", stdout(&output));
}

#[test]
fn directories_of_any_name_can_be_read() {
    let tree = TempDir::new().unwrap();
    for name in ["advise", "help", "-x"] {
        fs::create_dir(tree.path().join(name)).unwrap();
        fs::write(tree.path().join(name).join("file"), "two words").unwrap();
    }
    let run = |arguments: &[&str]| {
        let output = polyread().args(arguments).current_dir(tree.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        output
    };
    for (arguments, files) in [
        (&["./advise"] as &[&str], 1),
        (&["--sorted", "advise"], 1),
        (&["help", "advise"], 2),
        (&["help"], 1),
        (&["--", "advise"], 1),
    ] {
        assert!(stdout(&run(arguments)).contains(&format!("{files} file")), "{arguments:?}");
    }
    // What it says to run reads the same directories.
    for (arguments, ending) in
        [(&["advise", "advise"] as &[&str], " advise"), (&["advise", "--", "-x", "advise"], " -- -x advise")]
    {
        let advice = run(arguments);
        let command = labelled(stdout(&advice), "run").strip_prefix("polyread ").unwrap().to_owned();
        assert!(command.ends_with(ending), "{command}");
        let arguments: Vec<_> = command.split(' ').collect();
        let read = run(&arguments);
        assert!(stdout(&read).contains("advise/file"), "{command}");
    }
}

#[test]
fn a_reader_that_goes_away_and_a_full_device_are_no_panic() {
    let tree = tree(&[(1, 1)]);
    for format in ["text", "json"] {
        let mut command = polyread();
        command.args(["advise", "--format", format]).arg(tree.path()).stderr(Stdio::piped());
        // Its reading end is gone before the program has started.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(141), ""));

        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("cannot write to standard output: No space left"), "{}", stderr(&output));
    }
}

/// Waits for what another process does. The bound tells a wait from a hang; it measures nothing.
fn wait_for<T>(what: &str, mut happens: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(happened) = happens() {
            return happened;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often the thread that takes note of signals has gone to sleep, if it sleeps.
fn naps_of_the_signals_thread(process: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let thread = threads.flatten().find(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.starts_with("polyread-signal"))
    })?;
    let status = fs::read_to_string(thread.path().join("status")).ok()?;
    let of = |key| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    of("State:")?.starts_with('S').then_some(of("voluntary_ctxt_switches:")?.parse().ok()?)
}

#[test]
fn a_signal_ends_the_walk_with_advice_on_what_was_seen() {
    // More to complain about than a pipe takes: whoever does not read holds the program up.
    const LINKS: usize = 800;
    let tree = tree(&[(1, 1)]);
    let long = "x".repeat(200);
    for number in 0..LINKS {
        symlink(".", tree.path().join(format!("{long}{number}"))).unwrap();
    }
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut child = polyread()
            .args(["advise", "--follow", "--format", "json"])
            .arg(tree.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut complaints = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        complaints.read_line(&mut first).unwrap();
        assert!(first.contains("link loop"), "{first}");

        let process = child.id();
        let naps = || naps_of_the_signals_thread(process);
        let before = wait_for("the program listens to signals", naps);
        kill_process(Pid::from_child(&child), signal).unwrap();
        // It may end at once, if it is not held up yet.
        let noted = || naps().is_some_and(|naps| naps != before);
        wait_for("it takes note of the signal", || (noted() || child.try_wait().unwrap().is_some()).then_some(()));
        let told = 1 + complaints.lines().count();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let object = json_of(&output);
        assert_eq!((&object["stopped"], &object["failed"]), (&json!("signal"), &json!(told)));
        assert!(told < LINKS, "{told}");
        let advice = &object["advice"];
        assert!(advice.is_null() || advice["caveat"].as_str().unwrap().starts_with("Measuring was stopped early"));
    }
}
