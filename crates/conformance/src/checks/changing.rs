//! Files that are not what they seem, or do not stay so.

use std::fs;
use std::path::Path;

use polyread_core::{Contents, ErrorKind, FileEntry, Job, Progress};

use super::collect::{all, collect, kind, of_name};
use crate::{Scripted, Subject, tree};

/// Growing and shrinking under the reader's hands.
pub fn files_that_change_while_they_are_read_fail_as_changed(subject: &Subject) {
    let tree = tempfile::tempdir().unwrap();
    let write = |name: &str, command: &str| {
        let path = tree.path().join(name);
        let mut content = format!("{command} {}\n", path.display()).into_bytes();
        content.resize(600_000, b'x');
        fs::write(path, content).unwrap();
    };
    write("grows", "append");
    write("shrinks", "truncate");
    write("stays", "leave");
    let (records, _) = collect(&*subject.scripted, Job::new(all(tree.path()), Scripted::default()));
    for name in ["grows", "shrinks"] {
        let record = of_name(&records, name);
        assert_eq!(kind(record), Some(ErrorKind::Changed), "{name}");
        assert!(record.bytes >= 256 * 1024, "{name}: {} bytes", record.bytes);
    }
    assert_eq!(of_name(&records, "stays").outcome.as_ref().unwrap().bytes, 600_000);
}

/// Deleted, replaced by a FIFO, replaced by a link that leads out, below a directory that was: between walk and open.
pub fn files_that_change_before_they_are_opened_are_told_apart(subject: &Subject) {
    let outside = tree::of(&[("canary", b"outside of the root"), ("swapped", b"outside of the root")]);
    let tree = tree::of(&[("gone", b""), ("fifo", b""), ("link", b""), ("directory", b""), ("kept", b"kept")]);
    let root = tree.path();
    fs::create_dir(root.join("parent")).unwrap();
    fs::write(root.join("parent/swapped"), b"inside").unwrap();
    let files: Vec<_> = all(root).chain([Ok(FileEntry::new(root.join("never was")))]).collect();
    for name in ["gone", "fifo", "link", "directory"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::os::unix::fs::symlink(outside.path().join("canary"), root.join("link")).unwrap();
    fs::create_dir(root.join("directory")).unwrap();
    fs::rename(root.join("parent"), root.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.join("parent")).unwrap();

    let progress = Progress::new();
    let job = Job::new(files, Contents::default()).progress(progress.clone());
    let (records, summary) = collect(&*subject.contents, job);
    assert_eq!((progress.snapshot().failed, progress.snapshot().skipped), (2, 4));
    let kind_of = |name: &str| kind(of_name(&records, name));
    assert_eq!(kind_of("gone"), Some(ErrorKind::Vanished));
    assert_eq!(kind_of("fifo"), Some(ErrorKind::NotRegular));
    assert_eq!(kind_of("directory"), Some(ErrorKind::NotRegular));
    assert_eq!(kind_of("link"), Some(ErrorKind::SymbolicLink));
    assert_eq!(kind_of("swapped"), Some(ErrorKind::EscapesRoot));
    assert_eq!(kind_of("never was"), Some(ErrorKind::NotFound));
    assert_eq!((summary.read, summary.failed(), summary.skipped()), (1, 2, 4));
}

/// `/proc` says 0, `/sys` says 4096: neither is the truth.
pub fn files_without_an_honest_size_are_read_to_their_end(subject: &Subject) {
    let paths = ["/proc/self/mountinfo", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"];
    let paths: Vec<_> = paths.into_iter().filter(|path| Path::new(path).exists()).collect();
    let (records, summary) = collect(&*subject.contents, Job::of_paths(paths.clone(), Contents::default()));
    assert_eq!(summary.read, paths.len() as u64, "{records:?}");
    for record in records {
        assert_eq!(record.outcome.unwrap(), fs::read(&record.path).unwrap(), "{}", record.path.display());
    }
}
