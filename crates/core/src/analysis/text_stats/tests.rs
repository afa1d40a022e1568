//! Equality with the reference, whatever the bytes, wherever they are cut and whoever counts them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Level, TextCounts, TextStats, text_counts};
use crate::{Analysis, Combine};

fn levels() -> [Level; 2] {
    [Level::PORTABLE, Level::best()]
}

fn counted<'a>(level: Level, chunks: impl IntoIterator<Item = &'a [u8]>) -> TextCounts {
    let mut stats = TextStats::default();
    update(&mut stats, level, chunks);
    stats.finish()
}

fn update<'a>(stats: &mut TextStats, level: Level, chunks: impl IntoIterator<Item = &'a [u8]>) {
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        level.update(stats, chunk);
    }
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
        // Long enough that what comes after stands anywhere in a block, and that a block may be nothing else.
        1 => (0..200usize).prop_map(|n| vec![b'x'; n]),
        1 => (prop::sample::select(&b" \r\n\x80\xff\xe2"[..]), 0..200usize).prop_map(|(byte, n)| vec![byte; n]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Places to cut at: pieces are likely to be short, and some are empty.
fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..30)
}

/// `bytes`, cut there.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| &bytes[start..*end]).collect()
}

/// The parts, each counted in chunks and then combined in the order that `grouping` says.
fn combined(level: Level, parts: &[&[u8]], size: usize, grouping: &[Index]) -> TextCounts {
    let mut states: Vec<TextStats> = vec![];
    for (at, part) in parts.iter().enumerate() {
        let mut stats = TextStats::default();
        if at > 0 {
            stats.begin_part();
        }
        update(&mut stats, level, part.chunks(size));
        states.push(stats);
    }
    let mut grouping = grouping.iter().cycle();
    while states.len() > 1 {
        let at = grouping.next().map_or(0, |index| index.index(states.len() - 1));
        let later = states.remove(at + 1);
        states[at].combine(later);
    }
    states.remove(0).finish()
}

proptest! {
    #[test]
    fn equals_the_reference(bytes in hostile_bytes()) {
        for level in levels() {
            prop_assert_eq!(counted(level, [&bytes[..]]), text_counts(&bytes));
        }
    }

    #[test]
    fn chunk_boundaries_never_show(bytes in hostile_bytes(), size in 1..9usize) {
        for level in levels() {
            prop_assert_eq!(counted(level, bytes.chunks(size)), text_counts(&bytes));
        }
    }

    #[test]
    fn any_cuts_give_the_same(bytes in hostile_bytes(), cuts in cuts()) {
        for level in levels() {
            prop_assert_eq!(counted(level, cut(&bytes, &cuts)), text_counts(&bytes));
        }
    }

    #[test]
    fn parts_combined_in_any_grouping_give_the_same(
        bytes in hostile_bytes(),
        cuts in cuts(),
        size in 1..100usize,
        grouping in prop::collection::vec(any::<Index>(), 1..30),
    ) {
        for level in levels() {
            prop_assert_eq!(combined(level, &cut(&bytes, &cuts), size, &grouping), text_counts(&bytes));
        }
    }

    #[test]
    fn parts_of_a_byte_or_three_give_the_same(
        bytes in hostile_bytes(),
        size in 1..4usize,
        grouping in prop::collection::vec(any::<Index>(), 1..30),
    ) {
        let parts: Vec<&[u8]> = bytes.chunks(size).chain([&[][..]]).collect();
        prop_assert_eq!(combined(Level::best(), &parts, 2, &grouping), text_counts(&bytes));
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
        for level in levels() {
            let counts = counted(level, [text.as_bytes()]);
            assert_eq!((counts.words, counts.chars, counts.invalid_bytes), (words, 3, 0), "U+{code:04X}");
        }
    }
}

#[test]
fn every_sequence_of_the_bytes_at_the_edges_of_their_classes() {
    let edges = b"\n\r A\x7f\x80\x81\x85\x8a\x8f\x90\x9a\x9f\xa0\xa8\xbf\xc0\xc2\xdf\xe0\xe1\xe2\xe3\xed\xf0\xf4\xf5";
    for a in edges {
        for b in edges {
            for c in edges {
                // All that may follow on these three at once: the last one ends with what the next cannot continue.
                let bytes: Vec<u8> = edges.iter().flat_map(|d| [*a, *b, *c, *d, b'x', b' ']).collect();
                let wanted = text_counts(&bytes);
                for level in levels() {
                    assert_eq!(counted(level, [&bytes[..]]), wanted, "{a:02x} {b:02x} {c:02x}");
                }
            }
        }
    }
}

#[test]
fn what_is_dropped_joins_what_it_stood_between_over_any_distance() {
    for distance in 0..300 {
        for (before, after) in [("a", "b"), ("a ", "b"), ("a", " b"), ("a\r", "\nb"), ("a\r", "b"), ("\u{3000}", "文")]
        {
            for dropped in [0x80, 0xff, 0xe2] {
                let bytes = [before.as_bytes(), &vec![dropped; distance], after.as_bytes()].concat();
                let wanted = text_counts(&bytes);
                for level in levels() {
                    assert_eq!(counted(level, [&bytes[..]]), wanted, "{before:?} {distance} {after:?}");
                    assert_eq!(
                        combined(level, &cut_in_three(&bytes), 40, &[]),
                        wanted,
                        "{before:?} {distance} {after:?}"
                    );
                }
            }
        }
    }
}

fn cut_in_three(bytes: &[u8]) -> Vec<&[u8]> {
    let third = bytes.len() / 3;
    vec![&bytes[..third], &bytes[third..2 * third], &bytes[2 * third..]]
}

#[cfg(feature = "serde")]
proptest! {
    /// As a worker process that has read a part of a file sends it.
    #[test]
    fn what_is_known_of_a_part_survives_a_journey(bytes in hostile_bytes(), cuts in cuts()) {
        let mut whole = TextStats::default();
        let mut size = crate::ByteCount::default();
        for part in cut(&bytes, &cuts) {
            let mut there = (TextStats::default(), crate::ByteCount::default());
            there.begin_part();
            if !part.is_empty() {
                there.update(part);
            }
            let message = bincode::serialize(&there).unwrap();
            let (stats, count) = bincode::deserialize(&message).unwrap();
            whole.combine(stats);
            size.combine(count);
        }
        prop_assert_eq!(whole.finish(), text_counts(&bytes));
        prop_assert_eq!(size.finish(), bytes.len() as u64);
    }
}
