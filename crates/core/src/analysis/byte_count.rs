//! The number of bytes.

use super::contract::{Analysis, Combine, Parts};

/// Counts bytes and looks at none: what reading alone costs.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct ByteCount(u64);

impl Analysis for ByteCount {
    type Output = u64;

    fn update(&mut self, chunk: &[u8]) {
        self.0 += chunk.len() as u64;
    }

    fn finish(self) -> u64 {
        self.0
    }

    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for ByteCount {
    fn begin_part(&mut self) {}

    fn combine(&mut self, later: Self) {
        self.0 += later.0;
    }
}
