//! The strategy that not every system has: what is said where it is missing, and how few calls it takes where it is not.

use std::process::{Command, Output};

use polyread_cli::Strategy;

/// The program under strace with these options; `None`, said on standard output, where that cannot be.
fn strace(options: &[&str], arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(options).arg(env!("CARGO_BIN_EXE_polyread"));
    command.args(["--format", "json", "--strategy", "io-uring"]).args(arguments);
    let output = command.output().ok().filter(|output| {
        let told = String::from_utf8_lossy(&output.stderr);
        !["ptrace", "PTRACE", "invalid option", "invalid -e"].iter().any(|trouble| told.contains(trouble))
    });
    if output.is_none() {
        println!("skipped: strace is not installed, or may not trace");
    }
    output
}

#[test]
fn a_system_without_it_ends_the_program_with_a_reason() {
    let cases = [
        ("ENOSYS", "built without io_uring"),
        ("EPERM", if Strategy::IoUring.available().is_ok() { "seccomp" } else { "io_uring" }),
        ("ENOMEM", "ulimit -l"),
        ("EMFILE", "no ring can be made"),
    ];
    for (error, reason) in cases {
        let inject = format!("inject=io_uring_setup:error={error}");
        let Some(output) = strace(&["-o", "/dev/null", "-e", "trace=io_uring_setup", "-e", &inject], &["src"]) else {
            return;
        };
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}: {told}");
        assert!(told.contains("io-uring reader is not available here") && told.contains(reason), "{error}: {told}");
        assert!(output.stdout.is_empty(), "{error}");
    }
}

#[test]
fn rings_that_cannot_be_made_later_are_done_without() {
    if let Err(reason) = Strategy::IoUring.available() {
        println!("skipped: {reason}");
        return;
    }
    // The first is made to see whether there are any.
    let inject = "inject=io_uring_setup:error=ENOMEM:when=2+";
    let options = ["-o", "/dev/null", "-e", "trace=io_uring_setup", "-e", inject];
    if let Some(output) = strace(&options, &["src"]) {
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("\"failed\":0"), "{told}");
    }
}

#[test]
fn small_files_take_no_call_each() {
    const FILES: usize = 2_000;
    if let Err(reason) = Strategy::IoUring.available() {
        println!("skipped: {reason}");
        return;
    }
    let tree = polyread_conformance::tree::many(FILES);
    let counts = tree.path().with_extension("counts");
    let options = ["-c", "-o", counts.to_str().unwrap()];
    // Sorted: all entries are there before the first is read, however slowly a traced walk goes.
    let Some(output) = strace(&options, &["--sorted", tree.path().to_str().unwrap()]) else { return };
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = std::fs::read_to_string(&counts).unwrap();
    std::fs::remove_file(&counts).unwrap();
    let calls = |name: &str| {
        let line = told.lines().find(|line| line.split_ascii_whitespace().last() == Some(name));
        line.map_or(0, |line| line.split_ascii_whitespace().nth(3).unwrap().parse().unwrap())
    };
    let turns: usize = calls("io_uring_enter");
    assert!((1..FILES / 4).contains(&turns), "{turns} turns: {told}");
    for name in ["openat2", "openat", "fstat", "statx", "read", "close"] {
        let calls: usize = calls(name);
        assert!(calls < FILES / 4, "{calls} calls of {name}: {told}");
    }
}
