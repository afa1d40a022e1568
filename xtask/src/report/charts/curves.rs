//! Curves over two scales, with the places where they cross.

use crate::report::chart::{Anchor, Drawing, Form, Mark, Px, Shape};
use crate::report::scale::{Quantity, Scale};

#[derive(Debug)]
pub(crate) struct Curves {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// What lies along the lower axis, and what along the other.
    pub(crate) axes: [String; 2],
    pub(crate) series: Vec<Series>,
    pub(crate) crossings: Vec<Crossing>,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Tells colour, dashes and form of the points.
    pub(crate) style: usize,
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Its interval, if it has one.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

#[derive(Debug)]
pub(crate) struct Crossing {
    pub(crate) x: f64,
    /// As in the table below the chart.
    pub(crate) number: usize,
    /// Who overtakes whom.
    pub(crate) name: String,
}

/// The height of a crossing's name.
const NAME: f64 = 17.0;

/// Colour is never alone: each series has its own form of point as well.
pub(crate) const SHAPES: [(Shape, &str); 7] = [
    (Shape::Circle, "●"),
    (Shape::Diamond, "◆"),
    (Shape::Square, "■"),
    (Shape::Triangle, "▲"),
    (Shape::Down, "▼"),
    (Shape::Cross, "✕"),
    (Shape::Ring, "○"),
];

impl Curves {
    pub(crate) fn draw(&self) -> Vec<Drawing> {
        Form::BOTH.map(|form| self.draw_as(form)).into()
    }

    fn draw_as(&self, form: Form) -> Drawing {
        let is_wide = form == Form::Wide;
        let longest = self.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0) as f64;
        // Names stand at the ends of their curves where there is room; the legend has them in any case.
        let right = if is_wide { form.width() - longest * 7.4 - 18.0 } else { form.width() - 10.0 };
        let names = self.crossings.len();
        let (left, top, bottom) =
            if is_wide { (64.0, 34.0 + NAME * names as f64, 354.0 + NAME * names as f64) } else { (50.0, 46.0, 306.0) };
        let (x, y) = (self.x.between(left, right), self.y.between(bottom, top));
        let mut marks = vec![Mark::text((0.0, 12.0), Anchor::Start, "tick", &*self.axes[1])];
        for (tick, text) in y.ticks(if is_wide { 8 } else { 6 }) {
            marks.push(Mark::line((left, y.at(tick)), (right, y.at(tick)), "grid"));
            marks.push(Mark::text((left - 8.0, y.at(tick) + 4.0), Anchor::End, "tick", text));
        }
        for (tick, text) in x.ticks(if is_wide { 9 } else { 5 }) {
            marks.push(Mark::line((x.at(tick), top), (x.at(tick), bottom), "grid"));
            marks.push(Mark::text((x.at(tick), bottom + 18.0), Anchor::Middle, "tick", text));
        }
        marks.push(Mark::line((left, bottom), (right, bottom), "axis"));
        marks.push(Mark::text(((left + right) / 2.0, bottom + 38.0), Anchor::Middle, "tick", &*self.axes[0]));
        for (at, crossing) in self.crossings.iter().enumerate() {
            let x = x.at(crossing.x);
            // Each name has a line of its own, on the side where there is room; on a narrow page there is none.
            let up = if is_wide { top - 8.0 - NAME * (names - at - 1) as f64 } else { top - 9.0 };
            marks.push(Mark::line((x, up - if is_wide { 8.0 } else { 0.0 }), (x, bottom), "crossing"));
            let (anchor, beside, text) = match () {
                () if !is_wide => (Anchor::Middle, 0.0, crossing.number.to_string()),
                () if x > (left + right) / 2.0 => {
                    (Anchor::End, -6.0, format!("{}: {}", crossing.number, crossing.name))
                }
                () => (Anchor::Start, 6.0, format!("{}: {}", crossing.number, crossing.name)),
            };
            marks.push(Mark::text((x + beside, up - if is_wide { 0.0 } else { 3.0 }), anchor, "crossing-name", text));
        }
        for series in &self.series {
            let class = format!("s{}", series.style);
            let place = |figure: fn(&Point) -> f64| series.points.iter().map(move |it| (x.at(it.x), y.at(figure(it))));
            if series.points.iter().any(|point| point.high > point.low) {
                let back = place(|point| point.low).collect::<Vec<_>>().into_iter().rev();
                marks.push(Mark::path(place(|point| point.high).chain(back), format!("area {class}")));
            }
            marks.push(Mark::path(place(|point| point.y), format!("curve {class}")));
            for point in &series.points {
                let title = format!("{}: {} at {}", series.name, self.y.quantity.show(point.y), self.at(point.x));
                let shape = SHAPES[series.style % SHAPES.len()].0;
                marks.push(Mark::dot((x.at(point.x), y.at(point.y)), shape, dot_class(shape, &class), title));
            }
        }
        if is_wide {
            let ends = self.series.iter().filter_map(|series| Some((series, y.at(series.points.last()?.y))));
            let mut ends: Vec<_> = ends.collect();
            ends.sort_by(|a, b| a.1.total_cmp(&b.1));
            spread(&mut ends, 15.0, bottom);
            marks.extend(ends.iter().map(|(series, at)| {
                let class = format!("end s{}", series.style);
                Mark::text((right + 12.0, at + 4.5), Anchor::Start, class, &*series.name)
            }));
        }
        let (id, title, description) = (self.id.clone(), self.title.clone(), self.description.clone());
        Drawing { id, title, description, form, height: Px(bottom + 46.0), marks }
    }

    /// A place on the lower axis in words.
    fn at(&self, figure: f64) -> String {
        if self.x.quantity == Quantity::Count { self.x.quantity.show(figure) } else { self.x.quantity.short(figure) }
    }
}

pub(crate) fn dot_class(shape: Shape, class: &str) -> String {
    let kind = match shape {
        Shape::Cross | Shape::Ring | Shape::Tick => "open",
        _ => "full",
    };
    format!("{kind} {class}")
}

/// Moves what is closer than `gap` apart, and none of it below `bottom`.
fn spread<T>(ends: &mut [(T, f64)], gap: f64, bottom: f64) {
    for at in 1..ends.len() {
        ends[at].1 = ends[at].1.max(ends[at - 1].1 + gap);
    }
    let mut lowest = bottom;
    for end in ends.iter_mut().rev() {
        end.1 = end.1.min(lowest);
        lowest = end.1 - gap;
    }
}
