//! Who read what when: a chart of lanes for one run of each strategy.

use super::ranking::Place;
use crate::bench::timeline::{Lane, Span, Timeline};
use crate::report::charts::lanes;
use crate::report::document::{Block, Figure, Part, Table};
use crate::report::figures;

/// Spans that all timelines of a page may have together: each is a hundred bytes or two.
const MOST_SPANS: usize = 3_000;

/// Said once, above the first drawing.
const READING: &str = "A lane is a worker; a bar is a stretch in which it read, as high as the part of it in which it did. Shades \
    alternate only to tell stretches apart. The axis is the same in all.";

impl Place<'_> {
    pub(super) fn timelines(&self) -> Option<Part> {
        let timelines: Vec<_> = self.corpus.timelines.iter().filter(|it| it.cache == self.cache).collect();
        if timelines.is_empty() {
            return None;
        }
        let said = "One run of each strategy, seen from its records. These runs are no samples: what is noted in them, and chance, makes \
                    them take another time than the medians above.";
        let mut blocks = vec![Block::Text(said.to_owned())];
        let end = timelines.iter().map(|timeline| lanes::end(timeline)).fold(0.0, f64::max);
        let most_spans = MOST_SPANS / self.timelines.max(1);
        for (number, timeline) in timelines.iter().enumerate() {
            let id = self.id_of(&format!("timeline-{}", number + 1));
            let mut figure = figure(timeline, end, id, most_spans);
            if number == 0 {
                figure.reading = READING.to_owned();
            }
            blocks.push(Block::Figure(figure));
        }
        Some(self.part("timelines", "Who read what when", blocks))
    }
}

fn figure(timeline: &Timeline, end: f64, id: String, most_spans: usize) -> Figure {
    let (drawn, rest) = lanes::drawn(timeline, most_spans);
    let mut caption = Vec::new();
    if !rest.is_empty() {
        caption.push(format!("{} of {} workers are drawn.", drawn.len(), timeline.lanes.len()));
    }
    match timeline.not_shown {
        0 => {}
        1 => caption.push("1 file is not in it: it failed, was skipped, or its worker is left out.".to_owned()),
        n => caption.push(format!(
            "{} files are not in it: they failed, were skipped, or their workers are left out.",
            figures::count(n as f64)
        )),
    }
    let heads = ["worker", "files", "bytes", "busy", "longest", "its file"];
    let mut table = Table::new(format!("Workers of one run of {}", timeline.strategy), &heads, 1);
    for lane in drawn {
        table.row(row(figures::path(&lane.worker), &[lane], timeline));
    }
    if !rest.is_empty() {
        let lanes: Vec<_> = rest.iter().collect();
        table.row(row(figures::many(rest.len() as u64, "other"), &lanes, timeline));
    }
    Figure {
        title: format!("{}, {}.", timeline.strategy, figures::duration(timeline.elapsed_s)),
        caption: caption.join(" "),
        reading: String::new(),
        legend: Vec::new(),
        drawings: vec![lanes::draw(timeline, end, format!("{id}-chart"), most_spans)],
        table,
        id,
    }
}

/// What these workers read, together.
fn row(name: String, lanes: &[&Lane], timeline: &Timeline) -> Vec<String> {
    let spans = || lanes.iter().flat_map(|lane| &lane.spans);
    let took = |span: &Span| span.end_s - span.start_s;
    let longest = spans().max_by(|a, b| took(a).total_cmp(&took(b)));
    let busy = spans().map(took).sum::<f64>() / timeline.elapsed_s / lanes.len() as f64;
    vec![
        name,
        figures::count(spans().map(|span| span.files).sum::<u64>() as f64),
        figures::size(spans().map(|span| span.bytes).sum::<u64>() as f64),
        figures::percent(busy),
        longest.map_or_else(|| "-".to_owned(), |span| figures::duration(took(span))),
        longest.map_or_else(|| "-".to_owned(), |span| figures::path(&span.path)),
    ]
}
