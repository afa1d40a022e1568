//! From results to what is said about them.

mod cells;
mod ranking;
mod runs;
mod sweeps;
mod timelines;

use super::document::{Answer, Block, Document, Lead, Notice};
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
            title: if answers.is_empty() && !results.sweeps.is_empty() {
                "How does each model's cost grow?".to_owned()
            } else {
                "Which model reads these files fastest?".to_owned()
            },
            about: figures::printable(&format!("{day}, {}, {cores}, Linux {}", host.cpu, host.kernel)),
            lead: lead(results, &answers),
            notices: notices(results),
            answers,
            sections,
        }
    }
}

/// The answer to the title's question.
fn lead(results: &Results, answers: &[Answer]) -> Lead {
    let said = |text: &str| Lead { before: text.to_owned(), ..Lead::default() };
    match answers {
        [] if !results.sweeps.is_empty() => said("One thing is varied, the rest stays."),
        [] => said("Nothing could be ranked."),
        [only] => {
            let ties = if only.ties.is_empty() { String::new() } else { format!(", {}", only.ties) };
            let next = if only.next.is_empty() { String::new() } else { format!(" The next, {}.", only.next) };
            Lead {
                before: format!("For {}: ", only.about),
                strategy: only.strategy.clone(),
                after: format!(", {}{ties}.{next}", only.time),
            }
        }
        all => {
            let best = remarks::over_all(results);
            let Some(strategy) = best.as_ref().map(|best| best.0).or(results.recommendation.as_deref()) else {
                return said("No strategy was right everywhere; each tree and state of the cache has its own answer.");
            };
            let ties = match best.as_ref().map(|best| best.1.as_slice()) {
                None => ", as far as so few samples tell".to_owned(),
                Some([]) => String::new(),
                Some(ties) => format!(
                    "; {} {} with it in each",
                    figures::listed(ties),
                    if ties.len() == 1 { "ties" } else { "tie" }
                ),
            };
            let after = format!(" loses least{ties}. What is best for each is below.");
            Lead {
                before: format!(
                    "Over {} rankings ",
                    if all.len() == 2 { "both".to_owned() } else { format!("all {}", all.len()) }
                ),
                strategy: strategy.to_owned(),
                after,
            }
        }
    }
}

fn notices(results: &Results) -> Vec<Notice> {
    let mut notices = Vec::new();
    if results.stopped.is_some() {
        notices.push(Notice::care(remarks::STOPPED.to_owned()));
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
