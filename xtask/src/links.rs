//! `cargo xtask links`: whether every link in the project's Markdown leads somewhere.
//!
//! What is looked at: each Markdown file that git has or would take. What is checked of it: that a relative link or image
//! leads to a file or directory of the repository, and its anchor to a heading there, by GitHub's rules for making anchors
//! of headings; that an absolute URL has the form of one, and no more, so that this needs no network; and that a mermaid
//! diagram is one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use polyread_core::{Discovery, Escaped};
use pulldown_cmark::{BrokenLink, CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// What a mermaid diagram may begin with: the kinds that GitHub draws.
const DIAGRAMS: [&str; 17] = [
    "block-beta",
    "C4Context",
    "classDiagram",
    "erDiagram",
    "flowchart",
    "gantt",
    "gitGraph",
    "graph",
    "journey",
    "mindmap",
    "pie",
    "quadrantChart",
    "requirementDiagram",
    "sequenceDiagram",
    "stateDiagram-v2",
    "timeline",
    "xychart-beta",
];

/// Check that every link in the project's Markdown leads somewhere
///
/// Relative links, images and anchors must lead to something in the repository, mermaid diagrams must be some; of absolute
/// URLs only the form is checked, without a network. The exit code is 1 if there is anything to complain about.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."), hide_default_value = true)]
    root: PathBuf,
}

/// Checks and tells.
///
/// # Errors
///
/// A file that is there and cannot be read.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let found = check(&args.root, &files(&args.root)?)?;
    for complaint in &found.complaints {
        println!("{complaint}");
    }
    let Found { files, links, diagrams, complaints } = &found;
    println!("{files} files, {links} links, {diagrams} diagrams, {} of them wrong", complaints.len());
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What there was to check, and what is wrong with it.
#[derive(Debug, Default)]
struct Found {
    files: usize,
    links: usize,
    diagrams: usize,
    complaints: Vec<Complaint>,
}

/// One thing that is wrong, and where.
#[derive(Debug)]
struct Complaint {
    file: PathBuf,
    line: usize,
    /// The link as it is written, or what else is wrong.
    what: String,
    why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, why } = self;
        write!(f, "{}:{line}: {}: {why}", Escaped(file.as_os_str()), Escaped(what.as_ref()))
    }
}

/// The files of the repository, relative to its root.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    tracked(root).map_or_else(|| walked(root), Ok)
}

/// The Markdown files of the repository, relative to its root.
pub(crate) fn pages(root: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    Ok(files(root)?.into_iter().filter(|path| is_markdown(path)))
}

/// Those that git has, or would take: what a new file links to is there before it is committed. What git ignores is not,
/// however often it has been generated here. `None` without git, or where this is no work tree.
fn tracked(root: &Path) -> Option<BTreeSet<PathBuf>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let paths = names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()));
    // Deleted and not yet committed so.
    Some(paths.filter(|path| root.join(path).symlink_metadata().is_ok()).collect())
}

/// What is there, but for what is never part of a repository.
fn walked(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let walk = Discovery::new(root).exclude("target").exclude(".git").walk()?;
    let paths = walk.flatten().map(|file| file.path().strip_prefix(root).map(Path::to_path_buf));
    paths.collect::<Result<_, _>>().context("a file was found outside of the root")
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn check(root: &Path, files: &BTreeSet<PathBuf>) -> Result<Found> {
    let mut pages = BTreeMap::new();
    for path in files.iter().filter(|path| is_markdown(path)) {
        let bytes = fs::read(root.join(path)).with_context(|| path.display().to_string())?;
        pages.insert(path.as_path(), Page::parse(&String::from_utf8_lossy(&bytes)));
    }
    // A directory is there if a file is below it: git knows no others.
    let directories = files.iter().flat_map(|file| file.ancestors().skip(1)).collect();
    let site = Site { files, directories, pages: &pages };

    let mut found = Found { files: pages.len(), ..Found::default() };
    for (path, page) in &pages {
        found.links += page.links.len();
        found.diagrams += page.diagrams.len();
        let links = page.links.iter().map(|(line, link)| (line, link.clone(), site.follow(path, link)));
        let diagrams = page.diagrams.iter().map(|(line, text)| (line, "mermaid".to_owned(), draw(text)));
        let unresolved = page.unresolved.iter().map(|(line, link)| {
            let why = "no such reference is defined in this file".to_owned();
            (line, link.clone(), Err(why))
        });
        for (line, what, outcome) in links.chain(diagrams).chain(unresolved) {
            if let Err(why) = outcome {
                found.complaints.push(Complaint { file: path.to_path_buf(), line: *line, what, why });
            }
        }
    }
    found.complaints.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(found)
}

/// What of a Markdown file matters here. Each with the line that it is in, from 1.
#[derive(Debug, Default)]
struct Page {
    links: Vec<(usize, String)>,
    /// References like `[text][name]` whose name is not defined: they are shown as they are written.
    unresolved: Vec<(usize, String)>,
    diagrams: Vec<(usize, String)>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let line_ends: Vec<_> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line_of = |at: usize| line_ends.partition_point(|end| *end < at) + 1;

        let mut page = Self::default();
        let mut unresolved = Vec::new();
        let mut note = |broken: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
            // `[word]` alone is brackets around a word more often than a link.
            if matches!(broken.link_type, LinkType::Reference | LinkType::Collapsed) {
                unresolved.push((line_of(broken.span.start), broken.reference.to_string()));
            }
            None
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(&mut note));

        let (mut heading, mut diagram) = (None::<String>, None::<(usize, String)>);
        for (event, span) in parser.into_offset_iter() {
            let line = line_of(span.start);
            match event {
                Event::Start(Tag::Link { dest_url, link_type, .. }) if link_type != LinkType::Email => {
                    page.links.push((line, dest_url.into_string()));
                }
                Event::Start(Tag::Image { dest_url, .. }) => page.links.push((line, dest_url.into_string())),
                Event::Html(html) | Event::InlineHtml(html) => {
                    page.links.extend(attributes(&html, &["href", "src"]).map(|link| (line, link.to_owned())));
                    page.anchors.extend(attributes(&html, &["id", "name"]).map(str::to_owned));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|text| {
                    let slug = slug(&text);
                    let numbered = (1..).map(|number| format!("{slug}-{number}"));
                    let mut free = std::iter::once(slug.clone()).chain(numbered);
                    free.find(|slug| !page.anchors.contains(slug)).unwrap_or(slug)
                })),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info)))
                    if info.split_whitespace().next() == Some("mermaid") =>
                {
                    diagram = Some((line, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.diagrams.extend(diagram.take()),
                Event::Text(text) | Event::Code(text) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&text));
                    diagram.iter_mut().for_each(|(_, diagram)| diagram.push_str(&text));
                }
                Event::SoftBreak => heading.iter_mut().for_each(|heading| heading.push(' ')),
                _ => {}
            }
        }
        page.unresolved = unresolved;
        page
    }
}

/// The values of these attributes in a piece of HTML; a Markdown file has few, and they are quoted.
fn attributes<'a>(html: &'a str, names: &[&str]) -> impl Iterator<Item = &'a str> {
    html.split_once('<').into_iter().flat_map(|(_, html)| html.split_whitespace()).filter_map(|word| {
        let (name, value) = word.split_once("=\"")?;
        names.contains(&name).then(|| value.split('"').next())?
    })
}

/// The anchor of a heading: letters, digits, `_` and `-` in lower case, each space as a `-`, anything else dropped.
fn slug(heading: &str) -> String {
    let wanted = |char: &char| char.is_alphanumeric() || matches!(char, '-' | '_' | ' ');
    heading.trim().to_lowercase().chars().filter(wanted).map(|char| if char == ' ' { '-' } else { char }).collect()
}

/// The whole of the repository, as links may lead through it.
struct Site<'a> {
    files: &'a BTreeSet<PathBuf>,
    directories: BTreeSet<&'a Path>,
    pages: &'a BTreeMap<&'a Path, Page>,
}

impl Site<'_> {
    /// Where the link in this file leads; the reason if nowhere.
    fn follow(&self, from: &Path, link: &str) -> Result<(), String> {
        if let Some((scheme, rest)) = link.split_once(':')
            && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
        {
            return absolute(scheme, rest);
        }
        if link.starts_with('/') {
            return Err("starts with a slash, which means something else wherever it is shown".to_owned());
        }
        let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { from.to_path_buf() } else { resolve(from, &decoded(path)?)? };
        if !self.files.contains(&target) && !self.directories.contains(target.as_path()) {
            return Err("leads to nothing in the repository".to_owned());
        }
        let Some(anchor) = anchor else { return Ok(()) };
        let shown = if self.files.contains(&target) { target } else { target.join("README.md") };
        let page = self.pages.get(shown.as_path()).ok_or("has an anchor, and leads to no Markdown")?;
        let is_there = page.anchors.contains(&decoded(anchor)?);
        is_there.then_some(()).ok_or_else(|| "leads to no heading there".to_owned())
    }
}

/// Whether a URL has the form of one that is likely to be meant.
fn absolute(scheme: &str, rest: &str) -> Result<(), String> {
    let is_fine = match scheme {
        "http" | "https" => rest.strip_prefix("//").is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let is_host = |char: char| char.is_ascii_alphanumeric() || ".-:".contains(char);
            host.starts_with(|char: char| char.is_ascii_alphanumeric())
                && host.chars().all(is_host)
                && rest.chars().all(|char| !char.is_whitespace() && !char.is_control())
        }),
        "mailto" => rest.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
        _ => return Err(format!("is neither relative nor of a scheme that is used here: {scheme}")),
    };
    is_fine.then_some(()).ok_or_else(|| "does not have the form of a URL".to_owned())
}

/// The path that a relative link in `from` leads to, from the root of the repository.
fn resolve(from: &Path, link: &str) -> Result<PathBuf, String> {
    let mut path = from.parent().map(Path::to_path_buf).unwrap_or_default();
    for component in Path::new(link).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path.pop() => {}
            _ => return Err("leads out of the repository".to_owned()),
        }
    }
    Ok(path)
}

/// The text with its `%20` decoded.
fn decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.ok_or("has a % that is followed by no two hexadecimal digits")?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// Whether the text looks like a diagram. That it is one, only mermaid itself can tell.
fn draw(text: &str) -> Result<(), String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("%%"));
    let first = lines.next().ok_or("the diagram is empty")?;
    let kind = first.split_whitespace().next().unwrap_or_default();
    if !DIAGRAMS.contains(&kind) {
        return Err(format!("a diagram does not begin with {kind}"));
    }
    lines.next().map(|_| ()).ok_or_else(|| "there is nothing in the diagram".to_owned())
}
