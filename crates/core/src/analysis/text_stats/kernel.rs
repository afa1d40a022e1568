//! The loop over well-formed text: the one place where counting takes its time.
//!
//! It works on bytes, not on decoded code points. In UTF-8 every character has exactly one byte that is not a
//! continuation byte, and every whitespace character that is not ASCII starts with one of `C2`, `E1`, `E2`, `E3`.

/// Counts over well-formed text, with what has to be known of the text before.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub(super) struct Words {
    pub(super) words: u64,
    pub(super) chars: u64,
    pub(super) lines: u64,
    in_word: bool,
    after_cr: bool,
}

impl Words {
    /// Counts `text`, which must be well-formed UTF-8 and continues what was counted before.
    pub(super) fn count(&mut self, text: &[u8]) {
        let Some(&last) = text.last() else { return };
        // Three simple loops, each of which the compiler turns into vector code, and one that has to look at each byte.
        self.lines += count_if(text, |byte| byte == b'\n');
        let folded = u64::from(self.after_cr && text[0] == b'\n')
            + text.iter().zip(&text[1..]).map(|(&a, &b)| u64::from((a == b'\r') & (b == b'\n'))).sum::<u64>();
        self.chars += count_if(text, |byte| !is_continuation(byte)) - folded;
        self.count_words(text);
        self.after_cr = last == b'\r';
    }

    fn count_words(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let (len, space) = match byte {
                0x00..=0x7f => (1, is_ascii_space(byte)),
                0xc2 => (2, matches!(text[at + 1], 0x85 | 0xa0)),
                0xe1..=0xe3 => (3, is_three_byte_space(&text[at..at + 3])),
                // The lead byte alone tells that it is no whitespace; its continuation bytes extend the word.
                _ => (1, false),
            };
            self.words += u64::from(!space & !self.in_word);
            self.in_word = !space;
            at += len;
        }
    }
}

fn count_if(text: &[u8], wanted: impl Fn(u8) -> bool) -> u64 {
    // Sums of at most 255 fit the byte lanes of a vector register: no widening in the inner loop.
    let sum = |block: &[u8]| block.iter().map(|&byte| u8::from(wanted(byte))).sum::<u8>();
    text.chunks(255).map(|block| u64::from(sum(block))).sum()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | 0x1c..=0x20)
}

/// U+1680, U+2000–200A, U+2028, U+2029, U+202F, U+205F and U+3000, as they are encoded.
fn is_three_byte_space(sequence: &[u8]) -> bool {
    matches!(
        sequence,
        [0xe1, 0x9a, 0x80] | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf] | [0xe2, 0x81, 0x9f] | [0xe3, 0x80, 0x80]
    )
}
