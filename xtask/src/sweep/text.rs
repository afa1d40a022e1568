//! Sweeps for people, on a terminal or in a Markdown page, and for spreadsheets.

use std::fmt::Write;

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ContentArrangement, Table};
use indicatif::BinaryBytes;

use super::{Crossover, Curve, Over, Point, Sweep, Swept, Unit};
use crate::bench::results::Stopped;
use crate::bench::stats::FEWEST_SAMPLES;
use crate::report::figures::{self, duration};
use crate::report::terminal::{Screen, wrapped};

/// Where it will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Of so many columns.
    Terminal(usize),
    Markdown,
}

impl Page {
    pub(super) fn of_stdout() -> Self {
        Self::Terminal(Screen::of_stdout().width)
    }
}

/// As many changes within the noise are told; more of them say that there is only noise.
const TOLD: usize = 4;

pub(super) fn render(swept: &Swept, page: Page) -> String {
    let host = &swept.host;
    let mut text = format!("{}, {} cores, Linux {}\n", host.cpu, host.cores, host.kernel);
    for sweep in &swept.sweeps {
        text += &render_sweep(sweep, page);
    }
    text += &render_units(&swept.units, page);
    let stopped = swept.stopped.map(|Stopped::Signal| "Stopped by a signal: this is what was finished.".to_owned());
    paragraphs(&mut text, swept.notes.iter().cloned().chain(stopped), page);
    text
}

pub(crate) fn render_sweep(sweep: &Sweep, page: Page) -> String {
    let Sweep { over, corpus, cache, curves, .. } = sweep;
    let mut text =
        heading(&format!("{}, over {}, {} cache", figures::printable(corpus), over.name(), cache.name()), page);
    let mut places: Vec<f64> = curves.iter().flat_map(|curve| &curve.points).map(|point| point.at).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let heads: Vec<_> = [over.name()].into_iter().chain(curves.iter().map(|curve| curve.strategy.as_str())).collect();
    let fastest = |points: &[&Point]| points.iter().copied().filter(|it| it.verified).min_by(by_time).cloned();
    // Of a single curve there is nothing to compare in a line.
    let overall = match &curves[..] {
        [only] => fastest(&only.points.iter().collect::<Vec<_>>()),
        _ => None,
    };
    let rows = places.iter().map(|at| {
        let points: Vec<_> = curves.iter().map(|curve| curve.points.iter().find(|point| point.at == *at)).collect();
        let best = overall.clone().or_else(|| fastest(&points.iter().copied().flatten().collect::<Vec<_>>()));
        let cells = points.iter().map(|point| cell(*point, best.as_ref()));
        [over.said(*at)].into_iter().chain(cells).collect()
    });
    text += &table(&heads, rows.collect(), 1, page);
    let of_line = if overall.is_some() { "" } else { " of a line" };
    let mut remarks = vec![format!("Medians; * is the fastest{of_line}, ~ cannot be told from it.")];
    if curves.iter().flat_map(|curve| &curve.points).any(|point| !point.has_interval()) {
        remarks.push(format!("Points of fewer than {FEWEST_SAMPLES} samples cannot be told from any other."));
    }
    if matches!(over, Over::Workers | Over::Threshold | Over::InFlight) {
        remarks.extend(curves.iter().filter_map(|curve| best_setting(*over, curve)));
    }
    remarks.extend(crossovers(sweep));
    for curve in curves {
        let wrong: Vec<_> = curve.points.iter().filter(|it| !it.verified).map(|it| over.said(it.at)).collect();
        if !wrong.is_empty() {
            let (strategy, at) = (&curve.strategy, wrong.join(", "));
            remarks.push(format!("WRONG, left out: {strategy} found other totals than the sequential reader at {at}"));
        }
    }
    let unverified: Vec<_> = curves
        .iter()
        .filter_map(|curve| {
            let at: Vec<_> = curve.points.iter().filter(|it| !it.cache_verified).map(|it| over.said(it.at)).collect();
            (!at.is_empty()).then(|| format!("{} at {}", curve.strategy, at.join(", ")))
        })
        .collect();
    if !unverified.is_empty() {
        remarks.push(format!("UNVERIFIED, not known to be {}: {}", cache.name(), unverified.join("; ")));
    }
    let failed = sweep.failures.iter();
    remarks.extend(failed.map(|it| format!("FAILED, left out: {} at {}: {}", it.strategy, over.said(it.at), it.error)));
    paragraphs(&mut text, remarks.into_iter().chain(sweep.notes.iter().cloned()), page);
    text
}

/// A line each; where lines flow together, a paragraph.
fn paragraphs(text: &mut String, remarks: impl Iterator<Item = String>, page: Page) {
    for remark in remarks {
        let remark = figures::printable(&remark);
        *text += &match page {
            Page::Terminal(width) => wrapped(&remark, width),
            Page::Markdown => format!("\n{remark}\n"),
        };
    }
}

fn by_time(a: &&Point, b: &&Point) -> std::cmp::Ordering {
    a.median_s.total_cmp(&b.median_s)
}

fn cell(point: Option<&Point>, best: Option<&Point>) -> String {
    let Some(point) = point else { return "-".to_owned() };
    let mark = match best {
        _ if !point.verified => return "WRONG".to_owned(),
        Some(best) if best.at == point.at && best.median_s == point.median_s => "*",
        Some(best) if best.has_interval() && point.has_interval() && !best.is_apart_from(point) => "~",
        _ => " ",
    };
    // Figures stay below each other where trailing blanks are kept.
    format!("{} {mark}", duration(point.median_s))
}

/// Which value suits a strategy best, and from which it cannot be told: where there are intervals to tell it by.
fn best_setting(over: Over, curve: &Curve) -> Option<String> {
    if !curve.verified().all(Point::has_interval) {
        return None;
    }
    let best = curve.verified().min_by(by_time)?;
    let (name, said) = (&curve.strategy, over.said(best.at));
    let others = || curve.verified().filter(|it| it.at != best.at);
    let ties: Vec<_> = others().filter(|it| !it.is_apart_from(best)).map(|it| over.said(it.at)).collect();
    Some(match ties.len() {
        0 => format!("{name} is fastest with {said}"),
        all if all == others().count() => format!("{name} is fastest with {said}, and no other can be told from it"),
        _ => format!("{name} is fastest with {said} (a tie with {})", ties.join(", ")),
    })
}

/// The certain ones each, those within the noise in one line if the fastest changes there; the others are counted.
fn crossovers(sweep: &Sweep) -> Vec<String> {
    let over = sweep.over;
    let (certain, noise): (Vec<_>, Vec<_>) = sweep.crossovers.iter().partition(|it| it.certain);
    let between = |it: &Crossover| {
        let [left, right] = it.between.map(|at| over.said(at));
        format!("between {left} and {right}")
    };
    let say = |it: &&Crossover| {
        let leads = if it.leads { " and is the fastest" } else { "" };
        let (before, after, at) = (&it.before, &it.after, over.said_roughly(it.at));
        format!("B{}, at about {at}, {after} overtakes {before}{leads}", &between(it)[1..])
    };
    let mut told: Vec<_> = certain.iter().map(say).collect();
    let (leading, behind): (Vec<_>, Vec<_>) = noise.iter().copied().partition(|it| it.leads);
    let changes = leading.iter().map(|it| format!("from {} to {} {}", it.before, it.after, between(it)));
    match leading.len() {
        0 => {}
        1..=TOLD => {
            told.push(format!("Within the noise the fastest changes {}", changes.collect::<Vec<_>>().join(", ")));
        }
        more => told.push(format!("Within the noise the fastest changes {more} times")),
    }
    match behind.len() {
        0 => {}
        1 => told.push("Within the noise there is one more crossing, behind the fastest".to_owned()),
        more => told.push(format!("Within the noise there are {more} more crossings, behind the fastest")),
    }
    if told.is_empty() && sweep.curves.len() > 1 {
        told.push("No curve crosses another".to_owned());
    }
    told
}

pub(crate) fn render_units(units: &[Unit], page: Page) -> String {
    if units.is_empty() {
        return String::new();
    }
    let mut text = heading("Memory of one more", page);
    let rows = units.iter().map(|unit| {
        vec![
            unit.unit.clone(),
            unit.strategy.clone(),
            bytes(unit.bytes),
            format!("{} to {}", bytes(unit.low), bytes(unit.high)),
            unit.seed_bytes.map_or_else(|| "-".to_owned(), |seed| BinaryBytes(seed).to_string()),
        ]
    });
    text += &table(&["one more", "of", "memory", "95% interval", "in the seed"], rows.collect(), 2, page);
    let how = units.iter().map(|unit| format!("{} of {}: {}", unit.unit, unit.strategy, unit.how));
    paragraphs(&mut text, how, page);
    text
}

/// A slope may go down.
fn bytes(figure: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
    let size = BinaryBytes(figure.abs().round() as u64);
    if figure < 0.0 { format!("-{size}") } else { size.to_string() }
}

/// A line for each point, or for each unit. No field needs quotes: names of strategies and numbers.
pub(super) fn csv(swept: &Swept) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if !swept.sweeps.is_empty() {
        text += "over,cache,strategy,at,files,bytes,median_s,ci_low_s,ci_high_s,samples,peak_rss_bytes,peak_pss_bytes,verified\n";
    }
    for sweep in &swept.sweeps {
        for curve in &sweep.curves {
            for point in &curve.points {
                let Point { at, files, bytes, median_s, ci_low_s, ci_high_s, peak_rss_bytes, verified, .. } = point;
                let (over, cache, strategy) = (sweep.over.name(), sweep.cache.name(), &curve.strategy);
                let (samples, pss) =
                    (point.samples_s.len(), point.peak_pss_bytes.map_or_else(String::new, |it| it.to_string()));
                let _ = writeln!(
                    text,
                    "{over},{cache},{strategy},{at},{files},{bytes},{median_s},{ci_low_s},{ci_high_s},{samples},\
                     {peak_rss_bytes},{pss},{verified}"
                );
            }
        }
    }
    if !swept.units.is_empty() {
        text += "unit,strategy,bytes,low,high,seed_bytes\n";
    }
    for Unit { unit, strategy, bytes, low, high, seed_bytes, .. } in &swept.units {
        let seed = seed_bytes.map_or_else(String::new, |it| it.to_string());
        let _ = writeln!(text, "{unit},{strategy},{bytes},{low},{high},{seed}");
    }
    text
}

fn heading(head: &str, page: Page) -> String {
    match page {
        Page::Terminal(_) => format!("\n{head}\n"),
        Page::Markdown => format!("\n## {head}\n\n"),
    }
}

/// A table whose columns are aligned to the right from one on.
fn table(heads: &[&str], rows: Vec<Vec<String>>, right_from: usize, page: Page) -> String {
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
