//! What a part that begins in the middle of a file keeps for the part before it.

use super::kernel::Seen;
use super::level::Level;

/// The beginning of a part, as far as the bytes before it decide what it means. The part itself is counted as though it
/// followed on whitespace.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub(super) struct Seam {
    /// The rest of a sequence that may have begun before.
    pub(super) head: Head,
    /// The first character after that, as soon as there is one.
    pub(super) first: Option<First>,
}

/// The continuation bytes that a part begins with: those that can end a sequence, which are three at most. They are not
/// counted in the part.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub(super) struct Head {
    bytes: [u8; 3],
    len: u8,
}

/// What the first character of a part is to the text before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub(super) enum First {
    /// The rest of a word, if there was one.
    OfWord,
    /// The rest of a `\r\n`, if there was a `\r`.
    LineFeed,
    /// Nothing that the text before could change.
    Space,
}

/// Bytes in which the first character is looked for at once.
const STEP: usize = 32;

impl Seam {
    /// Takes from the start of `chunk` what comes before the first character is known, and returns the rest. `counted`
    /// bytes of the part came before.
    pub(super) fn begin<'a>(&mut self, level: Level, seen: &mut Seen, chunk: &'a [u8], counted: u64) -> &'a [u8] {
        let mut rest = chunk;
        if counted == u64::from(self.head.len) {
            rest = self.head.take_from(rest);
        }
        while self.first.is_none() && !rest.is_empty() {
            let (step, after) = rest.split_at(rest.len().min(STEP));
            // Whatever the first character is, the two differ by what it means.
            let mut joined = Seen { after_space: 0, after_cr: 1, ..seen.clone() };
            level.count(&mut joined, step);
            level.count(seen, step);
            self.first = match (seen.chars, seen.words - joined.words, seen.chars - joined.chars) {
                (0, ..) => None,
                (_, 1.., _) => Some(First::OfWord),
                (_, _, 1..) => Some(First::LineFeed),
                _ => Some(First::Space),
            };
            rest = after;
        }
        rest
    }
}

impl Head {
    pub(super) fn as_slice(&self) -> &[u8] {
        // A length from another process may be any.
        &self.bytes[..usize::from(self.len).min(self.bytes.len())]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn take_from<'a>(&mut self, mut chunk: &'a [u8]) -> &'a [u8] {
        while let (Some(free), [byte @ 0x80..=0xbf, rest @ ..]) = (self.bytes.get_mut(usize::from(self.len)), chunk) {
            *free = *byte;
            self.len += 1;
            chunk = rest;
        }
        chunk
    }
}

impl Seen {
    /// Adds what was counted of the text that follows, whose first character is `first`.
    pub(super) fn join(&mut self, later: &Self, first: Option<First>) {
        // Both counted what goes on over the seam.
        let same_word = first == Some(First::OfWord) && self.after_space == 0;
        let same_line_end = first == Some(First::LineFeed) && self.after_cr != 0;
        self.words += later.words - u64::from(same_word);
        self.chars += later.chars - u64::from(same_line_end);
        self.lines += later.lines;
        self.kept += later.kept;
        if first.is_some() {
            self.after_space = later.after_space;
            self.after_cr = later.after_cr;
        }
        self.cut = later.cut;
    }
}
