//! The ranking for people.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use indicatif::{BinaryBytes, DecimalBytes, HumanCount};

use super::results::{Cell, CorpusResult, Results};

const HEADS: [&str; 9] =
    ["", "strategy", "median", "95% interval", "speed-up", "vs sequential", "files/s", "bytes/s", "peak memory"];

pub(super) fn render(results: &Results) -> String {
    let host = results.host();
    let mut text = format!("{}, {} cores, Linux {}\n", host.cpu, host.cores, host.kernel);
    for corpus in &results.corpora {
        text += &render_corpus(corpus, results.analysis());
    }
    // Writing to a string cannot fail, here and below.
    if let (Some(strategy), [_, _, ..]) = (results.recommendation, &results.corpora[..])
        && results.corpora.iter().flat_map(CorpusResult::ranked).all(Cell::has_interval)
    {
        let _ = writeln!(text, "\nOver all of them: {strategy}{}", tied(&ties_everywhere(results, strategy)));
    }
    text += "\nSpeed-up is against the slowest. Intervals that overlap are a tie.\n";
    text
}

fn render_corpus(corpus: &CorpusResult, analysis: &str) -> String {
    let mut text = String::new();
    let (files, bytes) = (HumanCount(corpus.files), DecimalBytes(corpus.bytes));
    let _ = writeln!(text, "\n{}: {files} files, {bytes}, warm cache, {analysis}", corpus.name);

    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(HEADS);
    let slowest = corpus.ranked().next_back().map_or(f64::NAN, |cell| cell.median_s);
    let sequential = corpus.ranked().find(|cell| cell.strategy == "sequential").map(|cell| cell.median_s);
    for (place, cell) in corpus.ranked().enumerate() {
        table.add_row([
            format!("{}.", place + 1),
            cell.strategy.to_owned(),
            duration(cell.median_s),
            interval(cell),
            format!("{:.2}x", slowest / cell.median_s),
            sequential.map_or_else(|| "-".to_owned(), |sequential| format!("{:.2}x", sequential / cell.median_s)),
            format!("{}", HumanCount(rounded(cell.files_per_s))),
            format!("{}", DecimalBytes(rounded(cell.bytes_per_s))),
            format!("{}", BinaryBytes(cell.peak_rss_bytes)),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if index >= 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines().filter(|_| corpus.ranked().next().is_some()) {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text += &verdict(corpus);
    if corpus.changed {
        text += "The tree changed while it was measured: nothing that follows is a model's fault.\n";
    }
    for cell in corpus.cells.iter().filter(|cell| !cell.verified) {
        let totals = cell.totals;
        let _ = writeln!(
            text,
            "WRONG, not ranked: {} found {} files, {} words, {} chars, {} lines, {} bytes and failed on {}; \
             the sequential reader had found {} files and {} bytes",
            cell.strategy,
            totals.files,
            totals.words,
            totals.chars,
            totals.lines,
            totals.bytes,
            cell.failed,
            corpus.files,
            corpus.bytes
        );
    }
    if let Some(failed) = corpus.ranked().next().map(|cell| cell.failed).filter(|failed| *failed > 0) {
        let _ = writeln!(text, "{failed} files could not be read, by any of them");
    }
    text
}

/// Seconds, or milliseconds below one: more digits than the noise leaves say nothing.
fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.3} s") }
}

fn interval(cell: &Cell) -> String {
    if !cell.has_interval() {
        return "-".to_owned();
    }
    format!("{} to {}", duration(cell.ci_low_s), duration(cell.ci_high_s))
}

/// Who is fastest, and who cannot be told apart from it.
fn verdict(corpus: &CorpusResult) -> String {
    let Some(fastest) = corpus.ranked().next() else { return String::new() };
    if !fastest.has_interval() {
        return format!("Fastest: {}, of too few samples to tell it from the others\n", fastest.strategy);
    }
    format!("Fastest: {}{}\n", fastest.strategy, tied(&ties(corpus, fastest.strategy)))
}

/// Those that cannot be told apart from a strategy on one corpus.
fn ties(corpus: &CorpusResult, strategy: &str) -> Vec<&'static str> {
    let Some(it) = corpus.ranked().find(|cell| cell.strategy == strategy) else { return Vec::new() };
    let others = corpus.ranked().filter(|cell| cell.strategy != strategy);
    others.filter(|cell| cell.interval().ties_with(&it.interval())).map(|cell| cell.strategy).collect()
}

/// Those that cannot be told apart from it on any corpus.
fn ties_everywhere(results: &Results, strategy: &str) -> Vec<&'static str> {
    let mut everywhere = results.corpora.iter().map(|corpus| ties(corpus, strategy));
    let mut left = everywhere.next().unwrap_or_default();
    everywhere.for_each(|ties| left.retain(|other| ties.contains(other)));
    left
}

fn tied(ties: &[&str]) -> String {
    if ties.is_empty() { String::new() } else { format!(" (a tie with {})", ties.join(" and ")) }
}

/// Of figures that are never negative and far below the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
fn rounded(figure: f64) -> u64 {
    figure.round() as u64
}
