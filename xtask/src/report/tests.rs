//! One comparison that has every part, with names that try to be markup, in every form that it can take.

use std::collections::HashSet;
use std::fs;

use pulldown_cmark::{Event, Options, Parser, Tag};
use tempfile::TempDir;

use super::document::{Block, Document, Figure};
use super::terminal::Screen;
use super::{csv, markdown, page, save, terminal};
use crate::bench::results::Results;

const HOSTILE: &str = "<script>alert(1)</script>&\"'.d";

fn every_part() -> Results {
    serde_json::from_str(include_str!("tests/every-part.json")).unwrap()
}

/// The least that a comparison can come to.
fn bare() -> Results {
    let mut results = every_part();
    results.corpora[0].timelines.clear();
    results.corpora[0].noise.clear();
    results.corpora[0].file_system = None;
    results.corpora[0].failures.clear();
    results.corpora[0].cells.retain(|cell| cell.cache.name() == "warm");
    results.corpora[0].cells.iter_mut().for_each(|cell| cell.observed = None);
    results.recommendations.clear();
    results.goals.clear();
    results.sweeps.clear();
    results.units.clear();
    results.notes.clear();
    (results.baseline, results.stopped, results.budget_s) = (None, None, None);
    results
}

fn figures(document: &Document) -> Vec<&Figure> {
    let parts = document.sections.iter().flat_map(|section| &section.parts).flat_map(|part| &part.blocks);
    let blocks = document.sections.iter().flat_map(|section| &section.blocks).chain(parts);
    blocks.filter_map(|block| if let Block::Figure(figure) = block { Some(figure) } else { None }).collect()
}

/// The values of an attribute, wherever it stands.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_chart_is_sound_and_has_its_words_and_its_table() {
    let document = Document::of(&every_part());
    let page = page::render(&document).unwrap();
    let figures = figures(&document);
    // Of two rankings: times, samples, memory, processor; timelines; two for each sweep; units; baseline.
    assert_eq!(figures.len(), 2 * 4 + 2 + 2 * 2 + 1 + 1);
    assert!(figures.iter().all(|figure| !figure.table.rows.is_empty() && !figure.drawings.is_empty()));
    assert_eq!(page.matches("<figure ").count(), figures.len());
    assert_eq!(page.matches("<details class=\"table\">").count(), figures.len());
    let drawings: Vec<_> = page.split("<svg ").skip(1).map(|rest| rest.split("</svg>").next().unwrap()).collect();
    assert_eq!(drawings.len(), figures.iter().map(|figure| figure.drawings.len()).sum::<usize>());
    for drawing in drawings {
        let xml = format!("<svg {drawing}</svg>");
        let tree = roxmltree::Document::parse(&xml).unwrap_or_else(|error| panic!("{error} in {xml}"));
        let svg = tree.root_element();
        assert_eq!(svg.attribute("role"), Some("img"));
        for id in svg.attribute("aria-labelledby").unwrap().split(' ') {
            let text = svg.children().find(|child| child.attribute("id") == Some(id)).and_then(|it| it.text());
            assert!(text.is_some_and(|text| !text.is_empty()), "{id} in {xml}");
        }
        assert!(!xml.contains("NaN") && !xml.contains("inf"), "{xml}");
    }
    let ids = attributes(&page, "id");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an id is there twice");
}

#[test]
fn names_are_text_whatever_they_try_to_be() {
    let page = page::render(&Document::of(&every_part())).unwrap();
    for forbidden in ["<script", "<img", "<b>", "alert(3)</script>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#38;&#34;&#39;.d"));
    // From a name in a timeline and a word of the command.
    assert!(page.contains(r"\u{1b}[31m") && page.contains(r"\u{202e}.txt") && page.contains("$&#39;a\\x1bb&#39;"));
    assert!(!page.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'));
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = page::render(&Document::of(&every_part())).unwrap();
    let without_names = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in ["http:", "https:", "url(", "@import", " src=\"", " onload=\"", "javascript:"] {
        assert!(!without_names.contains(forbidden), "{forbidden}");
    }
    for link in attributes(&page, "href") {
        assert!(link == "data:," || attributes(&page, "id").contains(&link.trim_start_matches('#')), "{link}");
    }
    assert!(page.len() < 2_000_000, "{}", page.len());
}

#[test]
fn what_was_not_measured_is_not_there() {
    let full = page::render(&Document::of(&every_part())).unwrap();
    let bare = page::render(&Document::of(&bare())).unwrap();
    for id in ["sweeps", "units", "baseline", "goals", "ranking-1-timelines", "ranking-1-advice"] {
        let id = format!("id=\"{id}\"");
        assert!(full.contains(&id), "{id}");
        assert!(!bare.contains(&id), "{id}");
    }
    assert!(bare.contains("id=\"ranking-1-times\"") && bare.contains("Fastest: io-uring"));
    assert!(!bare.contains("PSS") && !bare.contains("descriptors"));
    let empty = Results { corpora: Vec::new(), recommendation: None, ..self::bare() };
    assert!(page::render(&Document::of(&empty)).unwrap().contains("Nothing could be ranked"));
}

#[test]
fn who_is_wrong_or_failed_is_said_and_has_no_place() {
    let results = every_part();
    let page = page::render(&Document::of(&results)).unwrap();
    let text = terminal::render(&results, &Screen { width: 100, has_colours: false, is_unicode: true });
    for said in ["WRONG, not ranked: io-uring found", "FAILED, not ranked: hybrid", "UNVERIFIED, not known to be cold"]
    {
        assert!(page.contains(said) && text.contains(said), "{said}");
    }
    assert!(
        text.contains("Stopped by a signal") && text.lines().any(|line| line.trim().starts_with("SLOWER")),
        "{text}"
    );
    let cold = text.split("\n\n").find(|paragraph| paragraph.contains("cold cache")).unwrap();
    assert!(!cold.lines().any(|line| line.contains(". ") && line.contains(" io-uring  ")), "{cold}");
}

#[test]
fn markdown_has_every_table_and_no_markup_of_others() {
    let document = Document::of(&every_part());
    let text = markdown::render(&document);
    let events: Vec<_> = Parser::new_ext(&text, Options::ENABLE_TABLES).collect();
    assert!(!events.iter().any(|event| matches!(event, Event::Html(_) | Event::InlineHtml(_))), "{text}");
    let links = |event: &&Event<'_>| matches!(event, Event::Start(Tag::Link { .. } | Tag::Image { .. }));
    assert_eq!(events.iter().find(links), None);
    let tables = events.iter().filter(|event| matches!(event, Event::Start(Tag::Table(_)))).count();
    let page = page::render(&document).unwrap();
    assert_eq!(tables, page.matches("<table>").count());
    let plain: String =
        events.iter().filter_map(|event| if let Event::Text(text) = event { Some(&**text) } else { None }).collect();
    assert!(plain.contains(HOSTILE), "{plain}");
}

#[test]
fn csv_has_a_line_for_each_cell() {
    let results = every_part();
    let text = csv::render(&results).unwrap();
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cells = &results.corpora[0].cells;
    assert_eq!(rows.len(), cells.len());
    let field = |row: usize, name: &str| rows[row][heads.iter().position(|head| head == name).unwrap()].to_owned();
    for (row, cell) in cells.iter().enumerate() {
        assert_eq!((field(row, "corpus"), field(row, "strategy")), (HOSTILE.to_owned(), cell.strategy.clone()));
        assert_eq!(field(row, "median_s").parse(), Ok(cell.median_s));
        let samples: Vec<f64> = field(row, "samples_s").split(' ').map(|sample| sample.parse().unwrap()).collect();
        assert_eq!(samples, cell.samples_s);
    }
}

#[test]
fn the_summary_keeps_to_the_width_and_to_what_the_screen_can() {
    let results = every_part();
    for (width, has_more) in [(60, false), (80, false), (120, true)] {
        let text = terminal::render(&results, &Screen { width, has_colours: false, is_unicode: false });
        let rankings = text.split("Speed-up is of").next().unwrap();
        let ranking = rankings.lines().filter(|line| line.contains(" strategy ") || line.contains(" floor "));
        for line in ranking {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(text.is_ascii() && !text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        assert_eq!(text.contains("cpu time  "), has_more, "{text}");
        assert!(text.contains("Left out at this width: "), "{text}");
    }
    let coloured = terminal::render(&results, &Screen { width: 80, has_colours: true, is_unicode: true });
    let plain = terminal::render(&results, &Screen { width: 80, has_colours: false, is_unicode: true });
    assert!(coloured.contains("\u{1b}[") && plain.contains('█'));
    assert_eq!(console::strip_ansi_codes(&coloured), plain);
}

#[test]
fn a_report_is_four_files_and_an_error_names_the_path() {
    let (results, directory) = (every_part(), TempDir::new().unwrap());
    let out = directory.path().join("a/b");
    for _ in 0..2 {
        save(&results, &out).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["report.csv", "report.html", "report.md", "results.json"]);
    let again: Results = serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(out.join("report.html")).unwrap(), page::render(&Document::of(&again)).unwrap());
    fs::create_dir(out.join("x")).unwrap();
    fs::create_dir(out.join("x/report.html")).unwrap();
    let error = format!("{:#}", save(&results, &out.join("x")).unwrap_err());
    assert!(error.contains("x/report.html"), "{error}");
    let error = format!("{:#}", save(&results, &out.join("report.md")).unwrap_err());
    assert!(error.contains("cannot make") && error.contains("report.md"), "{error}");
}
