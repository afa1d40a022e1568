//! The pieces that charts are made of: marks in a drawing.
//!
//! Everything is in pixels of a view box. What a mark looks like is up to the style sheet, so that a chart follows the
//! reader's colours; `templates/drawing.html` writes the marks down and escapes what they say.

use std::fmt;

use askama::Template;

/// One picture. A chart has two, for wide pages and for narrow ones, because letters must not shrink with the page.
#[derive(Debug, Template)]
#[template(path = "drawing.html")]
pub(crate) struct Drawing {
    /// For the labels of its title and description.
    pub(crate) id: String,
    pub(crate) title: String,
    /// What is seen, for who does not see it.
    pub(crate) description: String,
    pub(crate) form: Form,
    pub(crate) height: Px,
    pub(crate) marks: Vec<Mark>,
}

/// Which pages a drawing is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Wide,
    Narrow,
    /// All: what lies across is in percents of the page's width.
    Fluid,
}

#[derive(Debug)]
pub(crate) enum Mark {
    Line {
        x1: Px,
        y1: Px,
        x2: Px,
        y2: Px,
        class: String,
    },
    Rect {
        x: Px,
        y: Px,
        width: Px,
        height: Px,
        class: String,
        title: String,
    },
    /// A form around a point.
    Dot {
        x: Px,
        y: Px,
        shape: Shape,
        class: String,
        title: String,
    },
    Text {
        x: Px,
        y: Px,
        anchor: Anchor,
        class: String,
        text: String,
    },
    /// A line through points, or with a class that fills it an area.
    Path {
        points: Vec<(Px, Px)>,
        class: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Ring,
    Diamond,
    Square,
    Triangle,
    Down,
    Cross,
    /// A short upright line.
    Tick,
    /// Beyond the end of the scale.
    Beyond,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A length with two decimals at the most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Px(pub(crate) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where a figure is no number there is nothing to be seen, but the page is still one.
        let rounded = if self.0.is_finite() { (self.0 * 100.0).round() / 100.0 } else { 0.0 };
        write!(f, "{rounded}")
    }
}

impl Form {
    pub(crate) const BOTH: [Self; 2] = [Self::Wide, Self::Narrow];

    /// Of the view box.
    pub(crate) fn width(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 352.0,
            Self::Fluid => 100.0,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
            Self::Fluid => "fluid",
        }
    }

    fn unit(self) -> &'static str {
        if self == Self::Fluid { "%" } else { "" }
    }
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Mark {
    pub(crate) fn line(from: (f64, f64), to: (f64, f64), class: impl Into<String>) -> Self {
        Self::Line { x1: Px(from.0), y1: Px(from.1), x2: Px(to.0), y2: Px(to.1), class: class.into() }
    }

    pub(crate) fn path(points: impl Iterator<Item = (f64, f64)>, class: impl Into<String>) -> Self {
        Self::Path { points: points.map(|(x, y)| (Px(x), Px(y))).collect(), class: class.into() }
    }

    pub(crate) fn text(at: (f64, f64), anchor: Anchor, class: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Text { x: Px(at.0), y: Px(at.1), anchor, class: class.into(), text: text.into() }
    }

    pub(crate) fn dot(at: (f64, f64), shape: Shape, class: impl Into<String>, title: impl Into<String>) -> Self {
        Self::Dot { x: Px(at.0), y: Px(at.1), shape, class: class.into(), title: title.into() }
    }
}

impl Shape {
    /// The path of those that are no circles.
    fn path(self, x: &Px, y: &Px) -> String {
        let steps = match self {
            Self::Circle | Self::Ring => "",
            Self::Diamond => "m0-6 5.2 6-5.2 6-5.2-6z",
            Self::Square => "m-4.3-4.3h8.6v8.6h-8.6z",
            Self::Triangle => "m0-5.6 5.4 9.4h-10.8z",
            Self::Down => "m0 5.6 5.4-9.4h-10.8z",
            Self::Beyond => "m-5-5 7 5-7 5",
            Self::Cross => "m-3.6-3.6 7.2 7.2m0-7.2-7.2 7.2",
            Self::Tick => "m0-8v16",
        };
        format!("M{x} {y}{steps}")
    }
}
