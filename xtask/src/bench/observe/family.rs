//! This process and those that descend from it, as `/proc` shows them.

use std::fs;
use std::path::Path;

use procfs::ProcResult;
use procfs::process::{Process, all_processes};

/// The process that looks and its descendants, each with a handle that no other process can come into by having the same id
/// later.
#[derive(Debug)]
pub(super) struct Family {
    /// This process first.
    members: Vec<Process>,
}

/// What there is at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) descriptors: u64,
}

impl Family {
    /// # Errors
    ///
    /// There is no `/proc`.
    pub(super) fn of_this_process() -> ProcResult<Self> {
        Ok(Self { members: vec![Process::myself()?] })
    }

    /// Looks for descendants that were not there before. It costs some 10 µs for each thread that there is.
    pub(super) fn meet(&mut self) {
        // The list grows while it is gone through: children have children.
        let mut next = 0;
        while let Some(member) = self.members.get(next) {
            next += 1;
            // One that has ended has none; `count` lets it go.
            for child in children_of(member).unwrap_or_default() {
                if self.members.iter().all(|known| known.pid != child)
                    && let Ok(process) = Process::new(child)
                {
                    self.members.push(process);
                }
            }
        }
    }

    /// Counts what there is, and forgets those that have ended. It costs some 12 µs for each process.
    pub(super) fn count(&mut self) -> Counts {
        let mut sum = Counts::default();
        self.members.retain(|member| {
            let Ok(stat) = member.stat() else { return false };
            // Ended, and only waited for: it has neither memory nor files, but nobody else has its id yet.
            if stat.state != 'Z' {
                sum.processes += 1;
                sum.threads += u64::try_from(stat.num_threads).unwrap_or(0);
            }
            true
        });
        // Only now, when it is known how many handles this process holds itself.
        sum.descriptors = self.members.iter().map(|member| descriptors(member.pid)).sum();
        sum
    }

    /// Descriptors that this process has open between looks because of all this.
    pub(super) fn held(&self) -> u64 {
        self.members.len() as u64
    }

    /// Physical memory of all of them together, in bytes; `None` if not even that of this process can be had. It costs some
    /// 50 µs for each process, and more for one that has much.
    pub(super) fn pss_bytes(&self) -> Option<u64> {
        self.members.iter().filter_map(pss_bytes).reduce(|sum, bytes| sum + bytes)
    }
}

/// Any thread may have children of its own.
fn children_of(parent: &Process) -> ProcResult<Vec<i32>> {
    let mut children = Vec::new();
    for task in parent.tasks()?.flatten() {
        match task.children() {
            Ok(ids) => children.extend(ids.into_iter().filter_map(|id| i32::try_from(id).ok())),
            // The thread has ended, or this kernel keeps no such list.
            Err(_) if Path::new("/proc/thread-self/children").exists() => {}
            Err(_) => return children_among_all(parent.pid),
        }
    }
    Ok(children)
}

fn children_among_all(parent: i32) -> ProcResult<Vec<i32>> {
    let stats = all_processes()?.flatten().filter_map(|process| process.stat().ok());
    Ok(stats.filter(|stat| stat.ppid == parent).map(|stat| stat.pid).collect())
}

/// 0 if it has ended.
fn descriptors(process: i32) -> u64 {
    let path = format!("/proc/{process}/fd");
    // The kernel tells without a list since 6.2. The list is one of this process's descriptors while it is read.
    match fs::metadata(&path) {
        Ok(directory) if directory.len() > 0 => directory.len(),
        _ => fs::read_dir(&path).map_or(0, |list| list.count() as u64) - u64::from(is_own(process)),
    }
}

fn is_own(process: i32) -> bool {
    u32::try_from(process) == Ok(std::process::id())
}

fn pss_bytes(process: &Process) -> Option<u64> {
    let map = process.smaps_rollup().ok()?.memory_map_rollup.0.into_iter().next()?;
    map.extension.map.get("Pss").copied()
}
