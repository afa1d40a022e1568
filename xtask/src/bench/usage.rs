//! What the kernel has counted of a process and of those that it started.

use std::fs;

use anyhow::{Context, Result, anyhow};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What the kernel has counted, of all threads and workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Usage {
    /// Processor time in seconds in user and kernel mode: finer than the two that follow.
    pub(crate) cpu_s: f64,
    pub(crate) cpu_user_s: f64,
    pub(crate) cpu_system_s: f64,
    /// How often a thread gave its processor up to wait for something.
    pub(crate) voluntary_switches: u64,
    /// How often it was taken away.
    pub(crate) involuntary_switches: u64,
    /// Pages that were made or mapped without storage, those of buffers and stacks above all.
    pub(crate) minor_faults: u64,
    /// Pages that had to come from storage.
    pub(crate) major_faults: u64,
    /// What has been fetched from storage, in bytes: pages that were in the cache do not count.
    pub(crate) fetched_bytes: u64,
}

impl Usage {
    /// Of this process and of the children that have ended.
    pub(crate) fn until_now() -> Result<Self> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let own = getrusage(UsageWho::RUSAGE_SELF).context("cannot ask for what this process has used")?;
        let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for what the workers have used")?;
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let own_cpu_s = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
        let sum = |of: fn(&nix::sys::resource::Usage) -> i64| u64::try_from(of(&own) + of(&children)).unwrap_or(0);
        Ok(Self {
            cpu_s: own_cpu_s + seconds(children.user_time()) + seconds(children.system_time()),
            cpu_user_s: seconds(own.user_time()) + seconds(children.user_time()),
            cpu_system_s: seconds(own.system_time()) + seconds(children.system_time()),
            voluntary_switches: sum(nix::sys::resource::Usage::voluntary_context_switches),
            involuntary_switches: sum(nix::sys::resource::Usage::involuntary_context_switches),
            minor_faults: sum(nix::sys::resource::Usage::minor_page_faults),
            major_faults: sum(nix::sys::resource::Usage::major_page_faults),
            // In blocks of 512 bytes, whatever the blocks of the device are.
            fetched_bytes: sum(nix::sys::resource::Usage::block_reads) * 512,
        })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_s: self.cpu_s - before.cpu_s,
            cpu_user_s: self.cpu_user_s - before.cpu_user_s,
            cpu_system_s: self.cpu_system_s - before.cpu_system_s,
            voluntary_switches: self.voluntary_switches - before.voluntary_switches,
            involuntary_switches: self.involuntary_switches - before.involuntary_switches,
            minor_faults: self.minor_faults - before.minor_faults,
            major_faults: self.major_faults - before.major_faults,
            fetched_bytes: self.fetched_bytes - before.fetched_bytes,
        }
    }
}

/// `getrusage` would count what the parent had when it forked; this begins with the program.
pub(crate) fn peak_rss(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.ok_or_else(|| anyhow!("{path} has no VmHWM"))? * 1024)
}
