//! Counting by masks: 64 bytes at a time, one bit a byte.
//!
//! Which bytes are dropped is a local question: lead bytes and continuation bytes are different bytes, so whether a byte
//! ends a well-formed sequence shows in it and the three before it. A character is therefore counted where it *ends*.
//! Nothing is decoded, nothing looks ahead, ill-formed text takes the same way as any other, and what a cut between two
//! chunks has to hand over is the start of a sequence, three bytes at most, and two flags.
//!
//! How the masks of a block come about is the processor's matter (see [`Level`](super::level::Level)); what is made of
//! them is here, once for all of them.

/// Bytes counted at once: one for each bit of a mask.
pub(super) const BLOCK: usize = 64;
/// Bytes before a block that its masks depend on.
pub(super) const LOOKBACK: usize = 2;
/// A block with the bytes before it.
pub(super) type Window = [u8; LOOKBACK + BLOCK];
/// Bytes that a sequence can lack its end after.
const LONGEST_CUT: usize = 3;
/// What of a chunk fits a window together with the start of a sequence before it.
const PIECE: usize = BLOCK - LONGEST_CUT;
/// The piece that a long chunk starts with: half a block, so that the loads after it stay as aligned as the chunk is.
const FIRST_PIECE: usize = BLOCK / 2;
/// A byte that no well-formed text has: it is dropped, wherever it stands.
const NOTHING: u8 = 0xff;

/// What is asked of every block. Bit `i` speaks of byte `i`.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    /// ASCII whitespace; of a block that has more than ASCII, the last byte of any whitespace.
    pub(super) space: u64,
    pub(super) lf: u64,
    pub(super) cr: u64,
}

/// What is asked of a block that has more than ASCII.
#[derive(Clone, Copy)]
pub(super) struct Masks {
    pub(super) plain: Plain,
    /// Bytes from `80` on.
    pub(super) beyond_ascii: u64,
    /// Those of them that do not end a well-formed sequence of two.
    pub(super) longer: u64,
    /// Continuation bytes, `80` to `BF`.
    pub(super) continuation: u64,
    /// Second bytes, after the lead of a sequence of three, that may stand there.
    pub(super) three: u64,
    /// Second bytes, after the lead of a sequence of four, that may stand there.
    pub(super) four: u64,
}

/// What was counted so far, and what the next block has to know of it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub(super) struct Seen {
    pub(super) words: u64,
    pub(super) chars: u64,
    pub(super) lines: u64,
    /// Bytes that were not dropped.
    pub(super) kept: u64,
    /// Bit 0 says whether the last character is whitespace, or there is none yet.
    pub(super) after_space: u64,
    /// Bit 0 says whether the last character is a carriage return.
    pub(super) after_cr: u64,
    /// The sequence that the last bytes may be the start of, and `NOTHING` before it.
    pub(super) cut: [u8; LONGEST_CUT],
}

impl Default for Seen {
    fn default() -> Self {
        Self { words: 0, chars: 0, lines: 0, kept: 0, after_space: 1, after_cr: 0, cut: [NOTHING; LONGEST_CUT] }
    }
}

impl Seen {
    /// Counts `chunk`. `blocks` calls [`count_blocks`](Self::count_blocks) with what the processor has.
    #[inline]
    pub(super) fn count(&mut self, chunk: &[u8], blocks: impl Fn(&mut Self, &[u8], Open) -> Open) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let len = if rest.len() <= PIECE { rest.len() } else { FIRST_PIECE };
            let (piece, after) = rest.split_at(len);
            // In a window of its own, at the end of it, with the cut sequence in front and nothing before.
            let mut window = [NOTHING; LOOKBACK + BLOCK];
            let start = window.len() - len;
            window[start - LONGEST_CUT..start].copy_from_slice(&self.cut);
            window[start..].copy_from_slice(piece);
            let open = blocks(self, &window, Open::default());
            self.cut = cut_sequence(&window);
            rest = after;
            if rest.len() >= BLOCK {
                // All whole blocks where they are: the piece before them is what the first one looks back on.
                let counted = chunk.len() - rest.len();
                let (whole, after) = rest.split_at(rest.len() - rest.len() % BLOCK);
                let windows = &chunk[counted - LOOKBACK..counted + whole.len()];
                blocks(self, windows, open);
                self.cut = cut_sequence(windows);
                rest = after;
            }
        }
    }

    /// Counts the blocks of `windows`, which has `LOOKBACK` bytes in front of the first, and returns what the last of them
    /// leaves open.
    ///
    /// The functions look at a window: `plain` gives nothing if the block is not all ASCII, and then `masks` is asked.
    #[inline(always)]
    pub(super) fn count_blocks(
        &mut self,
        mut windows: &[u8],
        mut open: Open,
        plain: impl Fn(&Window) -> Option<Plain>,
        masks: impl Fn(&Window) -> Masks,
    ) -> Open {
        // In registers, which a reference is not.
        let mut seen = self.clone();
        while let Some(window) = windows.first_chunk() {
            if let Some(plain) = plain(window) {
                seen.count_plain(plain);
                open = Open::default();
            } else {
                open = seen.count_any(masks(window), open);
            }
            windows = &windows[BLOCK..];
        }
        *self = seen;
        open
    }

    /// Counts a block of ASCII: a character ends in each byte.
    #[inline(always)]
    fn count_plain(&mut self, Plain { space, lf, cr }: Plain) {
        let starts = (space << 1 | self.after_space) & !space;
        let folded = (cr << 1 | self.after_cr) & lf;
        self.after_space = space >> 63;
        self.after_cr = cr >> 63;
        self.words += ones(starts);
        self.lines += ones(lf);
        self.chars += BLOCK as u64 - ones(folded);
        self.kept += BLOCK as u64;
    }

    #[inline(always)]
    fn count_any(&mut self, masks: Masks, open: Open) -> Open {
        let Masks { plain: Plain { space, lf, cr }, beyond_ascii, longer, continuation, three, four } = masks;
        let third = (three << 1 | open.three) & continuation;
        let (mut third_of_four, mut fourth) = (0, 0);
        if four | open.four | open.four_last != 0 {
            third_of_four = (four << 1 | open.four) & continuation;
            fourth = (third_of_four << 1 | open.four_last) & continuation;
            self.kept += 2 * ones(fourth);
        }
        let ends = !longer | third | fourth;
        let space = space & ends & !fourth;
        self.words += ones(after(space, ends, &mut self.after_space) & !space);
        self.lines += ones(lf);
        self.chars += ones(ends);
        // Rare enough to be worth a branch.
        if cr | self.after_cr != 0 {
            self.chars -= ones(after(cr, ends, &mut self.after_cr) & lf);
        }
        self.kept += 2 * ones(ends) + ones(beyond_ascii) + ones(third) - BLOCK as u64;
        Open { three: three >> 63, four: four >> 63, four_last: third_of_four >> 63 }
    }
}

/// Sequences that the end of a block cuts: each in bit 0.
#[derive(Clone, Copy, Default)]
pub(super) struct Open {
    /// Of three, with one byte to come.
    three: u64,
    /// Of four, with two bytes to come.
    four: u64,
    /// Of four, with one byte to come.
    four_last: u64,
}

/// The characters, among those that end at `ends`, which follow directly on one of `these`, whatever was dropped between
/// them. `carry` says of the last character before the block whether it is such a one, and then of the block's last.
///
/// A bit is set behind each of `these`. Adding the gaps between the ends moves it up through the gap, as a carry, to the
/// end above; where there is no gap it stays.
#[inline(always)]
fn after(these: u64, ends: u64, carry: &mut u64) -> u64 {
    let (moved, overflow) = (these << 1 | *carry).overflowing_add(!ends);
    *carry = these >> 63 | u64::from(overflow);
    moved & ends
}

#[inline(always)]
fn ones(mask: u64) -> u64 {
    u64::from(mask.count_ones())
}

/// The sequence that the last bytes of a window may be the start of. It need not be well-formed so far, for nothing ends
/// in it either way.
fn cut_sequence(windows: &[u8]) -> [u8; LONGEST_CUT] {
    match *windows {
        [.., lead @ 0xc0..=0xff] => [NOTHING, NOTHING, lead],
        [.., lead @ 0xe0..=0xff, second @ 0x80..=0xbf] => [NOTHING, lead, second],
        [.., lead @ 0xf0..=0xff, second @ 0x80..=0xbf, third @ 0x80..=0xbf] => [lead, second, third],
        _ => [NOTHING; LONGEST_CUT],
    }
}
