//! From results to what is said about them.

mod ranking;
mod runs;
mod sweeps;

use super::document::{Answer, Block, Document, Notice};
use super::{figures, remarks};
use crate::bench::results::Results;

impl Document {
    /// Says all that there is in the results, and nothing of what is not.
    pub(crate) fn of(results: &Results) -> Self {
        let host = &results.host;
        let mut sections = Vec::new();
        let mut answers = Vec::new();
        let timelines = results.corpora.iter().map(|corpus| corpus.timelines.len()).sum();
        for (number, (corpus, cache)) in results.rankings().enumerate() {
            let place = ranking::Place { results, corpus, cache, id: format!("ranking-{}", number + 1), timelines };
            answers.extend(place.answer());
            sections.push(place.section());
        }
        sections.extend(sweeps::sweeps(&results.sweeps));
        sections.extend(sweeps::units(&results.units));
        sections.extend(results.baseline.as_ref().map(runs::baseline));
        sections.extend(runs::goals(&results.goals));
        sections.push(runs::method(results));
        let day = results.begun.split('T').next().unwrap_or_default();
        let cores = figures::many(host.cores as u64, "core");
        Self {
            title: "Which model reads these files fastest?".to_owned(),
            about: figures::printable(&format!("{day}, {}, {cores}, Linux {}", host.cpu, host.kernel)),
            lead: lead(results, &answers),
            notices: notices(results),
            answers,
            sections,
        }
    }
}

/// The answer to the title's question.
fn lead(results: &Results, answers: &[Answer]) -> String {
    match answers {
        [] if results.corpora.is_empty() && !results.sweeps.is_empty() => {
            "How each model's cost grows as its work grows.".to_owned()
        }
        [] => "Nothing could be ranked.".to_owned(),
        [only] => {
            let ties = if only.ties.is_empty() { "." } else { "; " };
            let next = if only.next.is_empty() { "" } else { " The next that can be told from it: " };
            let ends = if only.next.is_empty() { "" } else { "." };
            let tied = if only.ties.is_empty() { String::new() } else { format!("{}.", only.ties) };
            format!("{}: {} for {}{ties}{tied}{next}{}{ends}", only.strategy, only.time, only.about, only.next)
        }
        all => match remarks::over_all(results) {
            Some(best) => format!(
                "{best}. Ranked on {}.",
                figures::many(all.len() as u64, "tree and state of the cache")
                    .replace("tree and state of the caches", "trees and states of the cache")
            ),
            None => format!("{} answers: the fastest differs, or there are too few samples for one.", all.len()),
        },
    }
}

fn notices(results: &Results) -> Vec<Notice> {
    let mut notices = Vec::new();
    if results.stopped.is_some() {
        let text = "Stopped by a signal before its time: what is here is finished, what is missing was not measured.";
        notices.push(Notice::care(text.to_owned()));
    }
    if !results.all_verified() {
        let text = "Somebody failed, or found other totals than the sequential reader: see the rankings.";
        notices.push(Notice::error(text.to_owned()));
    }
    notices
}

fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}
