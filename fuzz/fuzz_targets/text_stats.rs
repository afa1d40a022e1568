//! Whatever the bytes are, wherever they are cut and whoever counts them, the counts are those of the reference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polyread_core::internals::{Level, text_counts};
use polyread_core::{Analysis, Combine, TextStats};

fuzz_target!(|input: &[u8]| {
    // The first byte says how many of those that follow are lengths of pieces; the rest is the text.
    let Some((&count, rest)) = input.split_first() else { return };
    let (lengths, text) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let pieces = pieces(text, lengths);
    let wanted = text_counts(text);
    for level in [Level::PORTABLE, Level::best()] {
        assert_eq!(counted(level, [text]).finish(), wanted, "{level:?}, whole");
        assert_eq!(counted(level, pieces.iter().copied()).finish(), wanted, "{level:?}, in chunks");

        let parts = || pieces.chunks(2).enumerate().map(|(at, chunks)| part(level, at > 0, chunks));
        let from_the_left = parts().reduce(combined);
        assert_eq!(from_the_left.map(Analysis::finish), Some(wanted), "{level:?}, in parts from the left");
        let from_the_right = parts().rev().reduce(|later, earlier| combined(earlier, later));
        assert_eq!(from_the_right.map(Analysis::finish), Some(wanted), "{level:?}, in parts from the right");
    }
});

/// The text in pieces of these lengths, again and again. Some may be empty; there is at least one.
fn pieces<'a>(mut text: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = vec![];
    // Without a length that is not 0 it would never end.
    if lengths.iter().any(|length| *length > 0) {
        for length in lengths.iter().cycle() {
            let (piece, rest) = text.split_at(usize::from(*length).min(text.len()));
            pieces.push(piece);
            text = rest;
            if text.is_empty() {
                break;
            }
        }
    }
    pieces.push(text);
    pieces
}

fn counted<'a>(level: Level, chunks: impl IntoIterator<Item = &'a [u8]>) -> TextStats {
    let mut stats = TextStats::default();
    update(&mut stats, level, chunks);
    stats
}

fn part(level: Level, is_later: bool, chunks: &[&[u8]]) -> TextStats {
    let mut stats = TextStats::default();
    if is_later {
        stats.begin_part();
    }
    update(&mut stats, level, chunks.iter().copied());
    stats
}

fn update<'a>(stats: &mut TextStats, level: Level, chunks: impl IntoIterator<Item = &'a [u8]>) {
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        level.update(stats, chunk);
    }
}

fn combined(mut earlier: TextStats, later: TextStats) -> TextStats {
    earlier.combine(later);
    earlier
}
