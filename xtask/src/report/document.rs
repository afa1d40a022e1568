//! What a report says, whoever shows it: the page and the Markdown are two renderings of one [`Document`].
//!
//! A chart cannot be made without its table: [`Figure`] has both.

use super::chart::Drawing;

#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) title: String,
    /// When, where, on what.
    pub(crate) about: String,
    /// The answer, in a sentence or two.
    pub(crate) lead: Lead,
    /// What is wrong with all of it.
    pub(crate) notices: Vec<Notice>,
    /// One for each tree and state of the cache.
    pub(crate) answers: Vec<Answer>,
    pub(crate) sections: Vec<Section>,
}

/// A sentence or two around the name of a strategy.
#[derive(Debug, Default)]
pub(crate) struct Lead {
    pub(crate) before: String,
    pub(crate) strategy: String,
    pub(crate) after: String,
}

/// The answer for one tree in one state of the cache, in a few words.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Of the section that tells the rest.
    pub(crate) section: String,
    pub(crate) about: String,
    pub(crate) strategy: String,
    pub(crate) time: String,
    pub(crate) ties: String,
    pub(crate) next: String,
}

#[derive(Debug)]
pub(crate) struct Section {
    /// For links: letters, digits and dashes.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) parts: Vec<Part>,
}

/// What has a heading of its own in a section.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(crate) enum Block {
    Text(String),
    Notice(Notice),
    Pairs { is_advice: bool, pairs: Vec<Pair> },
    Code(Code),
    Table(Table),
    Figure(Figure),
}

/// What nobody may overlook.
#[derive(Debug)]
pub(crate) struct Notice {
    /// A result that is wrong, not just one to be taken with care.
    pub(crate) is_error: bool,
    pub(crate) head: &'static str,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Why it is so, if there is more to say.
    pub(crate) why: String,
}

#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) label: String,
    pub(crate) language: &'static str,
    pub(crate) text: String,
    /// Whether it is shown on demand alone.
    pub(crate) is_long: bool,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// The column that says what a row is about.
    pub(crate) names_at: usize,
    /// Columns from here on hold figures.
    pub(crate) figures_from: usize,
}

#[derive(Debug)]
pub(crate) struct Row {
    /// Of a strategy: what is beside it for orientation is toned down.
    pub(crate) is_main: bool,
    pub(crate) cells: Vec<String>,
}

/// A chart and the table that says the same.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) id: String,
    /// If the part's title does not say what it is.
    pub(crate) title: String,
    pub(crate) caption: String,
    /// How to read the drawing, for where it is.
    pub(crate) reading: String,
    /// What the marks mean.
    pub(crate) legend: Vec<Key>,
    pub(crate) drawings: Vec<Drawing>,
    pub(crate) table: Table,
}

#[derive(Debug)]
pub(crate) struct Key {
    /// A class of the marks, or none.
    pub(crate) class: String,
    /// The mark as a character.
    pub(crate) mark: &'static str,
    pub(crate) text: String,
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, heads: &[&str], figures_from: usize) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { caption: caption.into(), heads, rows: Vec::new(), names_at: 0, figures_from }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row { is_main: true, cells });
    }

    /// Without the columns that have nothing in any row.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        for column in (0..self.heads.len()).rev() {
            if self.rows.iter().all(|row| row.cells[column] == "-" || row.cells[column].is_empty()) {
                self.heads.remove(column);
                self.rows.iter_mut().for_each(|row| drop(row.cells.remove(column)));
                self.figures_from -= usize::from(column < self.figures_from);
                self.names_at -= usize::from(column < self.names_at);
            }
        }
        self
    }
}

impl Notice {
    pub(crate) fn error(text: String) -> Self {
        Self { is_error: true, head: "Wrong.", text }
    }

    pub(crate) fn care(text: String) -> Self {
        Self { is_error: false, head: "With care.", text }
    }
}

impl Key {
    pub(crate) fn new(class: &str, mark: &'static str, text: impl Into<String>) -> Self {
        Self { class: class.to_owned(), mark, text: text.into() }
    }
}

impl Pair {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), why: String::new() }
    }
}
