//! `cargo xtask figures`: the figures in the project's Markdown, taken from recorded runs.
//!
//! A figure that is typed is wrong as soon as the next run is recorded. So a page says which run it quotes, and this command
//! writes what stands between the two comments:
//!
//! ```text
//! <!-- figures: docs/runs/2026-11-23/results.json times warm strategy floor -->
//! …
//! <!-- /figures -->
//! ```
//!
//! After the file, which is relative to the repository, comes what to show: `times` or `memory`, the state of the cache,
//! and the kinds of contestants, in the order in which they are to come.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use indicatif::{BinaryBytes, DecimalBytes, HumanCount};

use crate::bench::cold::Cache;
use crate::bench::contestant::Kind;
use crate::bench::results::{Cell, CorpusResult, Results};
use crate::links;

const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- /figures -->";

/// Take the figures in the project's Markdown from the recorded runs that it quotes
///
/// Rewrites what stands between `<!-- figures: FILE WHAT CACHE KIND... -->` and `<!-- /figures -->`. WHAT is times or memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing, and end with 1 if a page would be changed
    #[arg(long)]
    check: bool,
    /// The repository
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."), hide_default_value = true)]
    root: PathBuf,
}

/// Rewrites or checks each page.
///
/// # Errors
///
/// A page asks for what is not there, or cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let (mut quotes, mut stale) = (0, 0);
    for file in links::pages(&args.root)? {
        let path = args.root.join(&file);
        let shown = file.display();
        let old = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let (new, count) = rewrite(&old, &args.root).with_context(|| format!("in {shown}"))?;
        quotes += count;
        if new == old {
            continue;
        }
        stale += 1;
        if args.check {
            println!("{shown} does not show the figures of the run that it quotes: run `cargo xtask figures`");
        } else {
            fs::write(&path, new).with_context(|| format!("cannot write {shown}"))?;
            println!("{shown} has new figures");
        }
    }
    println!("{quotes} quotes of recorded runs, {stale} pages {}", if args.check { "out of date" } else { "changed" });
    Ok(if args.check && stale > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The page with its figures made anew, and how many places there were.
fn rewrite(page: &str, root: &Path) -> Result<(String, usize)> {
    let (mut new, mut rest, mut count) = (String::new(), page, 0);
    // At the beginning of a line: pages that tell of the comments are left alone.
    while let Some(begin) = find_line(rest, BEGIN) {
        let (before, from) = rest.split_at(begin);
        let (order, after) = from[BEGIN.len()..]
            .split_once(" -->\n")
            .ok_or_else(|| anyhow!("'{BEGIN}' without its '-->' and line end"))?;
        let end = find_line(after, END).ok_or_else(|| anyhow!("'{BEGIN}{order}' without '{END}'"))?;
        let figures =
            Order::parse(order).and_then(|it| it.figures(root)).with_context(|| format!("'{BEGIN}{order}'"))?;
        new += &format!("{before}{BEGIN}{order} -->\n\n{figures}\n{END}");
        rest = &after[end + END.len()..];
        count += 1;
    }
    Ok((new + rest, count))
}

/// Where a line begins with this.
fn find_line(text: &str, begin: &str) -> Option<usize> {
    text.match_indices(begin).map(|(at, _)| at).find(|at| *at == 0 || text[..*at].ends_with('\n'))
}

/// What a page wants to show.
struct Order<'a> {
    file: &'a str,
    what: What,
    cache: Cache,
    kinds: Vec<Kind>,
}

#[derive(Clone, Copy)]
enum What {
    Times,
    Memory,
}

impl<'a> Order<'a> {
    fn parse(order: &'a str) -> Result<Self> {
        let mut words = order.split_whitespace();
        let (Some(file), Some(what), Some(cache)) = (words.next(), words.next(), words.next()) else {
            bail!("FILE, WHAT, CACHE and KINDs are needed")
        };
        let what = match what {
            "times" => What::Times,
            "memory" => What::Memory,
            _ => bail!("'{what}' is neither times nor memory"),
        };
        let cache = Cache::from_str(cache, false).map_err(|error| anyhow!("{error}"))?;
        let kinds = words.map(|word| Kind::named(word).ok_or_else(|| anyhow!("'{word}' is no kind of contestant")));
        Ok(Self { file, what, cache, kinds: kinds.collect::<Result<_>>()? })
    }

    /// A table: a row for each contestant, a column for each tree.
    fn figures(&self, root: &Path) -> Result<String> {
        let results = Results::load(&root.join(self.file))?;
        let corpora: Vec<_> = results.corpora.iter().filter(|it| it.caches().contains(&self.cache)).collect();
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        let head = |corpus: &&CorpusResult| {
            let (files, bytes) = (HumanCount(corpus.files), DecimalBytes(corpus.bytes));
            format!("{}: {files} {}, {bytes}", corpus.name, if corpus.files == 1 { "file" } else { "files" })
        };
        table.set_header([String::new()].into_iter().chain(corpora.iter().map(head)));
        for kind in &self.kinds {
            for name in by_speed(&corpora, self.cache, *kind) {
                let cells =
                    corpora.iter().map(|corpus| corpus.cell(self.cache, name).map(|cell| self.figure(corpus, cell)));
                let cells = cells.map(|figure| figure.unwrap_or_else(|| "–".to_owned()));
                table.add_row([name.to_owned()].into_iter().chain(cells));
            }
        }
        if table.is_empty() {
            bail!("{} has nothing of it", self.file);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n"))
    }

    fn figure(&self, corpus: &CorpusResult, cell: &Cell) -> String {
        match self.what {
            What::Memory => BinaryBytes(cell.peak_rss_bytes).to_string(),
            What::Times => {
                let time = duration(cell.median_s);
                let floor = cell.to_floor.filter(|_| cell.strategy != "floor");
                let figure = floor.map_or(time.clone(), |floor| format!("{time} ({:.2})", floor.value));
                // The fastest, and those that cannot be told from it.
                let is_first = corpus.fastest.get(&self.cache).is_some_and(|fastest| *fastest == cell.strategy);
                if is_first || cell.tie { format!("**{figure}**") } else { figure }
            }
        }
    }
}

/// Those of a kind, by the geometric mean of their times over the trees, the fastest first.
fn by_speed<'a>(corpora: &[&'a CorpusResult], cache: Cache, kind: Kind) -> Vec<&'a str> {
    let mut times: Vec<(&str, f64, u32)> = Vec::new();
    for cell in corpora.iter().flat_map(|corpus| corpus.verified(cache)).filter(|cell| cell.kind == kind) {
        match times.iter_mut().find(|(name, ..)| *name == cell.strategy) {
            Some((_, logs, count)) => (*logs, *count) = (*logs + cell.median_s.ln(), *count + 1),
            None => times.push((&cell.strategy, cell.median_s.ln(), 1)),
        }
    }
    times.sort_by(|a, b| (a.1 / f64::from(a.2)).total_cmp(&(b.1 / f64::from(b.2))));
    times.into_iter().map(|(name, ..)| name).collect()
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.1 => format!("{:.1} ms", seconds * 1000.0),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        _ => format!("{seconds:.2} s"),
    }
}
