//! Why a system has no io_uring for this program.

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
    /// The system gave another error.
    #[error("no ring can be made: {0}")]
    Other(#[source] io::Error),
}
