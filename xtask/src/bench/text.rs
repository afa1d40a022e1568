//! The ranking for people.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use indicatif::{BinaryBytes, DecimalBytes, HumanCount};

use super::results::{CorpusResult, Results};

const HEADS: [&str; 9] =
    ["", "strategy", "median", "95% interval", "speed-up", "vs sequential", "files/s", "bytes/s", "peak memory"];

pub(super) fn render(results: &Results) -> String {
    let host = results.host();
    let mut text = format!("{}, {} cores, Linux {}\n", host.cpu, host.cores, host.kernel);
    for corpus in &results.corpora {
        text += &render_corpus(corpus, results.analysis());
    }
    if let (Some(strategy), true) = (results.recommendation, results.corpora.len() > 1) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "\nOver all of them: {strategy}");
    }
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
            format!("{:.3} s", cell.median_s),
            format!("{:.3} to {:.3} s", cell.ci_low_s, cell.ci_high_s),
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
    for line in table.lines() {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text += &verdict(corpus);
    for cell in corpus.cells.iter().filter(|cell| !cell.verified) {
        let totals = cell.totals;
        let _ = writeln!(
            text,
            "WRONG, not ranked: {} found {} files, {} words, {} chars, {} lines, {} bytes and failed on {}, \
             unlike sequential",
            cell.strategy, totals.files, totals.words, totals.chars, totals.lines, totals.bytes, cell.failed
        );
    }
    if let Some(failed) = corpus.ranked().next().map(|cell| cell.failed).filter(|failed| *failed > 0) {
        let _ = writeln!(text, "{failed} files could not be read, by any of them");
    }
    text
}

/// Who is fastest, and who cannot be told apart from it.
fn verdict(corpus: &CorpusResult) -> String {
    let mut ranked = corpus.ranked();
    let Some(fastest) = ranked.next() else { return String::new() };
    let ties: Vec<_> =
        ranked.filter(|cell| cell.interval().ties_with(&fastest.interval())).map(|cell| cell.strategy).collect();
    let tied = if ties.is_empty() { String::new() } else { format!(" (a tie with {})", ties.join(" and ")) };
    format!("Fastest: {}{tied}\n", fastest.strategy)
}

/// Of figures that are never negative and far below the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
fn rounded(figure: f64) -> u64 {
    figure.round() as u64
}
