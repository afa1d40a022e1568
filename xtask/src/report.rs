//! What a comparison looks like: a page, Markdown, a terminal, CSV, JSON.
//!
//! From the top: [`contents`] says everything that there is in the results as one [`document`], which [`page`] and
//! [`markdown`] render; [`charts`] draws what is in it, with the marks of [`chart`] along a [`scale`]. [`terminal`] is a
//! summary, [`csv`] has a line for each cell. What several of them say is in [`ranking`], [`remarks`], [`goals`] and
//! [`figures`].

mod chart;
mod charts;
mod contents;
mod csv;
mod document;
pub(crate) mod figures;
mod goals;
mod markdown;
mod page;
mod ranking;
mod remarks;
mod scale;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use polyread_core::Escaped;
use tempfile::Builder;

use crate::bench::results::Results;
use crate::sweep::Swept;
use document::Document;

/// Show a recorded comparison again
///
/// Takes the JSON that `cargo xtask bench --format json` printed or `--report` wrote, and measures nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask report results.json                    the summary, on the terminal
  cargo xtask report results.json --out report       the page and the same as Markdown, CSV and JSON")]
pub(crate) struct Args {
    /// What a comparison wrote
    #[arg(value_name = "RESULTS.json")]
    results: PathBuf,

    /// Write report.html, report.md, report.csv and results.json there, and nothing to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// How to write it to standard output
    #[arg(long, value_enum, default_value = "text", conflicts_with = "out")]
    format: Format,
}

/// What standard output gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A ranking for each tree, as wide as the terminal
    Text,
    /// Everything, as a Markdown page
    Markdown,
    /// One JSON object with every sample
    Json,
    /// A line for each contestant, tree and state of the cache
    Csv,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let results = Results::load(&args.results).or_else(|error| match fs::read(&args.results) {
        // A sweep has a page too.
        Ok(json) => serde_json::from_slice::<Swept>(&json).map(|swept| swept.results()).map_err(|_| error),
        Err(_) => Err(error),
    })?;
    match &args.out {
        Some(directory) => save(&results, directory),
        None => print(&results, args.format),
    }
}

/// Writes the results to standard output.
///
/// # Errors
///
/// It cannot be written to, unless its reader has seen enough (`| head`).
pub(crate) fn print(results: &Results, format: Format) -> Result<()> {
    let written = match format {
        Format::Text => terminal::render(results, &terminal::Screen::of_stdout()),
        Format::Markdown => markdown::render(&Document::of(results)),
        Format::Json => json(results)?,
        Format::Csv => csv::render(results)?,
    };
    write_out(&written)
}

/// # Errors
///
/// As for [`print()`].
pub(crate) fn write_out(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Writes the whole report into a directory, which is made if it is not there: `report.html`, `report.md`, `report.csv` and
/// `results.json`. A file that is there is replaced at once, never half written.
///
/// # Errors
///
/// The directory cannot be made, or a file in it not be written.
pub(crate) fn save(results: &Results, directory: &Path) -> Result<()> {
    save_with(results, directory, [("report.csv", csv::render(results)?), ("results.json", json(results)?)])
}

/// The page and its Markdown, with other files beside them than a comparison has.
///
/// # Errors
///
/// As for [`save`].
pub(crate) fn save_with(results: &Results, directory: &Path, beside: [(&str, String); 2]) -> Result<()> {
    let document = Document::of(results);
    let page = [("report.html", page::render(&document)?), ("report.md", markdown::render(&document))];
    prepare(directory)?;
    for (name, content) in page.into_iter().chain(beside) {
        let path = directory.join(name);
        replace(&path, &content).with_context(|| format!("cannot write {}", Escaped(path.as_os_str())))?;
    }
    Ok(())
}

/// Makes the directory of a report, if it is not there, and finds out whether it can be written to.
///
/// # Errors
///
/// It cannot be made, or not be written to.
pub(crate) fn prepare(directory: &Path) -> Result<()> {
    let shown = Escaped(directory.as_os_str());
    fs::create_dir_all(directory).with_context(|| format!("cannot make {shown}"))?;
    Builder::new().tempfile_in(directory).map(drop).with_context(|| format!("cannot write into {shown}"))
}

fn json(results: &Results) -> Result<String> {
    Ok(serde_json::to_string(results).context("cannot write the results as JSON")? + "\n")
}

fn replace(path: &Path, content: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // Readable as any other new file is: the mask of the process still holds.
    let mut file = Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    file.write_all(content.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
