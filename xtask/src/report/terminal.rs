//! The summary on a terminal: as wide as there is room, with bars; without colours where nobody wants them.

use std::env;
use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use console::{Style, Term, measure_text_width};

use super::ranking::{Column, Ranking};
use super::{document, figures, goals, remarks};
use crate::bench::baseline::{Comparison, Verdict};
use crate::bench::cold::Cache;
use crate::bench::results::{CorpusResult, Results};
use crate::sweep::text::{Page, render_sweep, render_units};

/// Where nobody says how wide it is, such as in a pipe.
const WIDTH: usize = 120;

/// The bar's: narrower ones tell nothing apart.
const BAR: usize = 10;

/// Columns after the place, the name, the kind and the median, the most important ones first.
const BY_WEIGHT: [Column; 10] = [
    Column::ToFloor,
    Column::Precision,
    Column::SpeedUp,
    Column::Memory,
    Column::Cpu,
    Column::ToTwin,
    Column::Interval,
    Column::ToSequential,
    Column::Files,
    Column::Bytes,
];

/// From left to right.
const ORDER: [Column; 14] = [
    Column::Place,
    Column::Strategy,
    Column::Kind,
    Column::Median,
    Column::Precision,
    Column::Interval,
    Column::ToFloor,
    Column::SpeedUp,
    Column::ToTwin,
    Column::ToSequential,
    Column::Cpu,
    Column::Memory,
    Column::Files,
    Column::Bytes,
];

/// What is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Columns that a line may have.
    pub(crate) width: usize,
    pub(crate) has_colours: bool,
    /// Whether it shows more than ASCII.
    pub(crate) is_unicode: bool,
}

impl Screen {
    pub(crate) fn of_stdout() -> Self {
        let terminal = Term::stdout();
        let told = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let seen = || terminal.size_checked().map(|(_, columns)| usize::from(columns));
        let width = told.filter(|columns| *columns > 0).or_else(seen).unwrap_or(WIDTH);
        // The first that is set and not empty is the one that holds.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| env::var(name).ok());
        let locale = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_lowercase();
        Self {
            width: width.max(60),
            has_colours: terminal.features().colors_supported(),
            is_unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    fn style(&self, style: Style, text: &str) -> String {
        style.force_styling(self.has_colours).apply_to(text).to_string()
    }
}

pub(crate) fn render(results: &Results, screen: &Screen) -> String {
    let host = &results.host;
    let mut text = format!("{}, {}, Linux {}\n", host.cpu, figures::many(host.cores as u64, "core"), host.kernel);
    if results.stopped.is_some() {
        text += &screen.style(Style::new().yellow(), &wrapped(remarks::STOPPED, screen.width));
    }
    let mut left_out = Vec::new();
    for (corpus, cache) in results.rankings() {
        text += &render_corpus(corpus, cache, results, screen, &mut left_out);
    }
    if let Some((best, ties)) = remarks::over_all(results) {
        let _ = writeln!(text, "\nOver all of them: {best}{}", remarks::tied(&ties));
    }
    if results.rankings().next().is_some() {
        text.push('\n');
        text += &wrapped(&remarks::columns(results), screen.width);
    }
    if !left_out.is_empty() {
        let said =
            format!("Left out at this width: {}; --format markdown and --report DIR have all.", left_out.join(", "));
        text += &wrapped(&said, screen.width);
    }
    results.notes.iter().for_each(|note| text += &wrapped(&figures::printable(note), screen.width));
    for table in goals::tables(&results.goals) {
        let _ = write!(text, "\n{}\n{}", table.caption, render_table(&table));
    }
    for remark in goals::remarks(&results.goals) {
        let _ = write!(text, "\n{}", wrapped(remark, screen.width));
    }
    text += &results.baseline.as_ref().map(|it| render_baseline(it, screen)).unwrap_or_default();
    let page = Page::Terminal(screen.width);
    results.sweeps.iter().for_each(|sweep| text += &render_sweep(sweep, page));
    text += &render_units(&results.units, page);
    if screen.is_unicode { text } else { text.replace('µ', "u") }
}

fn render_corpus(
    corpus: &CorpusResult,
    cache: Cache,
    results: &Results,
    screen: &Screen,
    left_out: &mut Vec<&'static str>,
) -> String {
    let head = format!("{}: {}", figures::printable(&corpus.name), remarks::tree(corpus, cache, results));
    let mut text = format!("\n{}\n", screen.style(Style::new().bold(), &head));
    text += &render_ranking(&Ranking::new(corpus, cache), corpus, cache, screen, left_out);
    if let Some(fastest) = remarks::fastest(corpus, cache) {
        text += &screen.style(Style::new().green().bold(), &wrapped(&fastest, screen.width));
    }
    if let Some(fewer) = remarks::fewer_samples(corpus, cache, results.runs) {
        text += &wrapped(&fewer, screen.width);
    }
    for notice in remarks::notices(corpus, cache) {
        let style = if notice.is_error { Style::new().red().bold() } else { Style::new().yellow() };
        text += &screen.style(style, &wrapped(&notice.text, screen.width));
    }
    if let Some(noise) = corpus.noise.get(&cache).and_then(remarks::noise) {
        text += &wrapped(&noise, screen.width);
    }
    if let Some(advice) = remarks::advice(results, corpus, cache) {
        let mut said = vec![format!("Use {}: {}", advice.strategy, advice.why)];
        let settings = advice.settings.iter().map(|it| format!("{} {}", it.name, figures::printable(&it.value)));
        let settings: Vec<_> = settings.collect();
        said.extend((!settings.is_empty()).then(|| format!("Settings: {}", settings.join(", "))));
        said.extend(remarks::next(advice).map(|next| format!("Next: {next}")));
        said.extend(remarks::seed(advice).map(|seed| format!("The seed's rule would have said: {seed}")));
        said.iter().for_each(|said| text += &wrapped(said, screen.width));
        if !advice.dependency.is_empty() {
            let _ = writeln!(text, "For Cargo.toml:\n{}", advice.dependency);
        }
        if !advice.code.is_empty() {
            text += "A program to start from: --format markdown, or --report DIR\n";
        }
    }
    text
}

/// The columns that there is room for, the most important ones first.
fn render_ranking(
    ranking: &Ranking<'_>,
    corpus: &CorpusResult,
    cache: Cache,
    screen: &Screen,
    left_out: &mut Vec<&'static str>,
) -> String {
    if ranking.rows.is_empty() {
        return String::new();
    }
    let column =
        |column: Column| -> Vec<String> { ranking.rows.iter().map(|row| ranking.text(*row, column)).collect() };
    let width =
        |it: Column| column(it).iter().map(|text| measure_text_width(text)).max().unwrap_or(0).max(it.head().len()) + 2;
    let mut shown = vec![Column::Place, Column::Strategy, Column::Kind, Column::Median];
    // Nothing follows the last one.
    let mut left = (screen.width + 1).saturating_sub(shown.iter().map(|it| width(*it)).sum());
    let has_bar = left >= BAR + 2 + width(Column::ToFloor);
    left = left.saturating_sub(if has_bar { BAR + 2 } else { 0 });
    for it in BY_WEIGHT.into_iter().filter(|it| column(*it).iter().any(|text| text != "-")) {
        if width(it) <= left {
            left -= width(it);
            shown.push(it);
        } else if !left_out.contains(&it.head()) {
            left_out.push(it.head());
        }
    }
    let place = |it: &Column| ORDER.iter().position(|other| it == other);
    shown.sort_by_key(place);

    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    // The bar stands beside the median.
    let bar_at = shown.iter().position(|it| *it == Column::Median).map_or(0, |at| at + 1);
    let mut heads: Vec<String> = shown.iter().map(|it| it.head().to_owned()).collect();
    let full_s = corpus.ranked(cache).next_back().map_or(0.0, |slowest| slowest.median_s);
    if has_bar {
        heads.insert(bar_at, String::new());
    }
    table.set_header(heads);
    for row in &ranking.rows {
        let mut cells: Vec<_> = shown.iter().map(|it| ranking.text(*row, *it)).collect();
        if has_bar {
            cells.insert(bar_at, bar(row.1.median_s / full_s, screen.is_unicode));
        }
        table.add_row(cells);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        if at >= 3 && !(has_bar && at == bar_at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for (at, line) in table.lines().enumerate() {
        let cell = at.checked_sub(1).and_then(|at| ranking.rows.get(at));
        let style = match cell {
            Some((Some(1), _)) => Style::new().green().bold(),
            Some((Some(_), cell)) if cell.tie => Style::new().green(),
            Some((Some(_), _)) => Style::new(),
            _ => Style::new().dim(),
        };
        text += &screen.style(style, line.trim_end());
        text.push('\n');
    }
    text
}

/// A bar of a part of the slowest strategy's time; whoever is slower still runs out of it.
fn bar(part: f64, is_unicode: bool) -> String {
    let eighths = figures::rounded((part * (BAR * 8) as f64).max(1.0));
    let (whole, rest) = (usize::try_from(eighths / 8).unwrap_or(usize::MAX), eighths % 8);
    if !is_unicode {
        return if whole > BAR {
            "#".repeat(BAR - 1) + ">"
        } else {
            "#".repeat((whole + usize::from(rest > 3)).min(BAR))
        };
    }
    if whole > BAR {
        return "█".repeat(BAR - 1) + "▶";
    }
    let end = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    "█".repeat(whole) + usize::try_from(rest).ok().and_then(|rest| end.get(rest)).copied().unwrap_or_default()
}

/// Lines of at most so many columns, broken between words.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut used) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = measure_text_width(word);
        if used > 0 && used + 1 + length > width {
            lines.push('\n');
            used = 0;
        }
        if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines += word;
        used += length;
    }
    lines + "\n"
}

fn render_table(from: &document::Table) -> String {
    if from.rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(&from.heads);
    table.add_rows(from.rows.iter().map(|row| &row.cells));
    for column in table.column_iter_mut().skip(from.figures_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Who became slower or faster, and how many did not.
fn render_baseline(comparison: &Comparison, screen: &Screen) -> String {
    let heads = ["verdict", "contestant", "tree", "cache", "then", "now", "now / then"];
    let mut table = document::Table::new("", &heads, 4);
    for row in comparison.rows.iter().filter(|row| matches!(row.verdict, Verdict::Slower | Verdict::Faster)) {
        let verdict = if row.verdict == Verdict::Slower { "SLOWER" } else { "faster" };
        table.row(vec![
            verdict.to_owned(),
            row.strategy.clone(),
            figures::printable(&row.corpus),
            row.cache.name().to_owned(),
            row.before_s.map_or_else(figures::dash, figures::duration),
            row.now_s.map_or_else(figures::dash, figures::duration),
            row.ratio.as_ref().map_or_else(figures::dash, figures::times_within),
        ]);
    }
    let mut text = format!("\nHeld against the comparison of {}\n", figures::printable(&comparison.begun));
    text += &render_table(&table);
    let count = |verdict| comparison.rows.iter().filter(|row| row.verdict == verdict).count();
    let _ = writeln!(
        text,
        "{} the same within the noise, {} of too few samples to tell",
        count(Verdict::Same),
        count(Verdict::Unknown)
    );
    comparison.notes.iter().for_each(|note| text += &wrapped(&figures::printable(note), screen.width));
    text
}
