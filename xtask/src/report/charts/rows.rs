//! A row for each contestant, all along one scale: points with their intervals, samples, bars.

use crate::report::chart::{Anchor, Drawing, Form, Mark, Px, Shape};
use crate::report::figures;
use crate::report::scale::Scale;

/// What there is to draw, for any page.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) scale: Scale,
    pub(crate) rows: Vec<Row>,
    /// A stretch that is shaded behind all rows: what overlaps with it cannot be told from it.
    pub(crate) band: Option<(f64, f64)>,
    /// A figure that all rows are to be held against.
    pub(crate) line: Option<f64>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// The figure, said at the end of the row.
    pub(crate) value: String,
    /// Of the label: `main` or `aside`.
    pub(crate) class: &'static str,
    pub(crate) items: Vec<Item>,
}

/// What is in a row. A class tells colours, a title what a pointer shows.
#[derive(Debug)]
pub(crate) enum Item {
    Bar {
        from: f64,
        to: f64,
        class: String,
        title: String,
    },
    Whisker {
        low: f64,
        high: f64,
        class: String,
    },
    /// `up` moves it within the row: -1 to the upper edge, 1 to the lower.
    Dot {
        at: f64,
        up: f64,
        shape: Shape,
        class: String,
        title: String,
    },
}

const AXIS: f64 = 30.0;
const LETTER: f64 = 7.4;

impl Rows {
    pub(crate) fn draw(&self) -> Vec<Drawing> {
        Form::BOTH.map(|form| self.draw_as(form)).into()
    }

    fn draw_as(&self, form: Form) -> Drawing {
        let longest =
            |of: fn(&Row) -> &str| self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0) as f64;
        let is_wide = form == Form::Wide;
        // On a narrow page labels and figures stand above their row.
        let (left, right) = match form {
            Form::Wide => {
                let label = (longest(|row| &row.label) * LETTER + 16.0).clamp(80.0, 260.0);
                (label, form.width() - (longest(|row| &row.value) * LETTER + 14.0).clamp(20.0, 240.0))
            }
            _ => (8.0, form.width() - 8.0),
        };
        let (height, middle) = if is_wide { (30.0, 15.0) } else { (42.0, 31.0) };
        let scale = self.scale.between(left, right);
        let bottom = AXIS + height * self.rows.len() as f64;
        let mut marks = Vec::new();
        if let Some((low, high)) = self.band {
            let (x, end) = (scale.at(low), scale.at(high));
            marks.push(rect((x, AXIS - 4.0), ((end - x).max(1.0), bottom - AXIS + 4.0), "band", String::new()));
        }
        for (tick, text) in scale.ticks(if is_wide { 9 } else { 5 }) {
            let x = scale.at(tick);
            marks.push(Mark::line((x, AXIS - 4.0), (x, bottom), "grid"));
            let anchor = if !is_wide && x < left + 12.0 {
                Anchor::Start
            } else if !is_wide && x > right - 12.0 {
                Anchor::End
            } else {
                Anchor::Middle
            };
            marks.push(Mark::text((x, 16.0), anchor, "tick", text));
        }
        if let Some(line) = self.line {
            marks.push(Mark::line((scale.at(line), AXIS - 4.0), (scale.at(line), bottom), "reference"));
        }
        for (at, row) in self.rows.iter().enumerate() {
            let top = AXIS + at as f64 * height;
            let y = top + middle;
            let label = format!("label {}", row.class);
            if is_wide {
                marks.push(Mark::text((0.0, y + 4.5), Anchor::Start, label, shortened(&row.label, left - 12.0)));
                marks.push(Mark::text((form.width(), y + 4.5), Anchor::End, "value", &*row.value));
            } else {
                let space = form.width() - row.value.chars().count() as f64 * LETTER - 16.0;
                marks.push(Mark::text((0.0, top + 16.0), Anchor::Start, label, shortened(&row.label, space)));
                marks.push(Mark::text((form.width(), top + 16.0), Anchor::End, "value", &*row.value));
            }
            marks.push(Mark::line((left, y), (right, y), "track"));
            marks.extend(row.items.iter().flat_map(|item| item.marks(&scale, y)));
        }
        let (id, title, description) = (self.id.clone(), self.title.clone(), self.description.clone());
        Drawing { id, title, description, form, height: Px(bottom + 6.0), marks }
    }
}

impl Item {
    pub(crate) fn dot(at: f64, shape: Shape, class: impl Into<String>, title: impl Into<String>) -> Self {
        Self::Dot { at, up: 0.0, shape, class: class.into(), title: title.into() }
    }

    fn marks(&self, scale: &Scale, y: f64) -> Vec<Mark> {
        match self {
            Self::Bar { from, to, class, title } => {
                let (x, end) = (scale.at(*from), scale.at(*to));
                vec![rect((x, y - 7.0), ((end - x).max(0.5), 14.0), class, title.clone())]
            }
            Self::Whisker { low, .. } if scale.ends_before(*low) => Vec::new(),
            Self::Whisker { low, high, class } => {
                let is_cut = scale.ends_before(*high);
                let (low, high) = (scale.at(*low), scale.at(*high));
                let end = |x: f64| Mark::line((x, y - 4.0), (x, y + 4.0), format!("whisker {class}"));
                let mut marks = vec![Mark::line((low, y), (high, y), format!("whisker {class}")), end(low)];
                marks.extend((!is_cut).then(|| end(high)));
                marks
            }
            // Of what lies beyond the scale there is a hint at its end.
            Self::Dot { at, class, title, .. } if scale.ends_before(*at) => {
                let end = scale.at(f64::INFINITY);
                vec![Mark::dot((end, y), Shape::Beyond, format!("beyond {class}"), title.clone())]
            }
            Self::Dot { at, up, shape, class, title } => {
                vec![Mark::dot((scale.at(*at), y + up * 7.0), *shape, class.clone(), title.clone())]
            }
        }
    }
}

fn rect(at: (f64, f64), size: (f64, f64), class: &str, title: String) -> Mark {
    let (x, y, width, height) = (Px(at.0), Px(at.1), Px(size.0), Px(size.1));
    Mark::Rect { x, y, width, height, class: class.to_owned(), title }
}

/// So much of a name as has room.
fn shortened(name: &str, width: f64) -> String {
    let most = figures::rounded(width / LETTER);
    if name.chars().count() as u64 <= most {
        return name.to_owned();
    }
    let kept = usize::try_from(most.saturating_sub(1)).unwrap_or(0);
    name.chars().take(kept).chain(['…']).collect()
}
