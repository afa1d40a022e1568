//! What only looking on tells: threads, descriptors, memory of several processes. It is looked at in the trial, which does not
//! count, so that the looking costs no sample anything.

use serde::{Deserialize, Serialize};

/// The most that was seen at any one moment, over all processes of a contestant together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Observed {
    /// Physical memory in bytes, where what processes share counts once (`Pss` of `smaps_rollup`).
    pub(crate) peak_pss_bytes: Option<u64>,
    pub(crate) processes: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
    /// All of the run, where the kernel lets them be counted.
    pub(crate) system_calls: Option<u64>,
    /// How often was looked.
    pub(crate) looks: u64,
}
