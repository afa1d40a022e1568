//! A lane for each worker of one run: which file it read when.
//!
//! Drawn once for pages of any width, in percents of it: a run has thousands of spans.

use crate::bench::timeline::{Lane, Span, Timeline};
use crate::report::chart::{Anchor, Drawing, Form, Mark, Px};
use crate::report::figures;
use crate::report::scale::{Quantity, Scale};

const AXIS: f64 = 30.0;
const HEIGHT: f64 = 40.0;

/// Of a bar whose worker read all the time.
const BAR: f64 = 16.0;

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
/// one where there are more, as high as the part of its time in which the worker read: what lies between them is no reading.
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
        let floor = top + 18.0 + BAR;
        marks.push(bar((0.0, scale.at(timeline.elapsed_s)), floor, BAR, "lane", String::new()));
        for (at, stay) in merged(&lane.spans, timeline.elapsed_s / cells as f64).iter().enumerate() {
            let (from, to) = (scale.at(stay.span.start_s), scale.at(stay.span.end_s));
            // Alternating shades, so that one file ends where the next begins.
            let class = if at % 2 == 0 { "span" } else { "span odd" };
            let width = (to - from).max(0.08);
            marks.push(bar((from, width), floor, (BAR * stay.share()).max(1.0), class, told(stay)));
        }
    }
    let (strategy, workers) = (&timeline.strategy, timeline.lanes.len());
    let shown = if rest.is_empty() { String::new() } else { format!(" The first {} are drawn.", lanes.len()) };
    Drawing {
        id,
        title: format!("Timeline of one run of {strategy}"),
        description: format!(
            "{} over {}; a bar is a stretch in which a worker read a file, or several, as high as the part of it in which \
             the worker read.{shown}",
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

fn told(stay: &Stay) -> String {
    let span = &stay.span;
    let files = if span.files > 1 { format!(" and {}", figures::many(span.files - 1, "other")) } else { String::new() };
    let (size, time) = (figures::size(span.bytes as f64), figures::duration(span.end_s - span.start_s));
    let share = if stay.share() < 0.995 { format!(", {} busy", figures::percent(stay.share())) } else { String::new() };
    format!("{}{files}: {size} in {time}{share}", figures::path(&span.path))
}

/// From one place on for so far, standing on a floor.
fn bar((x, width): (f64, f64), floor: f64, height: f64, class: &str, title: String) -> Mark {
    Mark::Rect { x: Px(x), y: Px(floor - height), width: Px(width), height: Px(height), class: class.to_owned(), title }
}

/// Spans that are drawn as one.
struct Stay {
    span: Span,
    busy_s: f64,
    longest_s: f64,
}

impl Stay {
    /// The part of its time in which the worker read.
    fn share(&self) -> f64 {
        let took = self.span.end_s - self.span.start_s;
        if took > 0.0 { (self.busy_s / took).min(1.0) } else { 1.0 }
    }
}

/// Spans that lie in the same stretch of so many seconds become one, under the name that took longest.
fn merged(spans: &[Span], stretch: f64) -> Vec<Stay> {
    let mut merged: Vec<Stay> = Vec::new();
    for span in spans {
        let took = span.end_s - span.start_s;
        match merged.last_mut() {
            Some(last) if span.end_s - last.span.start_s < stretch => {
                last.span.end_s = last.span.end_s.max(span.end_s);
                last.span.files += span.files;
                last.span.bytes += span.bytes;
                last.busy_s += took;
                if took > last.longest_s {
                    (last.longest_s, last.span.path) = (took, span.path.clone());
                }
            }
            _ => merged.push(Stay { span: span.clone(), busy_s: took, longest_s: took }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start_s: f64, end_s: f64, path: &str) -> Span {
        Span { start_s, end_s, files: 1, bytes: 10, path: path.to_owned() }
    }

    #[test]
    fn what_lies_between_merged_spans_is_no_reading() {
        let spans = [span(0.0, 0.1, "a"), span(0.3, 0.6, "b"), span(1.0, 3.0, "c")];
        let stays = merged(&spans, 1.0);
        let seen: Vec<_> = stays.iter().map(|it| (it.span.path.as_str(), it.span.files, it.span.end_s)).collect();
        assert_eq!(seen, [("b", 2, 0.6), ("c", 1, 3.0)]);
        assert!((stays[0].share() - 0.4 / 0.6).abs() < 1e-9 && stays[1].share() == 1.0);
        let drawn: f64 = stays.iter().map(|it| it.share() * (it.span.end_s - it.span.start_s)).sum();
        let busy: f64 = spans.iter().map(|it| it.end_s - it.start_s).sum();
        assert!((drawn - busy).abs() < 1e-9, "{drawn} of {busy}");
    }
}
