//! The bytes of a file, as they are.

use super::contract::{Analysis, Rejection};

/// Keeps the whole content. The output is a `Vec<u8>`.
///
/// Memory that cannot be had is an error of kind [`OutOfMemory`](crate::ErrorKind::OutOfMemory) for the file, not an
/// abort.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Contents {
    bytes: Vec<u8>,
    refused: Option<usize>,
}

impl Contents {
    /// What has come so far.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    fn reserve(&mut self, reserve: impl FnOnce(&mut Vec<u8>) -> bool, bytes: usize) -> bool {
        if !reserve(&mut self.bytes) {
            self.bytes = Vec::new();
            self.refused = Some(bytes);
        }
        self.refused.is_none()
    }
}

impl Analysis for Contents {
    type Output = Vec<u8>;

    fn begin(&mut self, size_hint: u64) {
        // Exact: a file is usually as long as it says, and growing by doubling would copy it and waste up to half.
        let bytes = usize::try_from(size_hint).unwrap_or(usize::MAX);
        self.reserve(|content| content.try_reserve_exact(bytes).is_ok(), bytes);
    }

    fn update(&mut self, chunk: &[u8]) {
        if self.reserve(|content| content.try_reserve(chunk.len()).is_ok(), chunk.len()) {
            self.bytes.extend_from_slice(chunk);
        }
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn is_complete(&self) -> bool {
        self.refused.is_some()
    }

    fn retains(&self, size: u64) -> u64 {
        size
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.refused.map_or(Ok(()), |bytes| Err(Rejection::OutOfMemory { bytes }))
    }
}
