//! Whether this system gives this program a ring, and if not why.

use std::io;

use io_uring::{Probe, opcode};
use rustix::io::Errno;

use super::queue::build;
use crate::unavailable::Unavailable;

/// Makes a ring and drops it: some tens of microseconds. Nothing less tells the truth.
pub(crate) fn available() -> Result<(), Unavailable> {
    let missing = missing_part().map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOSYS) => Unavailable::NotInKernel,
        Some(Errno::PERM | Errno::ACCESS) => match disabled() {
            0 => Unavailable::Forbidden,
            value => Unavailable::Disabled { value },
        },
        Some(Errno::NOMEM) => Unavailable::Memory,
        _ => Unavailable::Other(error),
    })?;
    match missing {
        Some(what) => Err(Unavailable::TooOld { what }),
        None => Ok(()),
    }
}

/// The first part of io_uring that this kernel lacks, or the error of making a ring.
fn missing_part() -> io::Result<Option<&'static str>> {
    let ring = match build(1) {
        // The kernel refuses even the one flag that every ring is made with; 5.18 has it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Some("IORING_SETUP_SUBMIT_ALL")),
        built => built?,
    };
    let mut probe = Probe::new();
    if ring.submitter().register_probe(&mut probe).is_err() {
        return Ok(Some("IORING_REGISTER_PROBE"));
    }
    let parts = [
        (probe.is_supported(opcode::OpenAt2::CODE), "IORING_OP_OPENAT2"),
        (probe.is_supported(opcode::Read::CODE), "IORING_OP_READ"),
        (probe.is_supported(opcode::Close::CODE), "IORING_OP_CLOSE"),
        (probe.is_supported(opcode::Fadvise::CODE), "IORING_OP_FADVISE"),
        (probe.is_supported(opcode::AsyncCancel::CODE), "IORING_OP_ASYNC_CANCEL"),
        (ring.params().is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
        (ring.params().is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (ring.params().is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE"),
        (ring.params().is_feature_skip_cqe_on_success(), "IORING_FEAT_CQE_SKIP"),
        (ring.submitter().register_files_sparse(1).is_ok(), "sparse tables of files"),
    ];
    Ok(parts.into_iter().find_map(|(has, what)| (!has).then_some(what)))
}

/// The sysctl `kernel.io_uring_disabled`; 0 on kernels without it.
fn disabled() -> u32 {
    let value = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    value.ok().and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
