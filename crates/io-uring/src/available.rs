//! Whether this system has io_uring for us, and if not why.

use std::io;

/// Why there is no ring to be had. Each says in words what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// io_uring is Linux's.
    #[error("io_uring is a part of Linux, which this is not: choose another strategy")]
    Platform,
    /// The kernel does not know the calls.
    #[error("the kernel is older than 5.1 or was built without io_uring: choose another strategy")]
    NotInKernel,
    /// The kernel has io_uring, but lacks a part of it.
    #[error("this kernel's io_uring lacks {what}; Linux 5.19 has it: choose another strategy")]
    TooOld {
        /// What is missing.
        what: &'static str,
    },
    /// The administrator has switched it off.
    #[error(
        "io_uring is switched off on this system: ask for the sysctl kernel.io_uring_disabled (now {value}) to be 0"
    )]
    Disabled {
        /// The value of `kernel.io_uring_disabled`: 1 for all but a group and the administrator, 2 for everybody.
        value: u32,
    },
    /// Something else forbids it.
    #[error(
        "io_uring is forbidden here, most likely by the seccomp filter of a container or sandbox: allow io_uring_setup, io_uring_enter and io_uring_register there, or choose another strategy"
    )]
    Forbidden,
    /// Before Linux 5.12 rings count as locked memory.
    #[error("no memory may be locked for a ring: raise `ulimit -l`")]
    Memory,
    /// The system said something else.
    #[error("no ring can be made: {0}")]
    Other(#[source] io::Error),
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn available() -> Result<(), Unavailable> {
    Err(Unavailable::Platform)
}

/// Makes a ring and throws it away: some tens of microseconds. Nothing less tells the truth.
#[cfg(target_os = "linux")]
pub(crate) fn available() -> Result<(), Unavailable> {
    use rustix::io::Errno;

    let probed = crate::ring::probe().map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOSYS) => Unavailable::NotInKernel,
        Some(Errno::PERM | Errno::ACCESS) => match disabled() {
            0 => Unavailable::Forbidden,
            value => Unavailable::Disabled { value },
        },
        Some(Errno::NOMEM) => Unavailable::Memory,
        _ => Unavailable::Other(error),
    })?;
    match probed {
        Some(what) => Err(Unavailable::TooOld { what }),
        None => Ok(()),
    }
}

/// The sysctl; 0 where there is none.
#[cfg(target_os = "linux")]
fn disabled() -> u32 {
    let value = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    value.ok().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
