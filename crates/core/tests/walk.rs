//! What the walk takes of the machine: memory, descriptors, threads, stack; on trees that are deep or wide.

use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use polyread_core::{Contents, Discovery, DiscoveryError, FileReader, Job, SequentialReader};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Runs `check` in a process of its own, for what holds for a whole process: this test program again, for one test alone.
fn in_a_process(test: &str, variables: &[(&str, &str)], check: impl FnOnce()) {
    const IS_IT: &str = "POLYREAD_TEST_ALONE";
    if std::env::var_os(IS_IT).is_some_and(|name| name == *test) {
        return check();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(IS_IT, test).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "no such test: {told}");
}

/// A number of bytes in what the system says of this process.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// As many directories one in the other, with a file in every hundredth and in the last. With `beside`, each has a second
/// directory, with a file in every twentieth, so that the walk comes back to it.
fn nested(levels: usize, beside: bool) -> (TempDir, usize) {
    let tree = TempDir::new().unwrap();
    let mut directory = openat(CWD, tree.path(), DIRECTORY, Mode::empty()).unwrap();
    let mut files = 0;
    for level in 1..=levels {
        mkdirat(&directory, "d", Mode::RWXU).unwrap();
        if beside {
            mkdirat(&directory, "beside", Mode::RWXU).unwrap();
            if level % 20 == 0 {
                files += write(&directory, "beside/file");
            }
        }
        directory = openat(&directory, "d", DIRECTORY, Mode::empty()).unwrap();
        if level % 100 == 0 || level == levels {
            files += write(&directory, "file");
        }
    }
    (tree, files)
}

fn write(directory: &OwnedFd, name: &str) -> usize {
    let file = openat(directory, name, OFlags::WRONLY | OFlags::CREATE, Mode::RUSR | Mode::WUSR).unwrap();
    rustix::io::write(file, b"x").unwrap()
}

/// Removes what removing by path, or with a descriptor for each level, would not.
fn remove_nested(tree: &TempDir) {
    let root = openat(CWD, tree.path(), DIRECTORY, Mode::empty()).unwrap();
    while tree.path().join("d/d").exists() {
        renameat(&root, "d/d", &root, "next").unwrap();
        fs::remove_dir_all(tree.path().join("d")).unwrap();
        renameat(&root, "next", &root, "d").unwrap();
    }
    let _ = unlinkat(&root, "d", rustix::fs::AtFlags::empty());
}

#[test]
fn a_tree_deeper_than_the_longest_path_is_read_to_the_last_file() {
    for (levels, beside, threads) in [(2_100, false, 1), (2_100, true, 2)] {
        let (tree, files) = nested(levels, beside);
        for follow in [false, true] {
            let walk = Discovery::new(tree.path()).threads(threads).follow_links(follow).walk().unwrap();
            let (mut read, mut longest) = (0, 0);
            let mut count = |record: polyread_core::FileResult<_>| {
                assert_eq!(record.outcome.unwrap(), b"x");
                longest = longest.max(record.path.as_os_str().len());
                read += 1;
                ControlFlow::Continue(())
            };
            SequentialReader::new().read(Job::new(walk, Contents::default()), &mut count).unwrap();
            assert_eq!((read, longest > 4096), (files, true), "{levels} {beside} {threads} {follow}");
        }
        remove_nested(&tree);
    }
}

#[test]
fn a_deep_tree_takes_no_descriptor_for_each_level() {
    in_a_process("a_deep_tree_takes_no_descriptor_for_each_level", &[], || {
        let (tree, files) = nested(300, true);
        for threads in [1, 4] {
            let before = fs::read_dir("/proc/self/fd").unwrap().count();
            let walk = Discovery::new(tree.path()).threads(threads).walk().unwrap();
            let mut found = 0;
            for entry in walk {
                entry.unwrap();
                found += 1;
                let more = fs::read_dir("/proc/self/fd").unwrap().count().saturating_sub(before);
                assert!(more < 32, "{more} descriptors");
            }
            assert_eq!(found, files);
        }
        remove_nested(&tree);
    });
}

/// What a walk adds to the memory of the process at the most, in bytes.
fn memory_of_walking(root: &Path) -> (usize, u64) {
    // The first walk starts what is started once.
    Discovery::new(root).max_depth(0).walk().unwrap().for_each(drop);
    let before = memory("VmRSS").max(memory("VmHWM"));
    let found = Discovery::new(root).threads(1).walk().unwrap().count();

    (found, memory("VmHWM") - before)
}

/// Bytes of the longest name.
const LONG: usize = 250;

#[test]
fn one_directory_of_many_files_streams() {
    in_a_process("one_directory_of_many_files_streams", &[], || {
        let tree = TempDir::new().unwrap();
        for file in 0..12_000 {
            fs::write(tree.path().join(format!("{file:0LONG$}")), "").unwrap();
        }
        let (found, grown) = memory_of_walking(tree.path());
        assert_eq!(found, 12_000);
        assert!(grown < 2 << 20, "{grown} bytes for names of {} bytes in all", 12_000 * LONG);
    });
}

#[test]
fn one_directory_of_many_directories_streams() {
    in_a_process("one_directory_of_many_directories_streams", &[], || {
        let tree = TempDir::new().unwrap();
        for directory in 0..12_000 {
            fs::create_dir(tree.path().join(format!("{directory:0LONG$}"))).unwrap();
        }
        fs::write(tree.path().join(format!("{:0LONG$}/file", 7)), "").unwrap();
        let (found, grown) = memory_of_walking(tree.path());
        assert_eq!(found, 1);
        assert!(grown < 2 << 20, "{grown} bytes for names of {} bytes in all", 12_000 * LONG);
    });
}

#[test]
fn a_walk_waits_for_free_descriptors() {
    in_a_process("a_walk_waits_for_free_descriptors", &[], || {
        let (tree, files) = nested(40, true);
        let few = Rlimit { current: Some(40), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, few).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| openat(CWD, "/", DIRECTORY, Mode::empty()).ok()).collect();
        assert!(taken.len() > 20);
        let walk = Discovery::new(tree.path()).threads(3).walk().unwrap();
        let giving_back = std::thread::spawn(move || {
            // So that the walk meets the lack at its root, and again with each that is given back.
            for descriptor in taken {
                std::thread::sleep(std::time::Duration::from_millis(5));
                drop(descriptor);
            }
        });
        let found: Vec<_> = walk.collect::<Result<_, _>>().unwrap();
        assert_eq!(found.len(), files);
        giving_back.join().unwrap();
    });
}

/// Lets this process have `more` bytes of addresses than it has: threads are what takes many at once.
fn limit_addresses(more: u64) {
    let limit = Rlimit { current: Some(memory("VmSize") + more), ..getrlimit(Resource::As) };
    setrlimit(Resource::As, limit).unwrap();
}

/// A stack of 64 MiB for each thread and nothing else that comes with one, so that a limit on addresses is one on threads.
/// One on processes would not bind root.
const STACK: [(&str, &str); 2] = [("RUST_MIN_STACK", "67108864"), ("MALLOC_ARENA_MAX", "1")];

#[test]
fn a_walk_that_may_have_no_second_thread_goes_on_alone() {
    in_a_process("a_walk_that_may_have_no_second_thread_goes_on_alone", &STACK, || {
        let tree = polyread_conformance::tree::many(6_000);
        limit_addresses(96 << 20);
        let mut names = std::collections::BTreeSet::new();
        for entry in Discovery::new(tree.path()).threads(8).walk().unwrap() {
            names.insert(entry.unwrap().path().to_owned());
            let walkers = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
                let name = fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
                name.starts_with("polyread-walk").then_some(())
            });
            assert!(names.len() % 100 != 0 || walkers.count() <= 1);
        }
        assert_eq!(names.len(), 6_000);
    });
}

#[test]
fn a_walk_that_may_have_no_thread_at_all_says_so() {
    in_a_process("a_walk_that_may_have_no_thread_at_all_says_so", &STACK, || {
        let tree = polyread_conformance::tree::many(1);
        limit_addresses(32 << 20);
        assert!(matches!(Discovery::new(tree.path()).walk(), Err(DiscoveryError::Spawn(_))));
        // What is named needs none.
        let file = tree.path().join("000/00000.txt");
        assert_eq!(Discovery::new(&file).walk().unwrap().next().unwrap().unwrap().path(), file);
    });
}

#[test]
fn several_threads_find_each_file_once() {
    let tree = polyread_conformance::tree::many(10_000);
    for threads in [1, 2, 7] {
        let walk = Discovery::new(tree.path()).threads(threads).walk().unwrap();
        let mut paths: Vec<_> = walk.map(|found| found.unwrap().path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 10_000);
    }
}

/// Entries are found while the tree is torn down: each that was seen has a record, and nothing hangs.
#[test]
fn a_tree_that_vanishes_under_the_walk_is_no_end() {
    let tree = polyread_conformance::tree::many(10_000);
    let mut walk = Discovery::new(tree.path()).threads(2).walk().unwrap();
    assert!(walk.next().is_some());
    fs::remove_dir_all(tree.path()).unwrap();
    for found in walk {
        if let Err(error) = found {
            assert_eq!(error.kind(), polyread_core::ErrorKind::Vanished, "{error}");
            assert_ne!(error.path().file_name(), Some(OsStr::new("")));
        }
    }
    fs::create_dir(tree.path()).unwrap();
}
