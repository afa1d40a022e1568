//! The ranking for people, on a terminal or in a Markdown page.

use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement, Table};
use indicatif::{BinaryBytes, DecimalBytes, HumanCount};

use super::cold::Cache;
use super::contestant::Kind;
use super::goals::{Goal, Verdict, What};
use super::results::{Cell, CorpusResult, Results};

const HEADS: [&str; 12] = [
    "",
    "strategy",
    "kind",
    "median",
    "95% interval",
    "time / floor",
    "vs twin",
    "speed-up",
    "vs sequential",
    "files/s",
    "bytes/s",
    "peak memory",
];

/// Where it will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Terminal,
    Markdown,
}

pub(crate) fn render(results: &Results, page: Page) -> String {
    let host = &results.host;
    let mut text = format!("{}, {} cores, Linux {}\n", host.cpu, host.cores, host.kernel);
    for corpus in &results.corpora {
        for cache in corpus.caches() {
            text += &render_corpus(corpus, cache, results, page);
        }
    }
    // Writing to a string cannot fail, here and below.
    if let Some(strategy) = &results.recommendation
        && results.rankings().count() > 1
        && results
            .corpora
            .iter()
            .flat_map(|corpus| &corpus.cells)
            .filter(|it| it.kind == Kind::Strategy)
            .all(Cell::has_interval)
    {
        let _ = writeln!(text, "\nOver all of them: {strategy}{}", tied(&ties_everywhere(results, strategy)));
    }
    text += "\nSpeed-up is of strategies, against the slowest of them; vs twin is against the naive twin of the same model. The floor\n\
             lists, then opens, reads and closes on all cores and counts nothing; tuned, it is the fastest such loop that was found.\n\
             Intervals that overlap are a tie.\n";
    for note in &results.notes {
        text += note;
        text.push('\n');
    }
    text += &render_goals(&results.goals, page);
    text
}

fn render_corpus(corpus: &CorpusResult, cache: Cache, results: &Results, page: Page) -> String {
    let (files, bytes) = (HumanCount(corpus.files), DecimalBytes(corpus.bytes));
    let head = format!("{}: {files} files, {bytes}, {} cache, {}", corpus.name, cache.name(), results.analysis);
    let mut text = heading(&head, page);

    let slowest = corpus.ranked(cache).next_back().map_or(f64::NAN, |cell| cell.median_s);
    let ratio = |to: Option<&Cell>, of: &dyn Fn(f64) -> f64, unit| {
        to.map_or_else(|| "-".to_owned(), |to| format!("{:.2}{unit}", of(to.median_s)))
    };
    let (floor, sequential) = (corpus.cell(cache, "floor"), corpus.cell(cache, "sequential"));
    let mut places = 1..;
    let rows = corpus.verified(cache).map(|cell| {
        let is_ranked = cell.kind == Kind::Strategy;
        let twin = corpus.twin(cell);
        vec![
            if is_ranked {
                places.next().map_or_else(String::new, |place: u32| format!("{place}."))
            } else {
                String::new()
            },
            cell.strategy.to_owned(),
            cell.kind.name().to_owned(),
            duration(cell.median_s),
            interval(cell),
            ratio(floor, &|floor| cell.median_s / floor, ""),
            ratio(twin, &|twin| twin / cell.median_s, "x"),
            if is_ranked { format!("{:.2}x", slowest / cell.median_s) } else { "-".to_owned() },
            ratio(sequential, &|sequential| sequential / cell.median_s, "x"),
            HumanCount(rounded(cell.files_per_s)).to_string(),
            DecimalBytes(rounded(cell.bytes_per_s)).to_string(),
            BinaryBytes(cell.peak_rss_bytes).to_string(),
        ]
    });
    text += &table(&HEADS, rows.collect(), 3, page);

    let mut remarks = verdict(corpus, cache);
    remarks.extend(fewer_samples(corpus, cache, results.runs));
    remarks.extend(unverified(corpus, cache));
    if corpus.changed {
        remarks.push("The tree changed while it was measured: nothing that follows is a model's fault.".to_owned());
    }
    remarks.extend(corpus.cells.iter().filter(|cell| !cell.verified && cell.cache == cache).map(|cell| {
        let totals = cell.totals;
        format!(
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
        )
    }));
    let failures = corpus.failures.iter().filter(|failure| failure.cache == cache);
    remarks.extend(failures.map(|failure| format!("FAILED, not ranked: {}: {}", failure.strategy, failure.error)));
    if let Some(failed) = corpus.ranked(cache).next().map(|cell| cell.failed).filter(|failed| *failed > 0) {
        remarks.push(format!("{failed} files could not be read, by any of them"));
    }
    for remark in remarks {
        // A paragraph each, where lines flow together.
        text += if page == Page::Markdown { "\n" } else { "" };
        text += &remark;
        text.push('\n');
    }
    text
}

pub(crate) fn heading(head: &str, page: Page) -> String {
    match page {
        Page::Terminal => format!("\n{head}\n"),
        Page::Markdown => format!("\n## {head}\n\n"),
    }
}

/// A table whose columns are aligned to the right from one on.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<String>>, right_from: usize, page: Page) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(if page == Page::Markdown { ASCII_MARKDOWN } else { NOTHING });
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(heads.iter().copied());
    table.add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        if index >= right_from {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Seconds, or milliseconds below one: more digits than the noise leaves say nothing.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.3} s") }
}

fn interval(cell: &Cell) -> String {
    if !cell.has_interval() {
        return "-".to_owned();
    }
    format!("{} to {}", duration(cell.ci_low_s), duration(cell.ci_high_s))
}

/// Who is fastest, and who cannot be told apart from it.
fn verdict(corpus: &CorpusResult, cache: Cache) -> Vec<String> {
    let Some(fastest) = corpus.ranked(cache).next() else { return Vec::new() };
    if !fastest.has_interval() {
        return vec![format!("Fastest: {}, of too few samples to tell it from the others", fastest.strategy)];
    }
    vec![format!("Fastest: {}{}", fastest.strategy, tied(&corpus.ties(cache, &fastest.strategy)))]
}

/// Who was too slow for as many samples as the others have.
fn fewer_samples(corpus: &CorpusResult, cache: Cache, runs: usize) -> Option<String> {
    let fewer = corpus.cells.iter().filter(|cell| cell.cache == cache && cell.samples_s.len() < runs);
    let fewer: Vec<_> = fewer.map(|cell| format!("{} {}", cell.strategy, cell.samples_s.len())).collect();
    (!fewer.is_empty()).then(|| format!("Fewer than {runs} samples, because one takes so long: {}", fewer.join(", ")))
}

/// Whose samples found the cache in another state than it should have been in.
fn unverified(corpus: &CorpusResult, cache: Cache) -> Option<String> {
    let cells = corpus.cells.iter().filter(|cell| cell.cache == cache && !cell.cache_verified);
    let said = cells.map(|cell| format!("{} {}", cell.strategy, DecimalBytes(cell.fetched_bytes)));
    let said: Vec<_> = said.collect();
    let stored = corpus.cells.iter().find(|cell| cell.cache == cache).map_or(0, |cell| cell.stored_bytes);
    (!said.is_empty()).then(|| {
        let (name, stored) = (cache.name(), DecimalBytes(stored));
        format!("UNVERIFIED, not known to be {name}: of {stored} came from storage, at the worst: {}", said.join(", "))
    })
}

/// Those that cannot be told apart from it in any ranking.
fn ties_everywhere<'a>(results: &'a Results, strategy: &str) -> Vec<&'a str> {
    let mut everywhere = results.rankings().map(|(corpus, cache)| corpus.ties(cache, strategy));
    let mut left = everywhere.next().unwrap_or_default();
    everywhere.for_each(|ties| left.retain(|other| ties.contains(other)));
    left
}

fn tied(ties: &[&str]) -> String {
    if ties.is_empty() { String::new() } else { format!(" (a tie with {})", ties.join(" and ")) }
}

/// A line for each strategy, a column for each tree.
fn render_goals(goals: &[Goal], page: Page) -> String {
    let mut text = String::new();
    for (head, best, every) in [
        ("Goals, warm: time / floor", What::BestToFloor, What::EveryToFloor),
        ("Goals, warm: peak memory", What::Memory, What::Memory),
        ("Goals, cold: time / naive twin; best / best of anything", What::BestToAny, What::ToTwin),
    ] {
        let of = |what: What| goals.iter().filter(move |goal| goal.what == what);
        let mut corpora: Vec<&str> = of(every).map(|goal| goal.corpus.as_str()).collect();
        corpora.dedup();
        let mut strategies: Vec<&str> = of(every).map(|goal| goal.strategy.as_str()).collect();
        strategies.sort_unstable();
        strategies.dedup();
        if corpora.is_empty() {
            continue;
        }
        let row = |name: &str, what: What, strategy: Option<&str>| {
            let cells = corpora.iter().map(|corpus| {
                let mut its = of(what).filter(|goal| goal.corpus == **corpus);
                let it = its.find(|goal| strategy.is_none_or(|strategy| strategy == goal.strategy));
                it.map_or_else(|| "-".to_owned(), |goal| held_against(goal, strategy.is_none()))
            });
            [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
        };
        let mut rows = Vec::new();
        if best != every {
            rows.push(row("the best", best, None));
        }
        rows.extend(strategies.iter().map(|strategy| row(strategy, every, Some(strategy))));
        let heads: Vec<_> = ["strategy"].into_iter().chain(corpora.iter().copied()).collect();
        text += &heading(head, page);
        text += &table(&heads, rows, 1, page);
    }
    if goals.iter().any(|goal| goal.limit.is_some() && goal.verdict.is_none()) {
        text += "\nFor orientation only: the goals are set for trees of full size.\n";
    }
    if goals.iter().any(|goal| goal.verdict == Some(Verdict::Open)) {
        text += "\nopen: the noise hides whether it is met, there are fewer than six samples, or the cache was not known to be cold.\n";
    }
    text
}

/// `1.43 <= 1.5 met`, with the name of who it is if that is not told elsewhere.
fn held_against(goal: &Goal, is_named: bool) -> String {
    let figure = |figure: f64| match goal.what {
        What::Memory => BinaryBytes(rounded(figure)).to_string(),
        _ => format!("{figure:.2}"),
    };
    let mut text = if is_named { format!("{} {}", goal.strategy, figure(goal.figure)) } else { figure(goal.figure) };
    if let (Some(limit), Some(verdict)) = (goal.limit, goal.verdict) {
        let limit = figure(limit);
        text += &match verdict {
            Verdict::Met => format!(" of {limit} met"),
            Verdict::Missed => format!(" of {limit} MISSED"),
            Verdict::Open => format!(" of {limit} open"),
        };
    }
    text
}

/// Of figures that are never negative and far below the limit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
fn rounded(figure: f64) -> u64 {
    figure.round() as u64
}
