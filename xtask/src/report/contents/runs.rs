//! Around the rankings: the earlier run, the goals, the machine and how it was measured.

use super::text;
use crate::bench::baseline::{Comparison, Verdict};
use crate::bench::results::Results;
use crate::report::chart::Shape;
use crate::report::charts::curves::dot_class;
use crate::report::charts::rows::{Item, Row, Rows};
use crate::report::document::{self, Block, Code, Figure, Key, Notice, Pair, Section, Table};
use crate::report::scale::{Quantity, Scale};
use crate::report::{figures, goals as tables, remarks};

pub(super) fn baseline(comparison: &Comparison) -> Section {
    let name = |verdict| match verdict {
        Verdict::Slower => "slower",
        Verdict::Faster => "faster",
        Verdict::Same => "same",
        Verdict::Unknown => "unknown",
    };
    let ends = comparison.rows.iter().filter_map(|row| row.ratio).flat_map(|it| [it.low, it.high]).chain([1.0]);
    let scale = Scale::around(Quantity::Ratio, ends);
    let label = |row: &crate::bench::baseline::Row| {
        format!("{} · {}, {}", row.strategy, figures::printable(&row.corpus), row.cache.name())
    };
    let rows: Vec<_> = comparison
        .rows
        .iter()
        .map(|row| {
            let class = match row.verdict {
                Verdict::Slower => "slower",
                Verdict::Faster => "faster",
                Verdict::Same | Verdict::Unknown => "same",
            };
            let shape = match row.verdict {
                Verdict::Slower => Shape::Triangle,
                Verdict::Faster => Shape::Diamond,
                Verdict::Same => Shape::Circle,
                Verdict::Unknown => Shape::Ring,
            };
            let items = row.ratio.map_or_else(Vec::new, |ratio| {
                let said = figures::times_within(&ratio);
                vec![
                    Item::Whisker { low: ratio.low, high: ratio.high, class: class.to_owned() },
                    Item::dot(
                        ratio.value,
                        shape,
                        dot_class(shape, class),
                        format!("{}: {said}, {}", label(row), name(row.verdict)),
                    ),
                ]
            });
            let beyond = row.ratio.map_or_else(String::new, |ratio| figures::times(ratio.value));
            Row { label: label(row), value: format!("{} {beyond}", name(row.verdict)), class: "main", items }
        })
        .collect();
    let mut table =
        Table::new("Then and now", &["tree", "cache", "contestant", "then", "now", "now / then", "verdict"], 3);
    table.rows.extend(comparison.rows.iter().map(|row| document::Row {
        is_main: true,
        cells: vec![
            figures::printable(&row.corpus),
            row.cache.name().to_owned(),
            row.strategy.clone(),
            row.before_s.map_or_else(figures::dash, figures::duration),
            row.now_s.map_or_else(figures::dash, figures::duration),
            row.ratio.as_ref().map_or_else(figures::dash, figures::times_within),
            name(row.verdict).to_owned(),
        ],
    }));
    let count = |verdict| comparison.rows.iter().filter(|row| row.verdict == verdict).count();
    let description = [Verdict::Slower, Verdict::Faster, Verdict::Same, Verdict::Unknown]
        .map(|verdict| format!("{} {}", count(verdict), name(verdict)))
        .join(", ");
    let slower: Vec<_> = comparison.rows.iter().filter(|row| row.verdict == Verdict::Slower).map(label).collect();
    let mut blocks: Vec<_> =
        comparison.notes.iter().map(|note| Block::Notice(Notice::care(figures::printable(note)))).collect();
    if slower.is_empty() {
        blocks.push(text("Nobody became slower beyond the noise."));
    } else {
        blocks.push(Block::Notice(Notice {
            is_error: true,
            head: "Slower",
            text: format!("beyond the noise: {}.", figures::listed(&slower)),
        }));
    }
    let rows = Rows {
        id: "baseline-chart".to_owned(),
        title: "Time now by time then".to_owned(),
        description,
        scale,
        rows,
        band: None,
        line: Some(1.0),
    };
    blocks.push(Block::Figure(Figure {
        id: "baseline-figure".to_owned(),
        title: String::new(),
        caption: "Time now by time then, with its 95% interval, after what the whole machine became slower or faster by was taken out."
            .to_owned(),
        reading: "Left of the line is faster.".to_owned(),
        legend: vec![
            Key::new("slower", "▲", "slower"),
            Key::new("faster", "◆", "faster"),
            Key::new("same", "●", "no difference beyond the noise"),
            Key::new("same", "○", "too few samples"),
        ],
        drawings: rows.draw(),
        table,
    }));
    Section {
        id: "baseline".to_owned(),
        title: "Then and now".to_owned(),
        about: format!("Held against the comparison of {}.", figures::printable(&comparison.begun)),
        blocks,
        parts: Vec::new(),
    }
}

pub(super) fn goals(goals: &[crate::bench::goals::Goal]) -> Option<Section> {
    if goals.is_empty() {
        return None;
    }
    let mut blocks: Vec<_> = tables::tables(goals).into_iter().map(Block::Table).collect();
    blocks.extend(tables::remarks(goals).into_iter().map(text));
    Some(Section {
        id: "goals".to_owned(),
        title: "The project's goals".to_owned(),
        about: "Ratios of one run, so that they mean the same on any machine.".to_owned(),
        blocks,
        parts: Vec::new(),
    })
}

pub(super) fn method(results: &Results) -> Section {
    let host = &results.host;
    let mut pairs = vec![
        Pair::new("Begun", figures::printable(&results.begun)),
        Pair::new("Took", figures::long(results.took_s)),
        Pair::new("Processor", figures::printable(&host.cpu)),
        Pair::new("Cores", host.cores.to_string()),
        Pair::new("Memory", figures::memory(host.memory_bytes as f64)),
        Pair::new("System", figures::printable(&format!("{} {} on {}", host.os, host.kernel, host.arch))),
        Pair::new("polyread", figures::printable(&host.polyread_version)),
        Pair::new("Analysis", figures::printable(&results.analysis)),
        Pair::new("Samples", format!("{} for each contestant, fewer where one takes long", results.runs)),
    ];
    pairs.extend(results.budget_s.map(|budget| Pair::new("Budget", figures::long(budget))));
    pairs.extend(
        results
            .corpora
            .iter()
            .map(|corpus| Pair::new(format!("Tree {}", figures::printable(&corpus.name)), figures::path(&corpus.path))),
    );
    let mut blocks = vec![
        text(
            "Every sample is a fresh process in which one contestant reads the tree once; the contestants take turns in random order, so \
             that a machine that slows down slows all of them. Each had a trial before. Whoever finds other totals than the sequential \
             reader is not ranked. Intervals are 95% bootstrap intervals of the median.",
        ),
        Block::Pairs { is_advice: false, pairs },
        Block::Code(Code {
            label: "The command that repeats it".to_owned(),
            language: "sh",
            text: results.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            is_long: false,
        }),
    ];
    if results.rankings().next().is_some() {
        blocks.insert(1, text(remarks::columns(results)));
    }
    blocks.extend(results.notes.iter().map(|note| text(figures::printable(note))));
    Section {
        id: "method".to_owned(),
        title: "How it was measured".to_owned(),
        about: String::new(),
        blocks,
        parts: Vec::new(),
    }
}

/// A word as a shell takes it; what does not print is written out as `$'…'` has it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if figures::printable(word) == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut text = "$'".to_owned();
    for c in word.chars() {
        let mut bytes = [0; 4];
        let piece = &*c.encode_utf8(&mut bytes);
        if matches!(c, '\'' | '\\') {
            text.push('\\');
            text.push(c);
        } else if figures::printable(piece) == piece {
            text.push(c);
        } else {
            text.extend(piece.bytes().map(|byte| format!("\\x{byte:02x}")));
        }
    }
    text + "'"
}
