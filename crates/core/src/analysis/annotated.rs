//! The content with its counts in front.

use super::contents::Contents;
use super::contract::{Analysis, Rejection};
use super::text::without_ill_formed;
use super::text_stats::TextStats;

/// The text headed by its counts: `[Words: W, Chars: C] …`.
///
/// The text is what CPython's `open(path, encoding="utf-8", errors="ignore").read()` gives.
/// Ill-formed sequences are dropped, and each `\r\n` or lone `\r` becomes `\n`, so that `C` is the number of code points
/// of what follows.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Annotated {
    stats: TextStats,
    contents: Contents,
}

impl Analysis for Annotated {
    type Output = String;

    fn begin(&mut self, size_hint: u64) {
        self.contents.begin(size_hint);
    }

    fn update(&mut self, chunk: &[u8]) {
        self.stats.update(chunk);
        self.contents.update(chunk);
    }

    fn finish(self) -> String {
        let counts = self.stats.finish();
        let text = without_ill_formed(self.contents.finish());
        // The common file has no carriage return and is not copied a second time.
        let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
        format!("[Words: {}, Chars: {}] {text}", counts.words, counts.chars)
    }

    fn is_complete(&self) -> bool {
        self.contents.is_complete()
    }

    fn retains(&self, size: u64) -> u64 {
        // The text, its copy with other line ends and the annotated copy of that.
        self.contents.retains(size).saturating_mul(3)
    }

    fn verdict(&self) -> Result<(), Rejection> {
        self.contents.verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_describe_the_text_that_follows() {
        let mut annotated = Annotated::default();
        annotated.update(b"one\r\ntw\xffo\rth");
        annotated.update(b"ree\r");
        annotated.update(b"\n");
        assert_eq!(annotated.finish(), "[Words: 3, Chars: 14] one\ntwo\nthree\n");
    }
}
