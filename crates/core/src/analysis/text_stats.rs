//! Words, characters, lines and bytes, as CPython counts them.

mod kernel;
#[cfg(test)]
mod reference;

use super::Analysis;
use kernel::Words;

/// Counts words, characters, lines, bytes and invalid bytes of a text.
///
/// The meaning is CPython's, for `content = open(path, encoding="utf-8", errors="ignore").read()`; see [`TextCounts`]
/// for each figure. Chunk boundaries never show in any of them.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct TextStats {
    counts: TextCounts,
    words: Words,
    tail: Tail,
}

/// What [`TextStats`] counts.
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

/// The start of a sequence whose rest is in the next chunk: at most 3 bytes, well-formed so far.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
struct Tail {
    bytes: [u8; 3],
    len: usize,
}

/// Bytes validated at once: small enough that they are still in the first-level cache when they are counted.
const WINDOW: usize = 16 * 1024;
/// Bytes validated at once right after an ill-formed sequence: where there is one, the next is often near.
const CAREFUL_WINDOW: usize = 64;

impl Analysis for TextStats {
    type Output = TextCounts;

    fn update(&mut self, chunk: &[u8]) {
        self.counts.bytes += chunk.len() as u64;
        let rest = self.complete_tail(chunk);
        self.count(rest);
    }

    fn finish(mut self) -> TextCounts {
        // A sequence that the end of the file cuts short is ill-formed.
        self.counts.invalid_bytes += self.tail.len as u64;
        let Words { words, chars, lines, .. } = self.words;
        TextCounts { words, chars, lines, ..self.counts }
    }
}

impl TextStats {
    /// Counts the code point that the chunk's end had cut, and returns what comes after it.
    fn complete_tail<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let Tail { bytes, len } = std::mem::take(&mut self.tail);
        if len == 0 {
            return chunk;
        }
        let mut sequence = [0; 4];
        sequence[..len].copy_from_slice(&bytes[..len]);
        let taken = chunk.len().min(sequence.len() - len);
        sequence[len..len + taken].copy_from_slice(&chunk[..taken]);
        let sequence = &sequence[..len + taken];

        // Whatever follows the cut code point stays in the chunk, for the fast path.
        let first = sequence.utf8_chunks().next().map_or((0, 0), |first| {
            let code_point = first.valid().chars().next().map_or(0, char::len_utf8);
            (code_point, first.invalid().len())
        });
        match first {
            (0, ill_formed) if ill_formed == sequence.len() && is_cut_short(sequence) => {
                self.keep_tail(sequence);
                &[]
            }
            (0, ill_formed) => {
                self.counts.invalid_bytes += ill_formed as u64;
                &chunk[ill_formed - len..]
            }
            (code_point, _) => {
                self.words.count(&sequence[..code_point]);
                &chunk[code_point - len..]
            }
        }
    }

    fn count(&mut self, mut rest: &[u8]) {
        let mut window = WINDOW;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(window)];
            match simdutf8::compat::from_utf8(piece) {
                Ok(_) => {
                    self.words.count(piece);
                    rest = &rest[piece.len()..];
                    window = (window * 2).min(WINDOW);
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    self.words.count(valid);
                    rest = after;
                    if let Some(ill_formed) = error.error_len() {
                        self.counts.invalid_bytes += ill_formed as u64;
                        rest = &rest[ill_formed..];
                        window = CAREFUL_WINDOW;
                    } else if valid.len() + after.len() == piece.len() {
                        // Cut by the end of the chunk; where only the window cut it, the next window has it whole.
                        self.keep_tail(after);
                        rest = &[];
                    }
                }
            }
        }
    }

    fn keep_tail(&mut self, sequence: &[u8]) {
        self.tail.len = sequence.len();
        self.tail.bytes[..sequence.len()].copy_from_slice(sequence);
    }
}

/// Whether the bytes are the start of a well-formed sequence that lacks its end.
fn is_cut_short(sequence: &[u8]) -> bool {
    std::str::from_utf8(sequence).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> TextCounts {
        let mut stats = TextStats::default();
        for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
            stats.update(chunk);
        }
        stats.finish()
    }

    const TEXT: &[&str] = &[
        "a",
        "word",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\x0b",
        "\x1c",
        "\x1f",
        "\0",
        "\u{85}",
        "\u{a0}",
        "\u{1680}",
        "\u{180e}",
        "\u{2000}",
        "\u{200a}",
        "\u{200b}",
        "\u{2028}",
        "\u{2029}",
        "\u{202f}",
        "\u{205f}",
        "\u{3000}",
        "\u{feff}",
        "é",
        "文",
        "字",
        "\u{1f600}",
        "\u{10ffff}",
    ];
    const ILL_FORMED: &[&[u8]] = &[
        b"\xff",
        b"\xc0\x80",
        b"\xc2",
        b"\xe2\x80",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\x80",
        b"\xbf",
        b"\xe1\x80",
        b"\xf0\x80",
    ];

    /// Bytes in which everything that matters is frequent: line ends, whitespace of each length, halves of sequences.
    fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => prop::sample::select(TEXT).prop_map(|text| text.as_bytes().to_vec()),
            2 => prop::sample::select(ILL_FORMED).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..8),
            1 => (0..200usize).prop_map(|n| vec![b'x'; n]),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn equals_the_reference(bytes in hostile_bytes()) {
            prop_assert_eq!(counted([&bytes[..]]), reference::text_counts(&bytes));
        }

        #[test]
        fn chunk_boundaries_never_show(bytes in hostile_bytes(), size in 1..9usize) {
            prop_assert_eq!(counted(bytes.chunks(size)), reference::text_counts(&bytes));
        }

        #[test]
        fn any_cut_gives_the_same(bytes in hostile_bytes(), at in any::<prop::sample::Index>()) {
            let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(counted([head, tail]), reference::text_counts(&bytes));
        }
    }

    #[test]
    fn every_code_point_is_classified_as_cpython_does() {
        // `[c for c in map(chr, range(0x110000)) if c.isspace()]`, as CPython 3.11 prints it.
        let isspace: Vec<u32> = [0x09..=0x0d, 0x1c..=0x20, 0x85..=0x85, 0xa0..=0xa0, 0x1680..=0x1680, 0x2000..=0x200a]
            .into_iter()
            .chain([0x2028..=0x2029, 0x202f..=0x202f, 0x205f..=0x205f, 0x3000..=0x3000])
            .flatten()
            .collect();
        for code in (0..=0x10_ffffu32).filter(|code| char::from_u32(*code).is_some()) {
            let text = format!("a{}b", char::from_u32(code).unwrap());
            let words = if isspace.contains(&code) { 2 } else { 1 };
            assert_eq!(counted([text.as_bytes()]).words, words, "U+{code:04X}");
        }
    }

    #[test]
    fn windows_cut_nothing() {
        // A long text of three-byte code points: no window boundary falls between two of them.
        let text = format!("x{}", "文字 ".repeat(20_000));
        assert_eq!(counted([text.as_bytes()]), reference::text_counts(text.as_bytes()));
    }
}
