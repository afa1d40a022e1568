//! The machine that was measured on.

use std::fs;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Host {
    os: &'static str,
    arch: &'static str,
    pub(super) kernel: String,
    pub(super) cpu: String,
    pub(super) cores: usize,
    memory_bytes: u64,
    polyread_version: &'static str,
}

impl Host {
    pub(super) fn read() -> Self {
        let info = rustix::system::sysinfo();
        Self {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cpu: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: info.totalram * u64::from(info.mem_unit),
            polyread_version: polyread_cli::VERSION,
        }
    }
}

fn cpu_model() -> Option<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
