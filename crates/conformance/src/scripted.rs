//! Analyses that misbehave on request, and that count.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use polyread_core::Analysis;
use serde::{Deserialize, Serialize};

/// Does what the first chunk of the file says in its first line, so that it needs no state of its own and behaves the
/// same wherever it runs:
///
/// - `panic WORDS`: panics.
/// - `abort`, `exit CODE`: ends the process, for those who have some to spare.
/// - `sleep MILLISECONDS`: sleeps at each chunk.
/// - `hang`: once, for a time that no test waits for, and without looking at any clock, as a call that hangs in the kernel.
/// - `append PATH`: writes a byte to the end of that file, once.
/// - `truncate PATH`: cuts that file to one byte, once.
/// - `count PATH`: notes how many files below that directory this process has open.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Scripted {
    seen: Seen,
    sleep: Duration,
}

/// Whether a [`Scripted`] analysis of this process has come out of its hanging.
static AWAKE: AtomicBool = AtomicBool::new(false);

/// Whether somebody has waited for a file that hangs.
pub(crate) fn has_been_waited_for() -> bool {
    AWAKE.load(Ordering::SeqCst)
}

/// What [`Scripted`] saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Seen {
    /// Bytes of the file.
    pub bytes: u64,
    /// For `count`: files open below the directory.
    pub open_files: usize,
}

impl Analysis for Scripted {
    type Output = Seen;

    fn update(&mut self, chunk: &[u8]) {
        if self.seen.bytes == 0 {
            let line = chunk.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let mut words = line.splitn(2, |byte| *byte == b' ');
            let (command, argument) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            self.obey(command, argument);
        }
        self.seen.bytes += chunk.len() as u64;
        std::thread::sleep(self.sleep);
    }

    fn finish(self) -> Seen {
        self.seen
    }
}

impl Scripted {
    fn obey(&mut self, command: &[u8], argument: &[u8]) {
        let path = Path::new(OsStr::from_bytes(argument));
        let words = String::from_utf8_lossy(argument);
        match command {
            b"panic" => panic!("{words}"),
            b"abort" => std::process::abort(),
            b"exit" => std::process::exit(words.parse().expect("a code")),
            b"sleep" => self.sleep = Duration::from_millis(words.parse().expect("milliseconds")),
            b"hang" => {
                std::thread::sleep(Duration::from_secs(20));
                AWAKE.store(true, Ordering::SeqCst);
            }
            b"append" => {
                let mut file = OpenOptions::new().append(true).open(path).expect("the file to append to");
                file.write_all(b"x").expect("appending");
            }
            b"truncate" => {
                let file = OpenOptions::new().write(true).open(path).expect("the file to truncate");
                file.set_len(1).expect("truncating");
            }
            b"count" => self.seen.open_files = open_files_below(path),
            _ => {}
        }
    }
}

/// Regular files below `directory` that this process has open: by descriptors, and in the tables of its rings.
fn open_files_below(directory: &Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc");
    descriptors
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            let is_ring = target == Path::new("anon_inode:[io_uring]");
            let told = if is_ring {
                Path::new("/proc/self/fdinfo").join(entry.file_name())
            } else {
                return Some(vec![target]);
            };
            // Each with its slot in front: `    3: /path`.
            let told = ring_info(&told)?;
            Some(told.lines().filter_map(|line| Some(Path::new(line.split_once(": ")?.1).to_path_buf())).collect())
        })
        .flatten()
        .filter(|target| target.starts_with(directory) && target.is_file())
        .count()
}

/// What the kernel tells of a ring. It leaves the files out while the ring is busy, or asked by another thread.
fn ring_info(path: &Path) -> Option<String> {
    let mut told = std::fs::read_to_string(path).ok()?;
    for _ in 0..1_000 {
        if told.contains("UserFiles") {
            break;
        }
        std::thread::yield_now();
        told = std::fs::read_to_string(path).ok()?;
    }
    Some(told)
}

/// Claims to retain the content, and counts in bytes what all of its outputs that are still alive would hold. An output
/// that comes from another process is alive from when it has come.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Held {
    ledger: u64,
    bytes: u64,
}

/// What is alive and the most that was, by the number of the ledger.
static LEDGERS: Mutex<BTreeMap<u64, (u64, u64)>> = Mutex::new(BTreeMap::new());

impl Default for Held {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { ledger: NEXT.fetch_add(1, Ordering::Relaxed), bytes: 0 }
    }
}

impl Held {
    /// The most that was alive at any moment.
    pub fn most(&self) -> u64 {
        self.on_ledger(|(_, most)| *most)
    }

    fn on_ledger<T>(&self, with: impl FnOnce(&mut (u64, u64)) -> T) -> T {
        with(LEDGERS.lock().unwrap_or_else(PoisonError::into_inner).entry(self.ledger).or_default())
    }
}

/// An output of [`Held`]: counted until it is dropped.
#[derive(Debug, Deserialize, Serialize)]
#[serde(from = "Held")]
pub struct Holding(Held);

impl From<Held> for Holding {
    fn from(held: Held) -> Self {
        held.on_ledger(|(alive, most)| {
            *alive += held.bytes;
            *most = (*most).max(*alive);
        });
        Self(held)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.on_ledger(|(alive, _)| *alive -= self.0.bytes);
    }
}

impl Analysis for Held {
    type Output = Holding;

    fn update(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
    }

    fn finish(self) -> Holding {
        self.into()
    }

    fn retains(&self, size: u64) -> u64 {
        size
    }
}
