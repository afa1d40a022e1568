//! The masks of a block by plain comparisons, which the compiler turns into whatever vector code there is.

use super::kernel::{BLOCK, Masks, Open, Plain, Seen, Window};

/// [`Seen::count_blocks`] on any processor.
pub(super) fn count_blocks(seen: &mut Seen, windows: &[u8], open: Open) -> Open {
    seen.count_blocks(windows, open, plain, masks)
}

fn plain(window: &Window) -> Option<Plain> {
    let [_, _, block @ ..] = window;
    let is_ascii = block.iter().fold(0, |any, byte| any | byte) < 0x80;
    is_ascii.then(|| {
        let flags =
            block.map(|byte| flag(SPACE, is_ascii_space(byte)) | flag(LF, byte == b'\n') | flag(CR, byte == b'\r'));
        Plain { space: mask(&flags, SPACE), lf: mask(&flags, LF), cr: mask(&flags, CR) }
    })
}

fn masks(window: &Window) -> Masks {
    let mut flags = [0; BLOCK];
    for (at, flags) in flags.iter_mut().enumerate() {
        *flags = classify(window[at], window[at + 1], window[at + 2]);
    }
    Masks {
        plain: Plain { space: mask(&flags, SPACE), lf: mask(&flags, LF), cr: mask(&flags, CR) },
        beyond_ascii: mask(&flags, BEYOND_ASCII),
        longer: mask(&flags, LONGER),
        continuation: mask(&flags, CONTINUATION),
        three: mask(&flags, THREE),
        four: mask(&flags, FOUR),
    }
}

const BEYOND_ASCII: u32 = 0;
const CONTINUATION: u32 = 1;
const LONGER: u32 = 2;
const THREE: u32 = 3;
const FOUR: u32 = 4;
const SPACE: u32 = 5;
const LF: u32 = 6;
const CR: u32 = 7;

/// All that the masks say of the byte `c`, which follows on `a` and `b`. Without a branch: `&` and `|`, not `&&` and `||`.
#[inline(always)]
fn classify(a: u8, b: u8, c: u8) -> u8 {
    let continuation = c & 0xc0 == 0x80;
    let two = matches!(b, 0xc2..=0xdf);
    // Neither longer than need be nor a surrogate.
    let three = (b & 0xf0 == 0xe0) & ((b != 0xe0) | (c >= 0xa0)) & ((b != 0xed) | (c < 0xa0));
    // Neither longer than need be nor beyond the last code point.
    let four = matches!(b, 0xf0..=0xf4) & ((b != 0xf0) | (c >= 0x90)) & ((b != 0xf4) | (c < 0x90));
    let space = is_ascii_space(c)
        | (b == 0xc2) & ((c == 0x85) | (c == 0xa0))
        | (a == 0xe1) & (b == 0x9a) & (c == 0x80)
        | (a == 0xe2) & (b == 0x80) & matches!(c, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf)
        | (a == 0xe2) & (b == 0x81) & (c == 0x9f)
        | (a == 0xe3) & (b == 0x80) & (c == 0x80);
    flag(BEYOND_ASCII, c >= 0x80)
        | flag(CONTINUATION, continuation)
        | flag(LONGER, (c >= 0x80) & !(continuation & two))
        | flag(THREE, continuation & three)
        | flag(FOUR, continuation & four)
        | flag(SPACE, space)
        | flag(LF, c == b'\n')
        | flag(CR, c == b'\r')
}

#[inline(always)]
fn is_ascii_space(byte: u8) -> bool {
    (byte.wrapping_sub(0x09) <= 0x0d - 0x09) | (byte.wrapping_sub(0x1c) <= 0x20 - 0x1c)
}

#[inline(always)]
fn flag(bit: u32, is_set: bool) -> u8 {
    u8::from(is_set) << bit
}

/// The bit of each byte, gathered.
#[inline(always)]
fn mask(flags: &[u8; BLOCK], bit: u32) -> u64 {
    let (words, _) = flags.as_chunks::<8>();
    words.iter().rev().fold(0, |mask, word| {
        let lowest = (u64::from_le_bytes(*word) >> bit) & 0x0101_0101_0101_0101;
        // Moves the bit of byte `i` to bit `56 + i`; no two sums meet.
        mask << 8 | lowest.wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}
