//! The charts of a ranking: a row for each contestant, for its times, its samples, its memory and its processor time.

use super::ranking::Place;
use crate::bench::contestant::Kind;
use crate::bench::results::Cell;
use crate::bench::stats::Interval;
use crate::report::chart::Shape;
use crate::report::charts::rows::{Item, Row, Rows};
use crate::report::document::{self, Block, Figure, Key, Table};
use crate::report::scale::{Quantity, Scale};
use crate::report::{figures, remarks};

/// How many times as slow as the slowest strategy one may be and still be on the scale.
const FAR: f64 = 2.5;

impl Place<'_> {
    /// Everybody that has found what it should, as marks along one scale.
    fn rows(&self, scale: Scale, id: &str, title: &str, row: impl Fn(&Cell) -> (String, Vec<Item>)) -> Rows {
        let rows = self.corpus.verified(self.cache).map(|cell| {
            let (value, items) = row(cell);
            let class = if cell.kind == Kind::Strategy { "main" } else { "aside" };
            Row { label: cell.strategy.clone(), value, class, items }
        });
        let rows: Vec<_> = rows.collect();
        let description = rows.iter().map(|row| format!("{} {}", row.label, row.value)).collect::<Vec<_>>().join(", ");
        let title = format!("{title}: {}", self.title());
        Rows { id: self.id_of(id), title, description, scale, rows, band: None, line: None }
    }

    /// For the times of strategies and floor; of whoever is far slower than the slowest strategy it does without, so that the
    /// strategies are told apart.
    fn time_scale(&self, figures: impl Fn(&Cell) -> Vec<f64>) -> Scale {
        let slowest = self.corpus.ranked(self.cache).next_back().map_or(f64::INFINITY, |cell| cell.median_s);
        let cells = self.corpus.verified(self.cache).filter(|cell| cell.median_s <= slowest * FAR);
        Scale::fitting(Quantity::Seconds, cells.flat_map(figures), None)
    }

    /// What is to be said about a scale, and about who is beyond it.
    fn about_scale(&self, scale: &Scale) -> String {
        let log = if scale.is_log() { " The scale is logarithmic." } else { "" };
        let is_beyond = self.corpus.verified(self.cache).any(|cell| scale.ends_before(cell.median_s));
        let beyond = if is_beyond { " An arrow stands for what lies beyond the scale." } else { "" };
        format!("{log}{beyond}")
    }

    pub(super) fn times(&self) -> Figure {
        let ends = |cell: &Cell| [cell.ci_low_s, cell.ci_high_s];
        let scale = self.time_scale(|cell| ends(cell).into());
        let fastest = self.corpus.ranked(self.cache).next().filter(|cell| cell.has_interval());
        let is_best = |cell: &Cell| {
            cell.kind == Kind::Strategy && fastest.is_some_and(|it| it.median().ties_with(&cell.median()))
        };
        let mut rows = self.rows(scale, "times-chart", "Median times", |cell| {
            let class = if is_best(cell) { "best" } else { kind(cell) };
            let mut items = Vec::new();
            if cell.has_interval() {
                items.push(Item::Whisker { low: cell.ci_low_s, high: cell.ci_high_s, class: class.to_owned() });
            }
            let said = figures::interval(cell).map_or_else(String::new, |interval| format!(", {interval}"));
            let title = format!("{}: {}{said}", cell.strategy, figures::duration(cell.median_s));
            items.push(Item::dot(cell.median_s, shape(cell), class, title));
            let tie = if is_best(cell) && cell.tie { "tie · " } else { "" };
            (format!("{tie}{}", figures::duration(cell.median_s)), items)
        });
        let wrong = self.wrong().map(|cell| {
            let (label, value) = (cell.strategy.clone(), "WRONG, not ranked".to_owned());
            Row { label, value, class: "aside", items: Vec::new() }
        });
        rows.rows.extend(wrong);
        rows.band = fastest.map(|cell| (cell.ci_low_s, cell.ci_high_s));
        let scaled = self.about_scale(&rows.scale);
        let mut legend = match fastest {
            Some(_) => {
                vec![Key::new("best", "●", "fastest, and who ties with it"), Key::new("strategy", "●", "slower")]
            }
            None => vec![Key::new("strategy", "●", "strategy, of too few samples to be told from others")],
        };
        legend.extend(self.keys());
        legend.extend(fastest.map(|_| Key::new("band-key", "▒", "95% interval of the fastest")));
        Figure {
            id: self.id_of("times"),
            title: String::new(),
            caption: "Median time of a run and its 95% interval; less is better. Only strategies are ranked; whose interval overlaps \
                 with that of the fastest ties with it."
                .to_owned(),
            reading: scaled,
            legend,
            drawings: rows.draw(),
            table: self.intervals(),
        }
    }

    /// What the marks of those that are there for orientation mean.
    fn keys(&self) -> Vec<Key> {
        let kinds = [("naive", "○", "naive twin"), ("floor", "◆", "floor"), ("peer", "■", "other program")];
        let is_here = |name: &str| self.corpus.verified(self.cache).any(|cell| cell.kind.name() == name);
        kinds
            .into_iter()
            .filter(|(name, ..)| is_here(name))
            .map(|(name, mark, text)| Key::new(name, mark, text))
            .collect()
    }

    fn intervals(&self) -> Table {
        let heads =
            ["strategy", "median", "from", "to", "time / fastest", "time / floor", "time / sequential", "time / twin"];
        let mut table = self.table("Median times and ratios, with their 95% intervals", &heads, |cell| {
            let is_told = cell.has_interval();
            // A ratio is known no better than what it is a ratio to.
            let ratio = |ratio: &Option<Interval>, to: Option<&Cell>| match ratio {
                Some(ratio) if is_told && to.is_some_and(Cell::has_interval) => figures::times_within(ratio),
                Some(ratio) => figures::times(ratio.value),
                None => "-".to_owned(),
            };
            let end = |end: f64| if is_told { figures::duration(end) } else { "-".to_owned() };
            vec![
                figures::duration(cell.median_s),
                end(cell.ci_low_s),
                end(cell.ci_high_s),
                ratio(&cell.to_fastest, self.corpus.ranked(self.cache).next()),
                ratio(&cell.to_floor, self.corpus.cell(self.cache, "floor")),
                ratio(&cell.to_sequential, self.corpus.cell(self.cache, "sequential")),
                ratio(&cell.to_twin, self.corpus.twin(cell)),
            ]
        });
        table.figures_from = 1;
        table.without_empty_columns()
    }

    pub(super) fn samples(&self) -> Vec<Block> {
        let scale = self.time_scale(|cell| cell.samples_s.clone());
        let rows = self.rows(scale, "samples-chart", "Samples", |cell| {
            let last = (cell.samples_s.len().max(2) - 1) as f64;
            let mut items = vec![Item::dot(cell.median_s, Shape::Tick, "median", String::new())];
            items.extend(cell.samples_s.iter().enumerate().map(|(at, sample)| {
                let is_far = cell.outliers.contains(&at);
                let said = if is_far { ", an outlier" } else { "" };
                Item::Dot {
                    at: *sample,
                    // From top to bottom as they were taken, so that a drift leans.
                    up: at as f64 / last * 2.0 - 1.0,
                    shape: if is_far { Shape::Cross } else { Shape::Circle },
                    class: format!("sample {}{}", kind(cell), if is_far { " outlier" } else { "" }),
                    title: format!("{}, sample {}: {}{said}", cell.strategy, at + 1, figures::duration(*sample)),
                }
            }));
            (figures::count(cell.samples_s.len() as f64), items)
        });
        let heads = ["strategy", "samples", "least", "median", "most", "outliers", "settled"];
        let table = self.table("Samples", &heads, |cell| {
            let most = cell.samples_s.iter().copied().fold(0.0, f64::max);
            let least = cell.samples_s.iter().copied().fold(f64::INFINITY, f64::min);
            let settled = if cell.settled { "yes" } else { "no" };
            let samples = cell.samples_s.len().to_string();
            let [least, median, most] = [least, cell.median_s, most].map(figures::duration);
            vec![samples, least, median, most, cell.outliers.len().to_string(), settled.to_owned()]
        });
        let scaled = self.about_scale(&rows.scale);
        let caption = "Every sample, and how many there are. Outliers count like the others.".to_owned();
        let reading = format!("From top to bottom as they were taken.{scaled}");
        let legend = vec![
            Key::new("sample-key", "●", "sample of a strategy"),
            Key::new("naive", "●", "of others"),
            Key::new("outlier", "✕", "outlier"),
            Key::new("median", "|", "median"),
        ];
        let figure = Figure {
            id: self.id_of("samples-figure"),
            title: String::new(),
            caption,
            reading,
            legend,
            drawings: rows.draw(),
            table,
        };
        let noise = self.corpus.noise.get(&self.cache).and_then(remarks::noise);
        let mut blocks = vec![Block::Figure(figure)];
        blocks.extend(noise.map(|noise| Block::Text(format!("{noise}."))));
        blocks
    }

    pub(super) fn memory(&self) -> Figure {
        let pss = |cell: &Cell| cell.observed.and_then(|observed| observed.peak_pss_bytes);
        let all = || {
            let cells = self.corpus.verified(self.cache);
            cells.flat_map(|cell| [cell.peak_rss_bytes as f64, pss(cell).unwrap_or(0) as f64])
        };
        let scale = Scale::fitting(Quantity::Memory, all(), Some(false));
        let rows = self.rows(scale, "memory-chart", "Peak memory", |cell| {
            let rss = cell.peak_rss_bytes as f64;
            let said = figures::memory(rss);
            let title = format!("{}: {said} resident", cell.strategy);
            let mut items = vec![Item::Bar { from: 0.0, to: rss, class: format!("bar {}", kind(cell)), title }];
            if let Some(pss) = pss(cell) {
                let title =
                    format!("{}: {} where shared memory counts once", cell.strategy, figures::memory(pss as f64));
                items.push(Item::dot(pss as f64, Shape::Diamond, "pss", title));
            }
            (said, items)
        });
        let heads = ["strategy", "peak RSS", "peak PSS", "processes"];
        let table = self.table("Peak memory", &heads, |cell| {
            let observed = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
            vec![
                figures::memory(cell.peak_rss_bytes as f64),
                observed(pss(cell).map(|pss| figures::memory(pss as f64))),
                observed(cell.observed.map(|it| it.processes.to_string())),
            ]
        });
        let has_pss = self.corpus.verified(self.cache).any(|cell| pss(cell).is_some());
        let has_peers = self.corpus.verified(self.cache).any(|cell| cell.kind == Kind::Peer);
        let but = if has_peers { "; of other programs, that of the largest process alone" } else { "" };
        let resident = format!("resident at the peak (RSS), added up over processes{but}");
        let mut legend = vec![Key::new("measured", "■", resident)];
        legend.extend(has_pss.then(|| Key::new("pss", "◆", "what processes share counted once (PSS)")));
        Figure {
            id: self.id_of("memory-figure"),
            title: String::new(),
            caption: "The most physical memory that any sample had; less is better.".to_owned(),
            reading: String::new(),
            legend,
            drawings: rows.draw(),
            table: table.without_empty_columns(),
        }
    }

    pub(super) fn processor(&self) -> Figure {
        let sum = |cell: &Cell| (cell.cpu_user_s + cell.cpu_system_s).max(cell.cpu_s);
        let scale = Scale::fitting(Quantity::Seconds, self.corpus.verified(self.cache).map(sum), Some(false));
        let rows = self.rows(scale, "processor-chart", "Processor time", |cell| {
            let (user, system) = (cell.cpu_user_s, cell.cpu_system_s);
            let bar = |from, to, mode: &str| {
                let title = format!("{}: {} in {mode} mode", cell.strategy, figures::duration(to - from));
                Item::Bar { from, to, class: format!("bar {mode} {}", kind(cell)), title }
            };
            (figures::duration(cell.cpu_s), vec![bar(0.0, user, "user"), bar(user, user + system, "kernel")])
        });
        let table = self.table("Processor time", &["strategy", "all", "user", "kernel", "cores busy"], |cell| {
            let [all, user, system] = [cell.cpu_s, cell.cpu_user_s, cell.cpu_system_s].map(figures::duration);
            vec![all, user, system, format!("{:.2}", cell.cpu_s / cell.median_s)]
        });
        Figure {
            id: self.id_of("processor-figure"),
            title: String::new(),
            caption:
                "Processor time of a run over all cores, threads and processes, median of the samples; less is better."
                    .to_owned(),
            reading: String::new(),
            legend: vec![Key::new("user-key", "■", "in the program"), Key::new("kernel-key", "■", "in the kernel")],
            drawings: rows.draw(),
            table,
        }
    }

    pub(super) fn costs(&self) -> Table {
        let heads = [
            "strategy",
            "threads",
            "descriptors",
            "system calls",
            "switches, own will",
            "switches, forced",
            "faults, minor",
            "faults, major",
            "fetched",
        ];
        let table = self.table("What else a run costs", &heads, |cell| {
            let observed = |figure: Option<u64>| figure.map_or_else(|| "-".to_owned(), |it| figures::count(it as f64));
            let looked = cell.observed;
            vec![
                observed(looked.map(|it| it.threads)),
                observed(looked.map(|it| it.descriptors)),
                observed(looked.and_then(|it| it.system_calls)),
                figures::count(cell.voluntary_switches),
                figures::count(cell.involuntary_switches),
                figures::count(cell.minor_faults),
                figures::count(cell.major_faults),
                figures::size(cell.fetched_bytes as f64),
            ]
        });
        table.without_empty_columns()
    }

    /// A row for each that was verified, after its name.
    fn table(&self, caption: &str, heads: &[&str], cells: impl Fn(&Cell) -> Vec<String>) -> Table {
        let mut table = Table::new(caption, heads, 1);
        table.rows.extend(self.corpus.verified(self.cache).map(|cell| document::Row {
            is_main: cell.kind == Kind::Strategy,
            cells: [cell.strategy.clone()].into_iter().chain(cells(cell)).collect(),
        }));
        table
    }
}

/// Of the marks, for colours.
fn kind(cell: &Cell) -> &'static str {
    cell.kind.name()
}

fn shape(cell: &Cell) -> Shape {
    match cell.kind.name() {
        "strategy" => Shape::Circle,
        "naive" => Shape::Ring,
        "floor" => Shape::Diamond,
        _ => Shape::Square,
    }
}
