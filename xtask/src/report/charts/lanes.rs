//! A lane for each worker of one run: which file it read when.
//!
//! Drawn once for pages of any width, in percents of it: a run has thousands of spans.

use crate::bench::timeline::{Lane, Span, Timeline};
use crate::report::chart::{Anchor, Drawing, Form, Mark, Px};
use crate::report::figures;
use crate::report::scale::{Quantity, Scale};

const AXIS: f64 = 30.0;
const HEIGHT: f64 = 40.0;

/// A run of hundreds of tasks has as many lanes; more than these are told about, not drawn.
const MOST_LANES: usize = 32;

/// With fewer spans a lane says little.
const SPANS_OF_LANE: usize = 12;

/// Those lanes that are drawn, and the others.
pub(crate) fn drawn(timeline: &Timeline, most_spans: usize) -> (&[Lane], &[Lane]) {
    let most = (most_spans / SPANS_OF_LANE).clamp(2, MOST_LANES);
    timeline.lanes.split_at(timeline.lanes.len().min(most))
}

/// How long it took, to the end of its last span.
pub(crate) fn end(timeline: &Timeline) -> f64 {
    let spans = timeline.lanes.iter().flat_map(|lane| &lane.spans);
    spans.map(|span| span.end_s).fold(timeline.elapsed_s, f64::max)
}

/// Draws about so many spans at the most, along so many seconds; those of a lane that lie next to each other are drawn as
/// one where there are more.
pub(crate) fn draw(timeline: &Timeline, end: f64, id: String, most_spans: usize) -> Drawing {
    let scale = Scale::fitting(Quantity::Seconds, [end / 1.04].into_iter(), Some(false)).between(0.0, 100.0);
    let (lanes, rest) = drawn(timeline, most_spans);
    let bottom = AXIS + HEIGHT * lanes.len() as f64;
    let mut marks = Vec::new();
    for (tick, text) in scale.ticks(5) {
        let at = scale.at(tick);
        marks.push(Mark::line((at, AXIS - 6.0), (at, bottom), "grid"));
        let anchor = match at {
            at if at < 5.0 => Anchor::Start,
            at if at > 95.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        marks.push(Mark::text((at, 16.0), anchor, "tick", text));
    }
    let cells = (most_spans / lanes.len().max(1)).max(SPANS_OF_LANE);
    for (at, lane) in lanes.iter().enumerate() {
        let top = AXIS + at as f64 * HEIGHT;
        marks.push(Mark::text((0.0, top + 13.0), Anchor::Start, "label aside", figures::path(&lane.worker)));
        marks.push(Mark::text((100.0, top + 13.0), Anchor::End, "value aside", share(lane, timeline.elapsed_s)));
        marks.push(lane_rect(0.0, scale.at(timeline.elapsed_s), top + 18.0, "lane", String::new()));
        for (at, span) in merged(&lane.spans, end / cells as f64).iter().enumerate() {
            let (from, to) = (scale.at(span.start_s), scale.at(span.end_s));
            // Alternating shades, so that one file ends where the next begins.
            let class = if at % 2 == 0 { "span" } else { "span odd" };
            marks.push(lane_rect(from, (to - from).max(0.08), top + 18.0, class, told(span)));
        }
    }
    let (strategy, workers) = (&timeline.strategy, timeline.lanes.len());
    let shown = if rest.is_empty() { String::new() } else { format!(" The first {} are drawn.", lanes.len()) };
    Drawing {
        id,
        title: format!("Timeline of one run of {strategy}"),
        description: format!(
            "{} over {}; a bar is a stretch in which a worker read a file, or several small ones.{shown}",
            figures::many(workers as u64, "worker"),
            figures::duration(timeline.elapsed_s)
        ),
        form: Form::Fluid,
        height: Px(bottom + 4.0),
        marks,
    }
}

/// How much of the time a worker read.
fn share(lane: &Lane, end: f64) -> String {
    let busy: f64 = lane.spans.iter().map(|span| span.end_s - span.start_s).sum();
    format!("{} busy", figures::percent(busy / end))
}

fn told(span: &Span) -> String {
    let files = if span.files > 1 { format!(" and {}", figures::many(span.files - 1, "other")) } else { String::new() };
    let (size, time) = (figures::size(span.bytes as f64), figures::duration(span.end_s - span.start_s));
    format!("{}{files}: {size} in {time}", figures::path(&span.path))
}

fn lane_rect(x: f64, width: f64, y: f64, class: &str, title: String) -> Mark {
    Mark::Rect { x: Px(x), y: Px(y), width: Px(width), height: Px(16.0), class: class.to_owned(), title }
}

/// Spans that begin in the same stretch of so many seconds become one, under the name that took longest.
fn merged(spans: &[Span], stretch: f64) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    let mut longest = 0.0;
    for span in spans {
        let took = span.end_s - span.start_s;
        match merged.last_mut() {
            Some(last) if span.end_s - last.start_s < stretch => {
                last.end_s = last.end_s.max(span.end_s);
                last.files += span.files;
                last.bytes += span.bytes;
                if took > longest {
                    (longest, last.path) = (took, span.path.clone());
                }
            }
            _ => {
                longest = took;
                merged.push(span.clone());
            }
        }
    }
    merged
}
