//! Advice for people.

use std::fmt::{self, Formatter};

use indicatif::HumanCount;
use polyread_advise::{Advice, Characteristics, Settings};

use super::commands::{command_line, dependency};
use crate::args::AdviseArgs;
use crate::output::kinds;

/// What was seen, and what is advised.
pub(super) struct Report<'a> {
    pub(super) args: &'a AdviseArgs,
    pub(super) seen: &'a Characteristics,
    pub(super) advice: Option<&'a Advice>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.characteristics(f)?;
        writeln!(f)?;
        match self.advice {
            Some(advice) => self.advice(f, advice),
            None => writeln!(f, "There is no file to advise on."),
        }
    }
}

impl Report<'_> {
    fn characteristics(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seen = self.seen;
        let noun = if seen.files() == 1 { "file" } else { "files" };
        write!(f, "{} {noun}", HumanCount(seen.files()))?;
        if seen.empty_files() > 0 {
            write!(f, " ({} empty)", HumanCount(seen.empty_files()))?;
        }
        write!(f, ", {} bytes", HumanCount(seen.bytes()))?;
        if let Some(mean) = seen.mean_size() {
            write!(f, ", {} on average", HumanCount(mean))?;
        }
        writeln!(f)?;
        if let Some(sizes) = seen.sizes() {
            let (mut names, mut figures) = ("bytes of a file".to_owned(), " ".repeat(15));
            for (name, size) in [
                ("smallest", sizes.min),
                ("10%", sizes.p10),
                ("median", sizes.p50),
                ("90%", sizes.p90),
                ("99%", sizes.p99),
                ("largest", sizes.max),
            ] {
                let size = HumanCount(size).to_string();
                let width = name.len().max(size.len());
                names += &format!("  {name:>width$}");
                figures += &format!("  {size:>width$}");
            }
            writeln!(f, "{names}\n{figures}")?;
            writeln!(
                f,
                "below {} bytes: {:.1}% of the files, {:.1}% of the bytes",
                HumanCount(Characteristics::SMALL),
                percent(seen.small_files(), seen.files()),
                percent(seen.small_bytes(), seen.bytes())
            )?;
        }
        for (number, what, is_skip) in
            [(seen.failed(), "could not be looked at", false), (seen.skipped(), "skipped", true)]
        {
            if number > 0 {
                writeln!(f, "{} {what}: {}", HumanCount(number), kinds(seen.errors(), is_skip))?;
            }
        }
        if seen.is_partial() {
            writeln!(f, "stopped before the end (signal): these are not all files")?;
        }
        Ok(())
    }

    fn advice(&self, f: &mut Formatter<'_>, advice: &Advice) -> fmt::Result {
        let setup = &advice.setup;
        paragraph(f, "strategy", setup.approach.as_str())?;
        paragraph(f, "because", &advice.why)?;
        paragraph(f, "settings", &settings(setup.settings))?;
        paragraph(f, "", &setup.why)?;
        for (at, other) in advice.alternatives.iter().enumerate() {
            let label = if at == 0 { "or" } else { "" };
            paragraph(f, label, &format!("{}: {}", other.strategy, other.why))?;
        }
        paragraph(f, "but", &advice.caveat)?;
        // Each in one line, to be copied.
        writeln!(f, "{:LABEL$}{}", "run", command_line(self.args, advice))?;
        writeln!(f, "{:LABEL$}{}", "Cargo.toml", dependency(advice))
    }
}

fn settings(settings: Settings) -> String {
    let possible = settings.limits().open_files();
    let open = settings.max_open_files.map(|files| match files <= possible {
        true => files.to_string(),
        false => format!("{files} (here {possible}: a quarter of `ulimit -n`)"),
    });
    let number = |value: Option<usize>| value.map(|value| value.to_string());
    let named = [
        ("workers", number(settings.workers)),
        ("open files", open),
        ("hops in flight", number(settings.hops_in_flight)),
    ];
    let set = named.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name} {value}")));
    set.collect::<Vec<_>>().join(", ")
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Columns of the labels on the left, and of a whole line.
const LABEL: usize = 12;
const LINE: usize = 100;

/// A label and a text beside it, in as many lines as it takes.
fn paragraph(f: &mut Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    let mut line = format!("{label:LABEL$}");
    let mut is_first = true;
    for word in text.split(' ') {
        if !is_first && line.chars().count() + 1 + word.chars().count() > LINE {
            writeln!(f, "{line}")?;
            line = " ".repeat(LABEL);
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    writeln!(f, "{line}")
}
