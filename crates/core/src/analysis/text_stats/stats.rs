//! The analysis that counts a text.

use super::counts::TextCounts;
use super::kernel::Seen;
use super::level::Level;
use super::seam::Seam;
use crate::analysis::contract::{Analysis, Combine, Parts};

/// Counts words, characters, lines, bytes and invalid bytes of a text.
///
/// The meaning is CPython's, for `content = open(path, encoding="utf-8", errors="ignore").read()`; see [`TextCounts`]
/// for each figure. Chunk boundaries never show in any of them.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct TextStats {
    bytes: u64,
    seen: Seen,
    /// Of a part that begins in the middle of a file.
    seam: Option<Seam>,
}

impl Analysis for TextStats {
    type Output = TextCounts;

    #[inline]
    fn update(&mut self, chunk: &[u8]) {
        Level::best().update(self, chunk);
    }

    fn finish(self) -> TextCounts {
        let Seen { words, chars, lines, kept, .. } = self.seen;
        TextCounts { bytes: self.bytes, words, chars, lines, invalid_bytes: self.bytes - kept }
    }

    fn parts() -> Option<Parts<Self>> {
        Some(Parts::of())
    }
}

impl Combine for TextStats {
    fn begin_part(&mut self) {
        self.seam = Some(Seam::default());
    }

    fn combine(&mut self, later: Self) {
        debug_assert!(later.seam.is_some(), "a part that was not begun as one");
        let Seam { head, first } = later.seam.unwrap_or_default();
        if !head.is_empty() {
            self.update(head.as_slice());
        }
        let after_head = later.bytes - head.as_slice().len() as u64;
        self.bytes += after_head;
        if after_head > 0 {
            self.seen.join(&later.seen, first);
        }
        if let Some(seam) = &mut self.seam {
            seam.first = seam.first.or(first);
        }
    }
}

impl Level {
    /// Does what [`TextStats::update`] does, with the instructions of this level.
    #[inline]
    pub fn update(self, stats: &mut TextStats, mut chunk: &[u8]) {
        let counted = stats.bytes;
        stats.bytes += chunk.len() as u64;
        if let Some(seam) = stats.seam.as_mut().filter(|seam| seam.first.is_none()) {
            chunk = seam.begin(self, &mut stats.seen, chunk, counted);
        }
        self.count(&mut stats.seen, chunk);
    }
}
