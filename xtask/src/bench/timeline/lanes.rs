//! What each thread did, from the records of a run: bounded, however many files there were.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use polyread_core::{FileResult, WorkerId};

use super::clock::{Stretch, Thread};
use super::{Lane, Span};

/// Spans of a lane, at most. On a screen a shorter one could not be seen; so in a lane those that are shorter than this part
/// of the run become one with their neighbours.
const MOST_SPANS: usize = 200;

/// Spans of all lanes together, at most.
const MOST_SPANS_IN_ALL: usize = 1_000;

/// Lanes, at most: those that were busy for longest.
const MOST_LANES: usize = 32;

/// A lane is made shorter when it has come to have so many spans.
const SPANS_AT_HAND: usize = 8 * MOST_SPANS;

/// Collects the records of a run.
pub(super) struct Lanes {
    root: PathBuf,
    side_of: fn(WorkerId) -> Option<&'static str>,
    begun_ns: u64,
    /// The last end so far.
    end_ns: u64,
    threads: BTreeMap<Thread, Work>,
    not_shown: u64,
}

/// What a thread did.
#[derive(Default)]
struct Work {
    stays: Vec<Stay>,
    /// Whose records the files were that it read alone.
    worker: Vote<WorkerId>,
    /// The kind of worker that its files' records name, for one that only ever helped.
    kind: Option<&'static str>,
    side: Vote<&'static str>,
}

/// A [`Span`] in the making; times are in nanoseconds since the run began.
#[derive(Clone, Debug)]
struct Stay {
    start_ns: u64,
    end_ns: u64,
    files: u64,
    bytes: u64,
    path: PathBuf,
    /// How long the file took that gives the path.
    longest_ns: u64,
}

/// What all say, if they agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Vote<T> {
    #[default]
    Nobody,
    All(T),
    Disagree,
}

impl<T: PartialEq + Copy> Vote<T> {
    fn cast(&mut self, vote: T) {
        *self = match *self {
            Self::Nobody => Self::All(vote),
            Self::All(before) if before == vote => return,
            _ => Self::Disagree,
        };
    }

    fn agreed(self) -> Option<T> {
        if let Self::All(vote) = self { Some(vote) } else { None }
    }
}

impl Lanes {
    /// Of a run over the files below `root` that began at this time. `side_of` tells which side of a run with two a worker is on.
    pub(super) fn new(root: &Path, begun_ns: u64, side_of: fn(WorkerId) -> Option<&'static str>) -> Self {
        Self { root: root.to_path_buf(), side_of, begun_ns, end_ns: begun_ns, threads: BTreeMap::new(), not_shown: 0 }
    }

    pub(super) fn add<T>(&mut self, record: FileResult<(T, Vec<Stretch>)>) {
        let Ok((_, mut stretches)) = record.outcome else {
            self.not_shown += 1;
            return;
        };
        let path = record.path.strip_prefix(&self.root).unwrap_or(&record.path);
        let path =
            if path.as_os_str().is_empty() { record.path.file_name().map(Path::new).unwrap_or(path) } else { path };
        let is_alone = stretches.iter().all(|stretch| stretch.thread == stretches[0].thread);
        // It was taken up before its first bytes came, to be opened; a ring meanwhile did something for others.
        if let [only] = &mut stretches[..] {
            let elapsed = u64::try_from(record.elapsed.as_nanos()).unwrap_or(u64::MAX);
            only.begin_ns = only.begin_ns.min(only.end_ns.saturating_sub(elapsed).max(only.free_ns));
        }
        let Some(last) = stretches.iter_mut().max_by_key(|stretch| stretch.end_ns) else {
            self.not_shown += 1;
            return;
        };
        let last_end = last.end_ns;
        // The file is where it ended; and so is what was read of it without having been looked at.
        let seen: u64 = stretches.iter().map(|stretch| stretch.bytes).sum();
        let mut whole = Some(record.bytes.saturating_sub(seen));
        for stretch in stretches {
            let (start_ns, end_ns) =
                (stretch.begin_ns.saturating_sub(self.begun_ns), stretch.end_ns.saturating_sub(self.begun_ns));
            let rest = whole.take_if(|_| stretch.end_ns == last_end);
            self.end_ns = self.end_ns.max(stretch.end_ns);
            let work = self.threads.entry(stretch.thread).or_default();
            work.stays.push(Stay {
                start_ns,
                end_ns,
                files: u64::from(rest.is_some()),
                bytes: stretch.bytes + rest.unwrap_or(0),
                path: path.to_path_buf(),
                longest_ns: end_ns.saturating_sub(start_ns),
            });
            work.kind = Some(record.worker.kind());
            if let Some(side) = (self.side_of)(record.worker) {
                work.side.cast(side);
            }
            if is_alone {
                work.worker.cast(record.worker);
            }
            if work.stays.len() >= SPANS_AT_HAND {
                // The run will be longer than it is now.
                join(&mut work.stays, (self.end_ns - self.begun_ns) / MOST_SPANS as u64);
            }
        }
    }

    /// The lanes, and how many records have no place in them. Threads of other processes than `own` are called by those;
    /// `name_of` tells the name that a thread of its own has.
    pub(super) fn finish(
        self,
        elapsed_ns: u64,
        own: u32,
        name_of: &dyn Fn(Thread) -> Option<String>,
    ) -> (Vec<Lane>, u64) {
        let mut not_shown = self.not_shown;
        let mut threads: Vec<_> = self.threads.into_iter().collect();
        for (_, work) in &mut threads {
            for stay in &mut work.stays {
                stay.end_ns = stay.end_ns.min(elapsed_ns);
                stay.start_ns = stay.start_ns.min(stay.end_ns);
            }
            let mut short = elapsed_ns / MOST_SPANS as u64;
            join(&mut work.stays, short);
            while work.stays.len() > MOST_SPANS {
                short = short.max(1) * 2;
                join(&mut work.stays, short);
            }
        }
        threads.sort_by_key(|(_, work)| Reverse(work.stays.iter().map(Stay::length).sum::<u64>()));
        for (_, work) in threads.drain(threads.len().min(MOST_LANES)..) {
            not_shown += work.stays.iter().map(|stay| stay.files).sum::<u64>();
        }
        // Many lanes are drawn thin, and are to be recorded: each has its part of the room.
        let most = (MOST_SPANS_IN_ALL / threads.len().max(1)).min(MOST_SPANS);
        for (_, work) in &mut threads {
            let mut short = elapsed_ns / MOST_SPANS as u64;
            while work.stays.len() > most {
                short = short.max(1) * 2;
                join(&mut work.stays, short);
            }
        }
        // Threads that no worker's name fits are numbered in the order in which they began.
        threads.sort_by_key(|(_, work)| work.stays.first().map(|stay| stay.start_ns));
        let names = names(&threads, own, name_of);
        let lanes = threads.into_iter().zip(names).map(|((_, work), name)| {
            let spans = work.stays.into_iter().map(Span::from).collect();
            (name, spans)
        });
        let mut lanes: Vec<_> = lanes.map(|(worker, spans)| Lane { worker, spans }).collect();
        lanes.sort_by_cached_key(|lane| natural(&lane.worker));
        (lanes, not_shown)
    }
}

/// What the lanes of these threads are called; no two the same.
fn names(threads: &[(Thread, Work)], own: u32, name_of: &dyn Fn(Thread) -> Option<String>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut others = 0;
    let mut name = |(thread, work): &(Thread, Work)| {
        let side = work.side.agreed().map(|side| format!("{side}: ")).unwrap_or_default();
        let named = if thread.process == own {
            of_worker(work).or_else(|| of_helper(work, &name_of(*thread)?))
        } else {
            Some(WorkerId::new("process", thread.process.into()).to_string())
        };
        if let Some(name) = named.map(|name| format!("{side}{name}"))
            && taken.insert(name.clone())
        {
            return name;
        }
        // The threads on which a runtime puts what would block it: tasks come and go on them.
        others += 1;
        format!("{side}blocking thread {others}")
    };
    threads.iter().map(&mut name).collect()
}

/// A worker that is this thread and no other.
fn of_worker(work: &Work) -> Option<String> {
    work.worker.agreed().filter(|worker| worker.kind() != "task").map(|worker| worker.to_string())
}

/// Who only ever helped with others' files has no record: its number is at the end of its name.
fn of_helper(work: &Work, name: &str) -> Option<String> {
    let number = name.rsplit('-').next()?.parse().ok()?;
    let kind = work.kind.filter(|kind| matches!(*kind, "thread" | "ring"))?;
    Some(WorkerId::new(kind, number).to_string())
}

/// For an order in which `thread-2` comes before `thread-10`.
fn natural(name: &str) -> (String, u64) {
    let text = name.trim_end_matches(|char: char| char.is_ascii_digit());
    (text.to_owned(), name[text.len()..].parse().unwrap_or(0))
}

impl Stay {
    fn length(&self) -> u64 {
        self.end_ns - self.start_ns
    }

    /// Takes over what comes directly after it, or during it.
    fn absorb(&mut self, next: Self) {
        self.end_ns = self.end_ns.max(next.end_ns);
        self.files += next.files;
        self.bytes += next.bytes;
        if next.longest_ns > self.longest_ns {
            (self.path, self.longest_ns) = (next.path, next.longest_ns);
        }
    }
}

impl From<Stay> for Span {
    fn from(stay: Stay) -> Self {
        let seconds = |ns: u64| ns as f64 / 1e9;
        Self {
            start_s: seconds(stay.start_ns),
            end_s: seconds(stay.end_ns),
            files: stay.files,
            bytes: stay.bytes,
            path: stay.path.to_string_lossy().into_owned(),
        }
    }
}

/// Puts them in the order of time, cuts what overlaps, as a file does from which its thread was away for an instant, and makes
/// one of neighbours that are all `short`, the time between them too.
fn join(stays: &mut Vec<Stay>, short: u64) {
    stays.sort_by_key(|stay| (stay.start_ns, stay.end_ns));
    let mut joined: Vec<Stay> = Vec::with_capacity(stays.len());
    for mut next in stays.drain(..) {
        let Some(last) = joined.last_mut() else {
            joined.push(next);
            continue;
        };
        next.start_ns = next.start_ns.max(last.end_ns);
        let is_during = next.end_ns <= next.start_ns;
        let is_near = next.start_ns - last.end_ns < short;
        if is_near && (is_during || (last.length() < short && next.length() < short)) {
            last.absorb(next);
        } else {
            next.end_ns = next.end_ns.max(next.start_ns);
            joined.push(next);
        }
    }
    *stays = joined;
}

#[cfg(test)]
mod tests;
