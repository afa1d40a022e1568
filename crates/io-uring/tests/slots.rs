//! Which files a ring's slots read, and which they leave to blocking calls: compared with the sequential reader.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{reader, reader_with};
use polyread_core::{
    CancelToken, Contents, Discovery, ErrorKind, FileEntry, FileReader, Job, Limits, ReadError, SequentialReader,
    Stopped, WorkerId,
};
use polyread_io_uring::{Config, IoUringReader};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tempfile::TempDir;

type Told = BTreeMap<PathBuf, (u64, Result<Vec<u8>, ErrorKind>)>;
type Files = Vec<Result<FileEntry, ReadError>>;

fn read(reader: &dyn FileReader<Contents>, files: Files, limits: Limits) -> Told {
    let count = files.len();
    let mut told = BTreeMap::new();
    let summary = reader.read(Job::new(files, Contents::default()).limits(limits), &mut |record| {
        let outcome = record.outcome.map_err(|error| error.kind());
        assert!(told.insert(record.path, (record.bytes, outcome)).is_none(), "two records of one path");
        ControlFlow::Continue(())
    });
    assert_eq!((summary.unwrap().stopped, told.len()), (None, count));
    told
}

fn listed(root: &Path) -> Files {
    Discovery::new(root).walk().unwrap().sorted().collect()
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn sizes_around_pages_and_buffers_agree() {
    let tree = TempDir::new().unwrap();
    for page in [512, 4096, 8192, 16_384, 65_536] {
        for size in [page - 1, page, page + 1] {
            let content: Vec<u8> = (0..size).map(|at: usize| (at * 31 + at / 251).to_le_bytes()[0]).collect();
            fs::write(tree.path().join(size.to_string()), content).unwrap();
        }
    }
    for index in 0..50 {
        fs::write(tree.path().join(format!("empty {index}")), b"").unwrap();
    }
    let expected = read(&SequentialReader::new(), listed(tree.path()), Limits::default());
    for buffer in [512, 4096, 16_384, 65_536] {
        for (slots, open) in [(1, 1), (3, 2), (32, 256)] {
            let config = Config::default().buffer(buffer).in_flight(slots);
            let limits = Limits::default().max_open_files(open);
            let found = read(&*reader_with(config), listed(tree.path()), limits);
            assert_eq!(found, expected, "buffers of {buffer}, {slots} slots");
        }
    }
}

/// Here a short read is not the end, and the size is wrong. The files are small, so that slots read them.
#[test]
fn files_of_the_kernel_agree() {
    for root in ["/proc/tty", "/proc/sys/fs/inotify", "/sys/kernel/mm/transparent_hugepage"] {
        if Path::new(root).exists() {
            let expected = read(&SequentialReader::new(), listed(Path::new(root)), Limits::default());
            assert_eq!(read(&*reader(), listed(Path::new(root)), Limits::default()), expected, "{root}");
        }
    }
}

/// Listed as regular files, and by now something else.
#[test]
fn what_was_swapped_in_is_told_apart() {
    let tree = TempDir::new().unwrap();
    let root = tree.path();
    for name in ["fifo", "fed fifo", "closed fifo", "device", "directory", "gone", "grown", "kept"] {
        fs::write(root.join(name), b"as listed").unwrap();
    }
    let files = listed(root);
    for name in ["fifo", "fed fifo", "device", "directory", "gone", "grown"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    fifo(&root.join("fifo"));
    fifo(&root.join("fed fifo"));
    // Somebody is about to write to it.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let _keeps =
        OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(root.join("fed fifo")).unwrap();
    symlink("/dev/zero", root.join("device")).unwrap();
    fs::create_dir(root.join("directory")).unwrap();
    fs::write(root.join("grown"), vec![b'x'; 100_000]).unwrap();
    let expected = read(&SequentialReader::new(), files.clone(), Limits::default());
    assert_eq!(expected[&root.join("fed fifo")].1, Err(ErrorKind::NotRegular));
    assert_eq!(read(&*reader(), files, Limits::default()), expected);
}

/// A tree of small files, one of which has become a FIFO that somebody is about to write to: a read of it waits. The feeder
/// must be kept.
fn with_a_read_that_waits() -> (TempDir, Files, File) {
    let tree = TempDir::new().unwrap();
    for index in 0..100 {
        fs::write(tree.path().join(index.to_string()), b"content").unwrap();
    }
    let files = listed(tree.path());
    let path = tree.path().join("50");
    fs::remove_file(&path).unwrap();
    fifo(&path);
    let feeder = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (tree, files, feeder)
}

#[test]
fn a_small_file_that_hangs_is_given_up_alone() {
    if let Err(reason) = IoUringReader::available() {
        println!("skipped: {reason}");
        return;
    }
    let (tree, files, _feeder) = with_a_read_that_waits();
    // Sooner than anybody looks what it is that takes so long.
    let told = read(&*reader(), files, Limits::default().timeout(Duration::from_millis(20)));
    assert_eq!(told[&tree.path().join("50")], (0, Err(ErrorKind::Timeout)));
    assert_eq!(told.values().filter(|(_, outcome)| outcome.is_ok()).count(), 99);
}

#[test]
fn a_run_that_ends_takes_back_what_the_kernel_has() {
    let (_tree, files, _feeder) = with_a_read_that_waits();
    for _ in 0..20 {
        let cancel = CancelToken::new();
        let job = Job::new(files.clone(), Contents::default()).cancel_token(cancel.clone());
        let mut seen = 0;
        let summary = reader().read(job, &mut |_| {
            seen += 1;
            if seen == 60 {
                cancel.cancel();
            }
            ControlFlow::Continue(())
        });
        let summary = summary.unwrap();
        assert_eq!(summary.stopped, Some(Stopped::Cancelled));
        assert_eq!(summary.files() + summary.skipped(), seen);
        let Ok(records) = IoUringReader::new().records(Job::new(files.clone(), Contents::default())) else { continue };
        drop(records.take(50).collect::<Vec<_>>());
    }
}

/// The only file that may be open is in the slot, and does not come back by itself, while another one waits to be scanned.
#[test]
fn a_read_that_waits_does_not_stop_a_run_of_one_open_file() {
    let (tree, files, _feeder) = with_a_read_that_waits();
    let large = tree.path().join("large");
    fs::write(&large, vec![b'x'; 100_000]).unwrap();
    let mut files: Files = files.into_iter().filter(|file| file.as_ref().unwrap().path().ends_with("50")).collect();
    files.insert(0, Ok(FileEntry::new(&large)));
    let told = read(&*reader(), files, Limits::default().max_open_files(1));
    assert_eq!(told[&tree.path().join("50")], (0, Err(ErrorKind::NotRegular)));
    assert_eq!(told[&large].0, 100_000);
}

/// Named, not listed: nobody has said that these are regular, and nothing may be read from what is not.
#[test]
fn what_is_named_is_not_read_before_it_is_known() {
    let tree = TempDir::new().unwrap();
    let path = tree.path().join("fifo");
    fifo(&path);
    let mut feeder = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    feeder.write_all(b"for somebody else").unwrap();
    let paths = [path.clone(), "/dev/null".into(), "/dev/zero".into(), tree.path().into()];
    let files: Files = paths.into_iter().map(|path| Ok(FileEntry::new(path))).collect();
    let told = read(&*reader(), files, Limits::default());
    assert!(told.values().all(|told| *told == (0, Err(ErrorKind::NotRegular))), "{told:?}");
    let mut left = [0; 17];
    std::io::Read::read_exact(&mut feeder, &mut left).unwrap();
    assert_eq!(&left, b"for somebody else");
}

/// A device that is swapped in where links are followed: slots do not read such entries.
#[test]
fn slots_do_not_read_followed_links() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join("target"), b"content").unwrap();
    symlink("target", tree.path().join("link")).unwrap();
    let files: Files = Discovery::new(tree.path()).follow_links(true).walk().unwrap().sorted().collect();
    fs::remove_file(tree.path().join("link")).unwrap();
    symlink("/dev/null", tree.path().join("link")).unwrap();
    let told = read(&*reader(), files, Limits::default());
    assert_eq!(told[&tree.path().join("link")], (0, Err(ErrorKind::NotRegular)));
    assert_eq!(told[&tree.path().join("target")], (7, Ok(b"content".to_vec())));
}

/// Every ring gets its share of a few large files, which begin in one batch.
#[test]
fn large_files_go_to_whoever_is_idle() {
    if IoUringReader::available().is_err() {
        println!("skipped: no io_uring");
        return;
    }
    let tree = TempDir::new().unwrap();
    for index in 0..16 {
        File::create(tree.path().join(index.to_string())).unwrap().set_len(8 << 20).unwrap();
    }
    let walk = Discovery::new(tree.path()).walk().unwrap();
    let limits = Limits::default().workers(2);
    let mut workers = BTreeMap::new();
    for record in IoUringReader::new().records(Job::new(walk, Contents::default()).limits(limits)).unwrap() {
        *workers.entry(record.worker).or_insert(0) += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(workers.keys().copied().collect::<Vec<_>>(), [WorkerId::new("ring", 0), WorkerId::new("ring", 1)]);
    assert!(workers.keys().all(|worker| worker.to_string().starts_with("ring-")));
}
