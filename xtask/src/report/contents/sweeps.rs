//! How cost grows: the curves of each sweep, and the memory that one more unit costs.

use polyread_cli::Strategy;

use super::text;
use crate::bench::stats::FEWEST_SAMPLES;
use crate::report::chart::Shape;
use crate::report::charts::curves::{Crossing, Curves, Point, SHAPES, Series};
use crate::report::charts::rows::{Item, Row, Rows};
use crate::report::document::{Block, Figure, Key, Notice, Part, Section, Table};
use crate::report::figures;
use crate::report::scale::{Quantity, Scale};
use crate::sweep::{self, Over, Sweep, Unit};

pub(super) fn sweeps(sweeps: &[Sweep]) -> Option<Section> {
    if sweeps.is_empty() {
        return None;
    }
    Some(Section {
        id: "sweeps".to_owned(),
        title: "How cost grows".to_owned(),
        about: "One thing is varied, the rest stays; where two curves cross, another model becomes the better one."
            .to_owned(),
        blocks: Vec::new(),
        parts: sweeps.iter().enumerate().map(|(number, sweep)| part(sweep, &format!("sweep-{}", number + 1))).collect(),
    })
}

fn part(sweep: &Sweep, id: &str) -> Part {
    let (title, axis, quantity) = match sweep.over {
        Over::Workers => ("Workers", "workers at the same time", Quantity::Count),
        Over::Size => ("Size of files", "bytes of each file", Quantity::Size),
        Over::Count => ("Number of files", "files of the tree", Quantity::Count),
        Over::Threshold => ("Threshold", "bytes from which a file is a large one", Quantity::Size),
        Over::InFlight => ("Requests in flight", "under way at the same time", Quantity::Count),
    };
    let place = format!("{}, {} cache", figures::printable(&sweep.corpus), sweep.cache.name());
    let chart = |name: &str, quantity_y, of: fn(&sweep::Point) -> [f64; 3]| {
        let points = || sweep.curves.iter().flat_map(|curve| &curve.points).filter(|point| point.verified);
        let x = Scale::fitting(quantity, points().map(|point| point.at), None);
        let y = Scale::fitting(quantity_y, points().flat_map(of), None);
        let series = sweep.curves.iter().enumerate().map(|(at, curve)| Series {
            name: curve.strategy.clone(),
            style: style(&curve.strategy, at),
            points: curve
                .points
                .iter()
                .filter(|point| point.verified)
                .map(|point| {
                    let [y, low, high] = of(point);
                    Point { x: point.at, y, low, high }
                })
                .collect(),
        });
        let scaled = match (x.is_log(), y.is_log()) {
            (true, true) => ", both scales logarithmic",
            (true, false) => ", logarithmic from left to right",
            (false, true) => ", logarithmic upwards",
            (false, false) => "",
        };
        let series: Vec<Series> = series.collect();
        let description = series.iter().filter_map(|series| {
            let (first, last) = (series.points.first()?, series.points.last()?);
            let [from, to] = [first, last].map(|it| quantity_y.show(it.y));
            Some(format!("{} from {from} to {to}", series.name))
        });
        let description = description.collect::<Vec<_>>().join(", ");
        let axes = [axis.to_owned(), format!("{name}{scaled}")];
        Curves {
            id: format!("{id}-{}-chart", name.replace(' ', "-")),
            title: format!("{title}: {name}, {place}"),
            description,
            x,
            y,
            axes,
            series,
            crossings: Vec::new(),
        }
    };
    let mut times = chart("time", Quantity::Seconds, |point| {
        // The range of a few samples is no interval.
        if point.has_interval() { [point.median_s, point.ci_low_s, point.ci_high_s] } else { [point.median_s; 3] }
    });
    // Those within the noise would bury the others, and say nothing.
    let (mut crossovers, noise): (Vec<_>, Vec<_>) = sweep.crossovers.iter().partition(|it| it.certain);
    crossovers.sort_by(|a, b| a.at.total_cmp(&b.at));
    let crossings = crossovers.iter().enumerate().map(|(at, it)| Crossing {
        x: it.at,
        number: at + 1,
        name: format!("{} overtakes {}, about {}", it.after, it.before, quantity.short(it.at)),
    });
    times.crossings = crossings.collect();
    let memory = chart("peak memory", Quantity::Memory, |point| [memory(point); 3]);
    let legend = || {
        sweep
            .curves
            .iter()
            .enumerate()
            .map(|(at, curve)| {
                let style = style(&curve.strategy, at);
                Key::new(&format!("s{style}"), SHAPES[style % SHAPES.len()].1, &curve.strategy)
            })
            .collect::<Vec<_>>()
    };

    let mut by_time = Table::new(
        format!("{title}: median times with 95% intervals"),
        &["strategy", axis, "median", "95% interval", "files", "bytes", "samples", "verified"],
        1,
    );
    let mut by_memory = Table::new(format!("{title}: peak memory"), &["strategy", axis, "peak RSS", "peak PSS"], 1);
    for curve in &sweep.curves {
        for point in &curve.points {
            let at = || if quantity == Quantity::Size { quantity.short(point.at) } else { figures::count(point.at) };
            by_time.row(vec![
                curve.strategy.clone(),
                at(),
                figures::duration(point.median_s),
                if point.has_interval() {
                    figures::range(&figures::duration(point.ci_low_s), &figures::duration(point.ci_high_s))
                } else {
                    "-".to_owned()
                },
                figures::count(point.files as f64),
                figures::size(point.bytes as f64),
                point.samples_s.len().to_string(),
                if point.verified { "yes" } else { "WRONG" }.to_owned(),
            ]);
            let pss = point.peak_pss_bytes.map_or_else(|| "-".to_owned(), |pss| figures::memory(pss as f64));
            by_memory.row(vec![curve.strategy.clone(), at(), figures::memory(point.peak_rss_bytes as f64), pss]);
        }
    }
    let figure = |name: &str, [caption, reading]: [&str; 2], curves: &Curves, table| {
        Block::Figure(Figure {
            id: format!("{id}-{name}"),
            title: String::new(),
            caption: caption.to_owned(),
            reading: reading.to_owned(),
            legend: legend(),
            drawings: curves.draw(),
            table,
        })
    };
    let mut blocks = vec![
        text(format!("{place}.")),
        figure(
            "time",
            ["Median times with their 95% intervals; less is better.", "The intervals are bands."],
            &times,
            by_time,
        ),
    ];
    if !crossovers.is_empty() {
        let heads = ["", "about", "between", "faster before", "faster after"];
        let mut table = Table::new("Where one overtakes the other, beyond the noise", &heads, heads.len());
        let show = |at: f64| if quantity == Quantity::Size { quantity.short(at) } else { figures::count(at) };
        for (number, it) in crossovers.iter().enumerate() {
            let between = figures::range(&show(it.between[0]), &show(it.between[1]));
            table.row(vec![
                (number + 1).to_string(),
                quantity.short(it.at),
                between,
                it.before.clone(),
                it.after.clone(),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.push(text(match (crossovers.len(), noise.len()) {
        (0, 0) => "No two curves cross.".to_owned(),
        (_, 0) => "All other pairs keep their order.".to_owned(),
        (0, _) => {
            "Where curves cross, the two cannot be told apart on both sides: nobody is known to overtake anybody."
                .to_owned()
        }
        (_, _) => "Where other curves cross, the two cannot be told apart on both sides.".to_owned(),
    }));
    if sweep.curves.iter().flat_map(|curve| &curve.points).any(|point| !point.has_interval()) {
        blocks.push(text(format!(
            "Points of fewer than {FEWEST_SAMPLES} samples have no interval and cannot be told from any other."
        )));
    }
    // Who takes no part, and what could not be measured.
    blocks.extend(sweep.failures.iter().map(|it| {
        let said = format!("{} at {}: {}", it.strategy, sweep.over.said(it.at), it.error);
        Block::Notice(Notice::error(format!("FAILED, left out: {}", figures::printable(&said))))
    }));
    blocks.extend(sweep.notes.iter().map(|note| text(figures::printable(note))));
    blocks.push(figure(
        "memory",
        ["Peak memory: what processes share counted once where that is known, else resident.", ""],
        &memory,
        by_memory.without_empty_columns(),
    ));
    Part { id: id.to_owned(), title: title.to_owned(), blocks }
}

/// The same for a strategy in every chart.
fn style(strategy: &str, at: usize) -> usize {
    Strategy::ALL.iter().position(|it| it.name() == strategy).unwrap_or(Strategy::ALL.len() + at) % 8
}

fn memory(point: &sweep::Point) -> f64 {
    point.peak_pss_bytes.unwrap_or(point.peak_rss_bytes) as f64
}

pub(super) fn units(units: &[Unit]) -> Option<Section> {
    if units.is_empty() {
        return None;
    }
    let seed = |unit: &Unit| unit.seed_bytes.map(|bytes| bytes as f64);
    let all = units.iter().flat_map(|unit| [unit.low, unit.bytes, unit.high, seed(unit).unwrap_or(0.0)]);
    let scale = Scale::fitting(Quantity::Memory, all, None);
    let rows: Vec<_> = units
        .iter()
        .map(|unit| {
            let class = "measured";
            let name = format!("one more {}, {}", unit.unit, unit.strategy);
            let value = figures::memory(unit.bytes);
            let mut items = vec![
                Item::Whisker { low: unit.low, high: unit.high, class: class.to_owned() },
                Item::dot(unit.bytes, Shape::Circle, class, format!("{name}: {value}")),
            ];
            items.extend(seed(unit).map(|bytes| {
                Item::dot(bytes, Shape::Diamond, "seed", format!("the seed: {}", figures::memory(bytes)))
            }));
            Row { label: format!("{} · {}", unit.unit, unit.strategy), value, class: "main", items }
        })
        .collect();
    let mut table = Table::new(
        "Memory of one more unit",
        &["unit", "strategy", "measured", "95% interval", "the seed's figure", "how"],
        2,
    );
    table.names_at = 1;
    for unit in units {
        let seed = seed(unit).map_or_else(|| "-".to_owned(), figures::memory);
        let interval = figures::range(&figures::memory(unit.low), &figures::memory(unit.high));
        table.row(vec![
            unit.unit.clone(),
            unit.strategy.clone(),
            figures::memory(unit.bytes),
            interval,
            seed,
            unit.how.clone(),
        ]);
    }
    let description = rows.iter().map(|row| format!("{} {}", row.label, row.value)).collect::<Vec<_>>().join(", ");
    let scaled = if scale.is_log() { " The scale is logarithmic." } else { "" };
    let rows = Rows {
        id: "units-chart".to_owned(),
        title: "Memory of one more unit of concurrency".to_owned(),
        description,
        scale,
        rows,
        band: None,
        line: None,
    };
    let figure = Figure {
        id: "units-figure".to_owned(),
        title: String::new(),
        caption: "The slope of peak memory over the number of units, with its 95% interval, beside what the project's seed said of Python.".to_owned(),
        reading: scaled.to_owned(),
        legend: vec![Key::new("measured", "●", "measured"), Key::new("seed", "◆", "the seed's figure")],
        drawings: rows.draw(),
        table,
    };
    Some(Section {
        id: "units".to_owned(),
        title: "The memory of one more".to_owned(),
        about: "What one more task, thread, process or ring costs.".to_owned(),
        blocks: vec![Block::Figure(figure)],
        parts: Vec::new(),
    })
}
