//! The document as a Markdown page: tables where the page has charts.

use std::fmt::Write;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement};

use super::document::{Block, Code, Document, Lead, Notice, Table};

pub(crate) fn render(document: &Document) -> String {
    let mut text = format!("# {}\n\n{}\n\n{}\n", plain(&document.title), plain(&document.about), lead(&document.lead));
    document.notices.iter().for_each(|it| text += &notice(it));
    if document.answers.len() > 1 {
        text.push('\n');
        for answer in &document.answers {
            let rest: Vec<_> =
                [&answer.ties, &answer.next].into_iter().filter(|it| !it.is_empty()).map(|it| plain(it)).collect();
            let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join("; ")) };
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(
                text,
                "- {}: **{}**, {}{rest}",
                plain(&answer.about),
                plain(&answer.strategy),
                plain(&answer.time)
            );
        }
    }
    for section in &document.sections {
        let _ = write!(text, "\n## {}\n", plain(&section.title));
        if !section.about.is_empty() {
            let _ = write!(text, "\n{}\n", plain(&section.about));
        }
        section.blocks.iter().for_each(|it| text += &block(it));
        for part in &section.parts {
            let _ = write!(text, "\n### {}\n", plain(&part.title));
            part.blocks.iter().for_each(|it| text += &block(it));
        }
    }
    text
}

fn block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("\n{}\n", plain(text)),
        Block::Notice(it) => notice(it),
        Block::Pairs { pairs, .. } => pairs.iter().fold("\n".to_owned(), |text, pair| {
            let why = if pair.why.is_empty() { String::new() } else { format!(" ({})", plain(&pair.why)) };
            text + &format!("- {}: {}{why}\n", plain(&pair.name), plain(&pair.value))
        }),
        Block::Code(it) => format!("\n{}:\n\n{}", plain(&it.label), code(it)),
        Block::Table(it) => format!("\n{}:\n\n{}", plain(&it.caption), table(it)),
        Block::Figure(figure) => {
            let title = if figure.title.is_empty() { String::new() } else { format!("**{}** ", plain(&figure.title)) };
            format!("\n{title}{}\n\n{}", plain(&figure.caption), table(&figure.table))
        }
    }
}

fn lead(lead: &Lead) -> String {
    let strategy = if lead.strategy.is_empty() { String::new() } else { format!("**{}**", plain(&lead.strategy)) };
    format!("{}{strategy}{}", plain(&lead.before), plain(&lead.after))
}

fn notice(notice: &Notice) -> String {
    format!("\n> **{}** {}\n", notice.head, plain(&notice.text))
}

/// Between fences that are longer than any in it.
fn code(code: &Code) -> String {
    let mut fence = "```".to_owned();
    while code.text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}{}\n{}\n{fence}\n", code.language, code.text.trim_end())
}

fn table(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(ASCII_MARKDOWN);
    drawn.set_content_arrangement(ContentArrangement::Disabled).set_header(table.heads.iter().map(|head| plain(head)));
    drawn.add_rows(table.rows.iter().map(|row| row.cells.iter().map(|cell| plain(cell))));
    for column in drawn.column_iter_mut().skip(table.figures_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    drawn.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// Text in which nothing is markup, whoever named the files.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>&|~#!".contains(c) {
            escaped.push('\\');
        }
        escaped.push(if c == '\n' { ' ' } else { c });
    }
    escaped
}
