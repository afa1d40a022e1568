//! The project's goals as tables: a line for each strategy, a column for each tree.

use super::document::Table;
use super::figures;
use crate::bench::goals::{Goal, Verdict, What};

pub(crate) fn tables(goals: &[Goal]) -> Vec<Table> {
    let kinds = [
        ("Goals, warm: time / floor", What::BestToFloor, What::EveryToFloor),
        ("Goals, warm: best / find-xargs-wc", What::BestToWc, What::BestToWc),
        ("Goals, warm: best / best reader in Python", What::BestToPython, What::BestToPython),
        ("Goals, warm: peak memory", What::Memory, What::Memory),
        ("Goals, cold: time / naive twin; best / best of anything", What::BestToAny, What::ToTwin),
    ];
    kinds.into_iter().filter_map(|(head, best, every)| table(goals, head, best, every)).collect()
}

/// What the verdicts do not say by themselves.
pub(crate) fn remarks(goals: &[Goal]) -> Vec<&'static str> {
    let mut remarks = Vec::new();
    if goals.iter().any(|goal| goal.limit.is_some() && goal.verdict.is_none()) {
        remarks.push("For orientation only: the goals are set for trees of full size.");
    }
    if goals.iter().any(|goal| goal.verdict == Some(Verdict::Open)) {
        remarks.push(
            "open: the noise hides whether it is met, there are fewer than six samples, or the cache was not known to be cold.",
        );
    }
    remarks
}

fn table(goals: &[Goal], head: &str, best: What, every: What) -> Option<Table> {
    let of = |what: What| goals.iter().filter(move |goal| goal.what == what);
    let mut corpora: Vec<&str> = of(every).map(|goal| goal.corpus.as_str()).collect();
    corpora.dedup();
    let mut strategies: Vec<&str> = of(every).map(|goal| goal.strategy.as_str()).collect();
    strategies.sort_unstable();
    strategies.dedup();
    if corpora.is_empty() {
        return None;
    }
    let row = |name: &str, what: What, strategy: Option<&str>| {
        let cells = corpora.iter().map(|corpus| {
            let mut its = of(what).filter(|goal| goal.corpus == **corpus);
            let it = its.find(|goal| strategy.is_none_or(|strategy| strategy == goal.strategy));
            it.map_or_else(|| "-".to_owned(), |goal| held_against(goal, strategy.is_none()))
        });
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let heads: Vec<_> = ["strategy"].into_iter().chain(corpora.iter().copied()).collect();
    let mut table = Table::new(head, &heads, 1);
    if best != every {
        table.row(row("the best", best, None));
    }
    strategies.iter().for_each(|strategy| table.row(row(strategy, every, Some(strategy))));
    Some(table)
}

/// `1.43 of 1.5 met`, with the name of who it is if that is not told elsewhere.
fn held_against(goal: &Goal, is_named: bool) -> String {
    let figure = |figure: f64| match goal.what {
        What::Memory => figures::memory(figure),
        What::BestToWc | What::BestToPython => format!("{figure:.4}"),
        _ => format!("{figure:.2}"),
    };
    let mut text = if is_named { format!("{} {}", goal.strategy, figure(goal.figure)) } else { figure(goal.figure) };
    if let (Some(limit), Some(verdict)) = (goal.limit, goal.verdict) {
        let limit = figure(limit);
        text += &match verdict {
            Verdict::Met => format!(" of {limit} met"),
            Verdict::Missed => format!(" of {limit} MISSED"),
            Verdict::Open => format!(" of {limit} open"),
        };
    }
    text
}
