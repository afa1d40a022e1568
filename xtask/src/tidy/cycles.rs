//! The circles among modules that need one another, and how they are told.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Tree;
use super::names::Need;

/// Each circle of the crate: which modules, and then, a line each, which of them needs which for what.
pub(super) fn complaints(tree: &Tree, needs: &[Need<'_>]) -> Vec<String> {
    let mut pairs = BTreeMap::<_, Vec<_>>::new();
    for need in needs {
        pairs.entry((need.from, need.to)).or_default().push(need);
    }
    let path = |module: &usize| tree.modules[*module].path.as_str();
    let mut lines = Vec::new();
    for circle in circles(tree.modules.len(), &pairs.keys().copied().collect()) {
        let names: Vec<_> = circle.iter().map(path).collect();
        let file = tree.file.display();
        lines.push(format!("{file}: {} modules need one another: {}", circle.len(), names.join(", ")));
        let within = pairs.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        lines.extend(within.map(|((from, to), needs)| {
            let place = format!("{}:{}", needs[0].file.display(), needs[0].line);
            format!("  {place}: {} needs {} for {}", path(from), path(to), names_of(needs))
        }));
    }
    lines
}

/// What is needed, each once, in the order of the text.
fn names_of(needs: &[&Need<'_>]) -> String {
    let mut seen = BTreeSet::new();
    let names = needs.iter().map(|need| need.name.as_str()).filter(|name| seen.insert(*name));
    names.collect::<Vec<_>>().join(", ")
}

/// The sets of nodes that each lead to all others of the set, but for those of one. A crate has some dozens of modules:
/// what can be reached from each may be found one by one.
fn circles(nodes: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<BTreeSet<usize>> {
    let reached: Vec<_> = (0..nodes).map(|node| reachable(node, edges)).collect();
    let circle_of = |node: usize| -> BTreeSet<_> {
        let there = reached[node].iter().copied();
        there.filter(|to| reached[*to].contains(&node)).collect()
    };
    let circles: BTreeSet<_> = (0..nodes).map(circle_of).collect();
    circles.into_iter().filter(|circle| circle.len() > 1).collect()
}

fn reachable(start: usize, edges: &BTreeSet<(usize, usize)>) -> BTreeSet<usize> {
    let (mut reached, mut to_do) = (BTreeSet::new(), vec![start]);
    while let Some(node) = to_do.pop() {
        let next = edges.range((node, 0)..(node + 1, 0)).map(|(_, to)| *to);
        to_do.extend(next.filter(|to| reached.insert(*to)));
    }
    reached
}
