//! The figures that a text comes to.

/// What [`TextStats`](crate::TextStats) counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct TextCounts {
    /// Bytes of the file.
    pub bytes: u64,
    /// Words: `len(content.split())`, runs of anything but whitespace, where whitespace is what `str.isspace` says
    /// (U+0009–000D, 001C–0020, 0085, 00A0, 1680, 2000–200A, 2028, 2029, 202F, 205F, 3000). Bytes that are dropped join
    /// what they stood between.
    pub words: u64,
    /// Characters: `len(content)`, code points after ill-formed sequences are dropped and `\r\n` is folded into one.
    pub chars: u64,
    /// Lines: LF bytes, as `wc -l` counts.
    pub lines: u64,
    /// Bytes of ill-formed UTF-8 sequences, which are dropped.
    pub invalid_bytes: u64,
}

impl std::ops::AddAssign for TextCounts {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.words += other.words;
        self.chars += other.chars;
        self.lines += other.lines;
        self.invalid_bytes += other.invalid_bytes;
    }
}
