//! The document as one HTML page that fetches nothing and runs nothing.

use anyhow::{Context, Result};
use askama::Template;

use super::document::{Block, Document};

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    document: &'a Document,
}

pub(crate) fn render(document: &Document) -> Result<String> {
    Page { document }.render().context("cannot write the page")
}
