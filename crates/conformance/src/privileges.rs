//! Making permissions bite: root ignores them, and a test that runs as root would show nothing.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Set in the process that has given up what lets root ignore permissions.
const GIVEN_UP: &str = "POLYREAD_CONFORMANCE_UNPRIVILEGED";

/// Runs a check in a process of its own that cannot ignore permissions, nor can any thread or process that it starts,
/// whoever starts it: the test program again, for this test alone. `test` is the path of the test.
pub fn run_unprivileged(test: &str, check: impl FnOnce() + Send + 'static) {
    if std::env::var_os(GIVEN_UP).is_some() {
        return crate::run(check);
    }
    // A thread of its own: what it gives up is gone for it and for what it starts, but not for the other tests.
    let test = test.split_once("::").map_or(test, |(_, test)| test).to_owned();
    let run = std::thread::spawn(move || {
        give_up();
        let this = std::env::current_exe().expect("this program");
        Command::new(this)
            .args(["--exact", &test, "--nocapture"])
            .env(GIVEN_UP, "1")
            .output()
            .expect("starting it again")
    });
    let output = run.join().expect("the run");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "no such test: {told}");
    told.lines().filter(|line| line.starts_with("skipped")).for_each(|line| println!("{line}"));
}

fn give_up() {
    // Who is not root has none of them to lose.
    for capability in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
        let _ = remove_capability_from_bounding_set(capability);
    }
    if let Ok(mut sets) = rustix::thread::capabilities(None) {
        sets.inheritable = CapabilitySet::empty();
        let _ = rustix::thread::set_capabilities(None, sets);
    }
}

/// Whether permissions bite in this process. Says so if they do not.
pub(crate) fn bite() -> bool {
    let probe = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(probe.path(), Permissions::from_mode(0o000)).unwrap();
    let bite = File::open(probe.path()).is_err();
    if !bite {
        println!("skipped in part: this process cannot give up ignoring permissions");
    }
    bite
}
