//! The naive twins: for each model the program that a competent user writes first. What a strategy's crate saves over
//! it is what the crate is worth.
//!
//! All of them list the tree with `walkdir`, read each file whole, decode it and count words by splitting the text. They
//! find the same as the strategies, or they would not be comparable: the only thing they do not do is keep a record of
//! what is no regular file.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use async_std::task;
use polyread_cli::Strategy;
use polyread_core::TextCounts;
use rayon::iter::{ParallelBridge, ParallelIterator};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use walkdir::WalkDir;

use super::sample::{Analysis, Found, Totals};
use super::usage::peak_rss;

/// Files that are read at the same time by those who bound it: the usual number in such programs.
const AT_ONCE: usize = 100;

/// In bytes: where the hybrid's twin takes a file for a large one.
const LARGE: u64 = 10_000;

/// The stable name of a strategy's twin. `None` where a first version would not be another program: nobody drives a
/// ring naively.
pub(crate) fn name(strategy: Strategy) -> Option<&'static str> {
    Some(match strategy {
        Strategy::Sequential => "naive-sequential",
        Strategy::Rayon => "naive-rayon",
        Strategy::Tokio => "naive-tokio",
        Strategy::AsyncStd => "naive-async-std",
        Strategy::Hybrid => "naive-hybrid",
        Strategy::Multiprocess => "naive-multiprocess",
        _ => return None,
    })
}

/// What a twin found, and the peak memory in bytes of the processes beside its own.
pub(crate) fn read_all(strategy: Strategy, root: &Path, analysis: Analysis) -> Result<(Found, u64)> {
    let found = match strategy {
        Strategy::Sequential => sequential(root, analysis),
        Strategy::Rayon => rayon(root, analysis),
        Strategy::Tokio => tokio(root, analysis)?,
        Strategy::AsyncStd => async_std(root, analysis),
        Strategy::Hybrid => hybrid(root, analysis)?,
        Strategy::Multiprocess => return multiprocess(root, analysis),
        _ => bail!("{} has no naive twin", strategy.name()),
    };
    Ok((found, 0))
}

/// A loop over `std::fs::read`.
fn sequential(root: &Path, analysis: Analysis) -> Found {
    list(root).map(|path| Ok(count(std::fs::read(path?)?, analysis))).fold(Found::default(), sum)
}

/// `par_bridge` over the listing, `std::fs::read` in each closure.
fn rayon(root: &Path, analysis: Analysis) -> Found {
    let read = |path: io::Result<PathBuf>| Ok(count(std::fs::read(path?)?, analysis));
    list(root).par_bridge().map(read).fold(Found::default, sum).reduce(Found::default, |mut all, some| {
        all += some;
        all
    })
}

/// A task for each file, a semaphore, and one `tokio::fs::read`: one hop to the blocking pool for each file. Counting
/// happens in the task.
fn tokio(root: &Path, analysis: Analysis) -> Result<Found> {
    tasks(root, move |path| async move { Ok(count(tokio::fs::read(path).await?, analysis)) })
}

/// The seed's hybrid: asks each file for its size, reads small ones asynchronously and large ones on a blocking thread.
fn hybrid(root: &Path, analysis: Analysis) -> Result<Found> {
    tasks(root, move |path| async move {
        if tokio::fs::metadata(&path).await?.len() < LARGE {
            return Ok(count(tokio::fs::read(path).await?, analysis));
        }
        let read = tokio::task::spawn_blocking(move || Ok(count(std::fs::read(path)?, analysis)));
        read.await.map_err(io::Error::other)?
    })
}

fn tasks<F>(root: &Path, read: impl Fn(PathBuf) -> F) -> Result<Found>
where
    F: Future<Output = io::Result<TextCounts>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().build().context("cannot start tokio")?;
    runtime.block_on(async {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        let mut found = Found::default();
        for path in list(root) {
            match path {
                Ok(path) => {
                    let permit = Arc::clone(&permits).acquire_owned().await?;
                    let read = read(path);
                    tasks.spawn(async move {
                        let _permit = permit;
                        read.await
                    });
                }
                Err(error) => found = sum(found, Err(error)),
            }
        }
        while let Some(counts) = tasks.join_next().await {
            found = sum(found, counts.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
        Ok(found)
    })
}

/// The same on async-std, which has no semaphore: at most a hundred tasks at a time, awaited in the order of the files.
fn async_std(root: &Path, analysis: Analysis) -> Found {
    task::block_on(async {
        let mut found = Found::default();
        let mut paths = list(root);
        let mut tasks = VecDeque::new();
        loop {
            while tasks.len() < AT_ONCE
                && let Some(path) = paths.next()
            {
                tasks.push_back(task::spawn(async move { Ok(count(async_std::fs::read(path?).await?, analysis)) }));
            }
            let Some(oldest) = tasks.pop_front() else { return found };
            found = sum(found, oldest.await);
        }
    })
}

/// A process for each core and one message for each file: its path goes to whichever process is free, and the counts
/// come back as a line.
fn multiprocess(root: &Path, analysis: Analysis) -> Result<(Found, u64)> {
    let paths = Mutex::new(list(root));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let workers = (0..workers).map(|_| Worker::start(analysis)).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let paths = &paths;
        let serve = |mut worker: Worker| {
            let mut found = Found::default();
            loop {
                let next = paths.lock().unwrap_or_else(PoisonError::into_inner).next();
                match next {
                    Some(Ok(path)) => found = sum(found, worker.ask(&path)?),
                    Some(Err(error)) => found = sum(found, Err(error)),
                    None => return anyhow::Ok((found, worker.end()?)),
                }
            }
        };
        let serving: Vec<_> = workers.into_iter().map(|worker| scope.spawn(move || serve(worker))).collect();
        let mut all = (Found::default(), 0);
        for served in serving {
            let (found, peak) = served.join().map_err(|_| anyhow!("a thread that served a process panicked"))??;
            all.0 += found;
            all.1 += peak;
        }
        Ok(all)
    })
}

/// A process that reads what it is told to.
struct Worker {
    process: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(analysis: Analysis) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program to start it again")?;
        let mut command = Command::new(program);
        command.args(["naive-worker", "--analysis", analysis.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a worker")?;
        let asked = process.stdin.take().context("a worker without input")?;
        let answers = BufReader::new(process.stdout.take().context("a worker without output")?);
        Ok(Self { process, asked, answers })
    }

    fn ask(&mut self, path: &Path) -> Result<io::Result<TextCounts>> {
        let mut message = path.as_os_str().as_bytes().to_vec();
        message.push(0);
        self.asked.write_all(&message).context("a worker does not listen")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("a worker does not answer")?;
        let counts: Option<Totals> = serde_json::from_str(&answer).context("a worker's answer is none")?;
        let counts = counts.map(|it| TextCounts {
            bytes: it.bytes,
            words: it.words,
            chars: it.chars,
            lines: it.lines,
            ..TextCounts::default()
        });
        Ok(counts.ok_or_else(|| io::Error::other("a worker could not read it")))
    }

    /// The most memory that it had, in bytes.
    fn end(self) -> Result<u64> {
        let peak = peak_rss(&self.process.id().to_string())?;
        let Self { mut process, asked, answers: _answers } = self;
        drop(asked);
        process.wait().context("cannot wait for a worker")?;
        Ok(peak)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    #[arg(long, value_enum)]
    analysis: Analysis,
}

/// The process of a worker: paths in, each with a NUL at its end; a line of JSON out for each.
pub(crate) fn work(args: &WorkerArgs) -> Result<()> {
    let (mut asked, mut answers) = (io::stdin().lock(), io::stdout().lock());
    let mut path = Vec::new();
    while asked.read_until(0, &mut path).context("cannot read the next path")? > 0 {
        path.pop();
        let counts = std::fs::read(OsStr::from_bytes(&path)).ok().map(|bytes| {
            let mut totals = Totals::default();
            totals += count(bytes, args.analysis);
            totals
        });
        serde_json::to_writer(&mut answers, &counts).context("cannot answer")?;
        answers.write_all(b"\n").and_then(|()| answers.flush()).context("cannot answer")?;
        path.clear();
    }
    Ok(())
}

/// The regular files below `root`.
fn list(root: &Path) -> impl Iterator<Item = io::Result<PathBuf>> + Send + use<> {
    WalkDir::new(root).into_iter().filter_map(|entry| match entry {
        Ok(entry) => entry.file_type().is_file().then(|| Ok(entry.into_path())),
        Err(error) => Some(Err(error.into())),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "as folds hand it over")]
fn sum(mut found: Found, counts: io::Result<TextCounts>) -> Found {
    match counts {
        Ok(counts) => found.totals += counts,
        Err(_) => found.failed += 1,
    }
    found
}

/// What Python would do with the bytes: drop what is ill-formed, fold line ends, split the text.
fn count(bytes: Vec<u8>, analysis: Analysis) -> TextCounts {
    let mut counts = TextCounts { bytes: bytes.len() as u64, ..TextCounts::default() };
    if analysis != Analysis::TextStats {
        return counts;
    }
    counts.lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().utf8_chunks().map(|chunk| chunk.valid()).collect());
    counts.invalid_bytes = counts.bytes - text.len() as u64;
    counts.chars = (text.chars().count() - text.matches("\r\n").count()) as u64;
    counts.words = text.split(is_space).filter(|word| !word.is_empty()).count() as u64;
    counts
}

/// `split_whitespace` would do, but that Python parts words at the four separators of ASCII too.
fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyread_core::{Analysis as _, TextStats};
    use proptest::prelude::{Strategy as _, any, prop, prop_assert_eq, prop_oneof, proptest};

    proptest! {
        #[test]
        fn a_twin_counts_what_the_strategies_count(
            parts in prop::collection::vec(
                prop_oneof![
                    any::<char>().prop_map(|char| char.to_string().into_bytes()),
                    prop::sample::select(vec!["\r", "\n", "\r\n", " ", "\u{1c}", "\u{1f}", "\u{85}", "\u{3000}", "a"])
                        .prop_map(|text| text.as_bytes().to_vec()),
                    prop::collection::vec(any::<u8>(), 0..4),
                ],
                0..40,
            ),
        ) {
            let bytes = parts.concat();
            let mut exact = TextStats::default();
            exact.update(&bytes);
            prop_assert_eq!(count(bytes, Analysis::TextStats), exact.finish());
        }
    }
}
