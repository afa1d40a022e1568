//! What is to be said beside a ranking, in whole sentences: the same on a terminal and on a page.

use indicatif::DecimalBytes;

use super::document::Notice;
use super::figures;
use crate::bench::cold::Cache;
use crate::bench::contestant::Kind;
use crate::bench::noise::Noise;
use crate::bench::recommend::Recommendation;
use crate::bench::results::{Cell, CorpusResult, Results};
use crate::bench::sample::Totals;

pub(crate) const STOPPED: &str =
    "Stopped by a signal before its time: what is here is finished, what is missing was not measured.";

/// What the columns are, for people.
const COLUMNS: &str = "Speed-up is of strategies, against the slowest of them; vs twin is against the naive twin of the same \
    model. The floor lists, then opens, reads and closes on all cores and counts nothing; tuned, it is the fastest such loop that was \
    found. Intervals that overlap are a tie.";

/// For where there are peers.
const PEERS: &str = " Peers are programs of others, verified by what they count as polyread does: see docs/output.md.";

/// What the columns are, and who is in the rows.
pub(crate) fn columns(results: &Results) -> String {
    let has_peers = results.corpora.iter().flat_map(|corpus| &corpus.cells).any(|cell| cell.kind == Kind::Peer);
    COLUMNS.to_owned() + if has_peers { PEERS } else { "" }
}

/// What was measured and where.
pub(crate) fn tree(corpus: &CorpusResult, cache: Cache, results: &Results) -> String {
    let files = figures::many(corpus.files, "file");
    let dropped = if results.drop_caches && cache == Cache::Cold { " (directories and inodes too)" } else { "" };
    format!("{files}, {}, {} cache{dropped}, {}", DecimalBytes(corpus.bytes), cache.name(), results.analysis)
}

/// Who is fastest, and who cannot be told apart from it.
pub(crate) fn fastest(corpus: &CorpusResult, cache: Cache) -> Option<String> {
    let fastest = corpus.ranked(cache).next()?;
    Some(if fastest.has_interval() {
        format!("Fastest: {}{}", fastest.strategy, tied(&corpus.ties(cache, &fastest.strategy)))
    } else {
        format!("Fastest: {}, of too few samples to tell it from the others", fastest.strategy)
    })
}

pub(crate) fn tied(ties: &[&str]) -> String {
    if ties.is_empty() { String::new() } else { format!(" (a tie with {})", figures::listed(ties)) }
}

/// The strategy that is best over all rankings and who ties with it in each, where there are several and each can tell.
pub(crate) fn over_all(results: &Results) -> Option<(&str, Vec<&str>)> {
    let strategy = results.recommendation.as_deref()?;
    let cells = || results.corpora.iter().flat_map(|corpus| &corpus.cells);
    let all_tell = cells().filter(|cell| cell.kind == Kind::Strategy && cell.verified).all(Cell::has_interval);
    (results.rankings().count() > 1 && all_tell).then(|| (strategy, ties_everywhere(results, strategy)))
}

/// Those that cannot be told apart from it in any ranking.
fn ties_everywhere<'a>(results: &'a Results, strategy: &str) -> Vec<&'a str> {
    let mut everywhere = results.rankings().map(|(corpus, cache)| corpus.ties(cache, strategy));
    let mut left = everywhere.next().unwrap_or_default();
    everywhere.for_each(|ties| left.retain(|other| ties.contains(other)));
    left
}

/// What is wrong with a ranking, or to be taken with care.
pub(crate) fn notices(corpus: &CorpusResult, cache: Cache) -> Vec<Notice> {
    let mut notices = Vec::new();
    if corpus.changed {
        let text = "The tree changed while it was measured: nothing that follows is a model's fault.";
        notices.push(Notice::error(text.to_owned()));
    }
    let wrong = corpus.cells.iter().filter(|cell| !cell.verified && cell.cache == cache);
    notices.extend(wrong.map(|cell| Notice::error(wrong_totals(cell, corpus))));
    let failures = corpus.failures.iter().filter(|failure| failure.cache == cache);
    notices.extend(failures.map(|failure| {
        let (strategy, error) = (&failure.strategy, figures::printable(&failure.error));
        Notice::error(format!("FAILED, not ranked: {strategy}: {error}"))
    }));
    notices.extend(busy(corpus, cache).map(Notice::care));
    notices.extend(unverified(corpus, cache).map(Notice::care));
    notices.extend(not_evicted(corpus, cache).map(Notice::care));
    if let Some(failed) = corpus.ranked(cache).next().map(|cell| cell.failed).filter(|failed| *failed > 0) {
        notices.push(Notice::care(format!("{} could not be read, by any of them", figures::many(failed, "file"))));
    }
    notices
}

/// The processors' time that others may take before the ranking is to be taken with care.
const BUSY: f64 = 0.1;

/// Whether models that differ in how they use several cores had them to themselves.
fn busy(corpus: &CorpusResult, cache: Cache) -> Option<String> {
    let noise = corpus.noise.get(&cache)?;
    let taken = noise.taken();
    (taken > BUSY).then(|| {
        let taken = figures::percent(taken);
        format!("BUSY: others took {taken} of the processors' time; what uses several cores had fewer. Measure again when it is quiet")
    })
}

fn wrong_totals(cell: &Cell, corpus: &CorpusResult) -> String {
    let said = |it: Totals| {
        format!("{} files, {} words, {} chars, {} lines, {} bytes", it.files, it.words, it.chars, it.lines, it.bytes)
    };
    format!(
        "WRONG, not ranked: {} found {} and failed on {}; the sequential reader had found {}",
        cell.strategy,
        said(cell.totals),
        cell.failed,
        said(corpus.totals)
    )
}

/// Who was too slow for as many samples as the others have.
pub(crate) fn fewer_samples(corpus: &CorpusResult, cache: Cache, runs: usize) -> Option<String> {
    let fewer = corpus.cells.iter().filter(|cell| cell.cache == cache && cell.samples_s.len() < runs);
    let count = |cell: &Cell| {
        let trial = if cell.trial_only { " (the trial)" } else { "" };
        format!("{} {}{trial}", cell.strategy, cell.samples_s.len())
    };
    let fewer: Vec<_> = fewer.map(count).collect();
    (!fewer.is_empty()).then(|| {
        format!("Fewer than {runs} samples, because one takes so long or the time was over: {}", fewer.join(", "))
    })
}

/// Whose samples found the cache in another state than it should have been in.
fn unverified(corpus: &CorpusResult, cache: Cache) -> Option<String> {
    let cells = corpus.cells.iter().filter(|cell| cell.cache == cache && !cell.cache_verified);
    let said: Vec<_> = cells.map(|cell| format!("{} {}", cell.strategy, DecimalBytes(cell.fetched_bytes))).collect();
    let stored = corpus.cells.iter().find(|cell| cell.cache == cache).map_or(0, |cell| cell.stored_bytes);
    (!said.is_empty()).then(|| {
        let (name, stored) = (cache.name(), DecimalBytes(stored));
        format!(
            "UNVERIFIED, not known to be {name}: of {stored}, in their worst sample, fetched from storage: {}",
            said.join(", ")
        )
    })
}

/// What the kernel did not let go of before the sample that had most of it.
fn not_evicted(corpus: &CorpusResult, cache: Cache) -> Option<String> {
    let resident = corpus.cells.iter().filter(|cell| cell.cache == cache).filter_map(|cell| cell.resident.as_ref());
    let worst = resident.max_by_key(|resident| resident.bytes).filter(|resident| resident.files > 0)?;
    let more = if worst.files > worst.first.len() as u64 { ", ..." } else { "" };
    let (bytes, files) = (DecimalBytes(worst.bytes), figures::many(worst.files, "file"));
    let names: Vec<_> = worst.first.iter().map(|name| figures::printable(name)).collect();
    Some(format!("NOT EVICTED, still in the cache: {bytes} of {files}: {}{more}", names.join(", ")))
}

/// How quiet the machine was, as far as it could be told.
pub(crate) fn noise(noise: &Noise) -> Option<String> {
    let mut said = Vec::new();
    said.extend(noise.spread.map(|it| format!("samples usually lie {} from their median", figures::percent(it))));
    said.extend(noise.drift.map(|it| {
        let way = if it < 0.0 { "faster" } else { "slower" };
        format!("the second half was {} {way} than the first", figures::percent(it.abs()))
    }));
    said.extend((noise.spread.is_some()).then(|| format!("{} are outliers", figures::percent(noise.outliers))));
    said.extend(noise.steal.map(|it| format!("the host took {} of the processors", figures::percent(it))));
    said.extend(noise.others.map(|it| format!("other processes took {}", figures::percent(it))));
    (!said.is_empty()).then(|| format!("Noise: {}", said.join("; ")))
}

/// The advice for a ranking, if there is any.
pub(crate) fn advice<'a>(results: &'a Results, corpus: &CorpusResult, cache: Cache) -> Option<&'a Recommendation> {
    results.recommendations.iter().find(|it| it.corpus == corpus.name && it.cache == cache)
}

/// The next that can be told from the advised one.
pub(crate) fn next(advice: &Recommendation) -> Option<String> {
    let next = advice.next.as_ref()?;
    Some(format!("{} takes {} as long", next.strategy, figures::times_within(&next.ratio)))
}

/// What the rule of the project's seed would have cost.
pub(crate) fn seed(advice: &Recommendation) -> Option<String> {
    let seed = advice.seed.as_ref()?;
    let cost = match &seed.ratio {
        _ if seed.strategy == advice.strategy => ", the same".to_owned(),
        Some(ratio) if ratio.low <= 1.0 => ", which cannot be told from it".to_owned(),
        Some(ratio) => format!(", which takes {} as long", figures::times_within(ratio)),
        None => String::new(),
    };
    Some(format!("{}{cost}", seed.strategy))
}
