//! The masks of a block on x86-64 processors with AVX2: bytes are looked up, 32 at once, by their two halves.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_and_si256, _mm256_andnot_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm256_testz_si256,
};

use super::kernel::{BLOCK, LOOKBACK, Masks, Open, Plain, Seen, Window};

/// [`Seen::count_blocks`] on a processor that has what is enabled here.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn count_blocks(seen: &mut Seen, windows: &[u8], open: Open) -> Open {
    seen.count_blocks(windows, open, |window| plain(window), |window| masks(window))
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn plain(window: &Window) -> Option<Plain> {
    let block = load_block(window, 0);
    if both(block, |bytes| bytes) != 0 {
        return None;
    }
    Some(Plain {
        space: both(block, |bytes| ascii_space(bytes)),
        lf: both(block, |bytes| _mm256_cmpeq_epi8(bytes, byte(b'\n'))),
        cr: both(block, |bytes| _mm256_cmpeq_epi8(bytes, byte(b'\r'))),
    })
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn masks(window: &Window) -> Masks {
    let block = load_block(window, 0);
    let before = load_block(window, 1);
    let before_that = load_block(window, 2);
    let pairs = (pairs(before.0, block.0), pairs(before.1, block.1));
    let wide = (wide_space(before_that.0, before.0, block.0), wide_space(before_that.1, before.1, block.1));
    // Only one of the groups of bits can be set, so that comparing tells which.
    let two_or_three = both(pairs, |pairs| _mm256_cmpgt_epi8(pairs, byte(FOUR_LOW | FOUR_HIGH)));
    let is_two = byte(FOUR_LOW | FOUR_HIGH | THREE_LOW | THREE_HIGH);
    let longer = high_bits(_mm256_andnot_si256(_mm256_cmpgt_epi8(pairs.0, is_two), block.0))
        | high_bits(_mm256_andnot_si256(_mm256_cmpgt_epi8(pairs.1, is_two), block.1)) << 32;
    Masks {
        plain: Plain {
            space: both(block, |bytes| ascii_space(bytes))
                | both(wide, |wide| _mm256_cmpgt_epi8(wide, _mm256_setzero_si256())),
            lf: both(block, |bytes| _mm256_cmpeq_epi8(bytes, byte(b'\n'))),
            cr: both(block, |bytes| _mm256_cmpeq_epi8(bytes, byte(b'\r'))),
        },
        beyond_ascii: both(block, |bytes| bytes),
        longer,
        continuation: both(block, |bytes| _mm256_cmpgt_epi8(byte(0xc0), bytes)),
        three: two_or_three & longer,
        four: if has_four(pairs) { both(pairs, |pairs| _mm256_cmpgt_epi8(pairs, byte(0))) & !two_or_three } else { 0 },
    }
}

// A second byte is well-formed after its lead if one of these bits is in all three tables: that of the lead's upper half,
// of its lower half and of the second byte's upper half. `LOW` and `HIGH` are what the second byte may be.
const FOUR_LOW: u8 = 0x01;
const FOUR_HIGH: u8 = 0x02;
const THREE_LOW: u8 = 0x04;
const THREE_HIGH: u8 = 0x08;
const TWO_C: u8 = 0x10;
const TWO_D: u8 = 0x20;

const LEAD_UPPER: Table = table(&[
    (TWO_C, 0xc, 0xc),
    (TWO_D, 0xd, 0xd),
    (THREE_LOW | THREE_HIGH, 0xe, 0xe),
    (FOUR_LOW | FOUR_HIGH, 0xf, 0xf),
]);
const LEAD_LOWER: Table = table(&[
    (TWO_C, 0x2, 0xf), // C0 and C1 would be longer than need be
    (TWO_D, 0x0, 0xf),
    (THREE_LOW, 0x1, 0xf), // E0 80..9F too
    (THREE_HIGH, 0x0, 0xc),
    (THREE_HIGH, 0xe, 0xf), // ED A0..BF are the surrogates
    (FOUR_LOW, 0x1, 0x4),   // F0 80..8F again
    (FOUR_HIGH, 0x0, 0x3),  // F4 90 is beyond the last code point
]);
const SECOND_UPPER: Table = table(&[
    (TWO_C | TWO_D, 0x8, 0xb),
    (THREE_LOW, 0x8, 0x9),
    (THREE_HIGH, 0xa, 0xb),
    (FOUR_LOW, 0x8, 0x8),
    (FOUR_HIGH, 0x9, 0xb),
]);

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn has_four(pairs: (__m256i, __m256i)) -> bool {
    _mm256_testz_si256(_mm256_or_si256(pairs.0, pairs.1), byte(FOUR_LOW | FOUR_HIGH)) == 0
}

/// Which lead each byte of `bytes` follows, if it may stand there; 0 if not.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn pairs(before: __m256i, bytes: __m256i) -> __m256i {
    let lead = _mm256_and_si256(look_up(&LEAD_UPPER, upper(before)), look_up(&LEAD_LOWER, lower(before)));
    _mm256_and_si256(lead, look_up(&SECOND_UPPER, upper(bytes)))
}

// The same for whitespace beyond ASCII: one bit for each of the rectangles that its last bytes form.
const OGHAM: u8 = 0x01; // E1 9A 80
const QUADS: u8 = 0x02; // E2 80 80..8A
const LINES: u8 = 0x04; // E2 80 A8, A9, AF
const MATHS: u8 = 0x08; // E2 81 9F
const IDEOGRAPHIC: u8 = 0x10; // E3 80 80
const NEXT_LINE: u8 = 0x20; // C2 85
const NO_BREAK: u8 = 0x40; // C2 A0

const THIRD_LAST: Table = table(&[
    (NEXT_LINE | NO_BREAK, 0x0, 0xf),
    (OGHAM, 0x1, 0x1),
    (QUADS | LINES | MATHS, 0x2, 0x2),
    (IDEOGRAPHIC, 0x3, 0x3),
]);
const SECOND_LAST_UPPER: Table =
    table(&[(QUADS | LINES | MATHS | IDEOGRAPHIC, 0x8, 0x8), (OGHAM, 0x9, 0x9), (NEXT_LINE | NO_BREAK, 0xc, 0xc)]);
const SECOND_LAST_LOWER: Table = table(&[
    (QUADS | LINES | IDEOGRAPHIC, 0x0, 0x0),
    (MATHS, 0x1, 0x1),
    (OGHAM, 0xa, 0xa),
    (NEXT_LINE | NO_BREAK, 0x2, 0x2),
]);
const LAST_UPPER: Table =
    table(&[(OGHAM | QUADS | IDEOGRAPHIC | NEXT_LINE, 0x8, 0x8), (MATHS, 0x9, 0x9), (LINES | NO_BREAK, 0xa, 0xa)]);
const LAST_LOWER: Table = table(&[
    (OGHAM | IDEOGRAPHIC | NO_BREAK, 0x0, 0x0),
    (QUADS, 0x0, 0xa),
    (NEXT_LINE, 0x5, 0x5),
    (LINES, 0x8, 0x9),
    (LINES | MATHS, 0xf, 0xf),
]);

/// Whether a whitespace character of two or three bytes ends in each byte of `bytes`; 0 if not.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn wide_space(before_that: __m256i, before: __m256i, bytes: __m256i) -> __m256i {
    let third_last = look_up(&THIRD_LAST, lower(before_that));
    let second_last =
        _mm256_and_si256(look_up(&SECOND_LAST_UPPER, upper(before)), look_up(&SECOND_LAST_LOWER, lower(before)));
    let last = _mm256_and_si256(look_up(&LAST_UPPER, upper(bytes)), look_up(&LAST_LOWER, lower(bytes)));
    _mm256_and_si256(_mm256_and_si256(third_last, second_last), last)
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn ascii_space(bytes: __m256i) -> __m256i {
    // Moves each range to the top of the signed bytes.
    let controls = _mm256_add_epi8(bytes, byte(0x7f - 0x0d));
    let separators = _mm256_add_epi8(bytes, byte(0x7f - 0x20));
    let above = byte(0x7f - 5);
    _mm256_or_si256(_mm256_cmpgt_epi8(controls, above), _mm256_cmpgt_epi8(separators, above))
}

/// Something for each half of a byte. Twice, because each 16 bytes of a vector have a table of their own.
type Table = [u8; 32];

/// A table in which each of the ranges, ends included, has the bits set.
const fn table(ranges: &[(u8, usize, usize)]) -> Table {
    let mut table = [0; 32];
    let mut at = 0;
    while at < ranges.len() {
        let (bits, mut entry, last) = ranges[at];
        while entry <= last {
            table[entry] |= bits;
            table[16 + entry] |= bits;
            entry += 1;
        }
        at += 1;
    }
    table
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn look_up(table: &Table, halves: __m256i) -> __m256i {
    _mm256_shuffle_epi8(load(table), halves)
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn upper(bytes: __m256i) -> __m256i {
    lower(_mm256_srli_epi16::<4>(bytes))
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn lower(bytes: __m256i) -> __m256i {
    _mm256_and_si256(bytes, byte(0x0f))
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn byte(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// The two halves of a block, `back` bytes before it.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn load_block(window: &Window, back: usize) -> (__m256i, __m256i) {
    let (halves, _) = window[LOOKBACK - back..][..BLOCK].as_chunks();
    (load(&halves[0]), load(&halves[1]))
}

/// The mask of what `test` says of both halves.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn both(block: (__m256i, __m256i), test: impl Fn(__m256i) -> __m256i) -> u64 {
    high_bits(test(block.0)) | high_bits(test(block.1)) << 32
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn high_bits(bytes: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(bytes).cast_unsigned())
}

/// Loads 32 bytes, wherever they are, by one instruction: put together from words they took four, and counting a tenth more
/// time.
#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    bytemuck::cast(*bytes)
}
