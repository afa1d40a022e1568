//! The scalar reference: the definition of [`TextCounts`] written down as directly as the standard library allows, to
//! test the kernel against. It holds everything in memory and takes its time.

use super::counts::TextCounts;

/// What [`TextStats`](crate::TextStats) must come to for a file of these bytes.
pub fn text_counts(bytes: &[u8]) -> TextCounts {
    let kept: String = bytes.utf8_chunks().map(|chunk| chunk.valid()).collect();
    let invalid: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let content = kept.replace("\r\n", "\n");
    TextCounts {
        bytes: bytes.len() as u64,
        words: content.split(is_space).filter(|word| !word.is_empty()).count() as u64,
        chars: content.chars().count() as u64,
        lines: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
        invalid_bytes: invalid as u64,
    }
}

/// CPython's `str.isspace` for one character: Unicode's White_Space and the four separators U+001C to U+001F.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
