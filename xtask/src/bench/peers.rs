//! Peers: programs of others that a user would reach for, and the four readers of the Python document that polyread grew
//! out of (`xtask/peers/*.py`). They are started from within the process of a sample, so that their time, and the processor
//! time of all their processes, are measured as those of everybody else.
//!
//! Unlike with a strategy, the start of their processes counts: it is what one waits for. What they are held against is
//! only what each of them counts as polyread does, [`Peer::comparable`].

mod room;

use std::io::Read;
use std::path::{Path, PathBuf, absolute};
use std::process::{Child, Command, Stdio};
use std::{fs, io, thread};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Deserialize;

use super::sample::{Found, Totals};
pub(super) use room::Room;

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// `find -H ROOT -type f -print0 | xargs -0 -P<cores> wc -lwm`. Files and lines are comparable. Words and characters are
    /// told as `wc` counts them: it folds no CR LF, and has an idea of its own of what is printable and what a space.
    FindXargsWc,
    /// The Python readers. Files, bytes, words and characters are comparable, lines are not counted.
    Python(Model),
    /// `rg -uuu -a -c ''`: the lines of every file, hidden, ignored and binary ones too. Only files are comparable: what
    /// follows the last LF is one more line to it, and a file with a byte-order mark of UTF-16 is decoded.
    Ripgrep,
    /// `tokei --hidden --no-ignore`: lines of the files whose language it knows, and only those are read. Nothing is
    /// comparable but the time.
    Tokei,
}

/// The models of the Python document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// `AsyncFileReader`, with aiofiles.
    Async,
    /// `ThreadedFileReader`.
    Threads,
    /// `HybridAsyncThreadedReader`, with aiofiles.
    Hybrid,
    /// `MultiprocessFileReader`.
    Processes,
}

impl Model {
    fn script(self) -> &'static str {
        match self {
            Self::Async => "async_file_reader.py",
            Self::Threads => "threaded_file_reader.py",
            Self::Hybrid => "hybrid_async_threaded_reader.py",
            Self::Processes => "multiprocess_file_reader.py",
        }
    }

    fn needs_aiofiles(self) -> bool {
        matches!(self, Self::Async | Self::Hybrid)
    }
}

/// Files on disk and not text for `python3 -c`: the processes of a pool may have to import the program that started them,
/// which is how Python starts them from 3.14 on, and whoever wants to can run one by hand.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// Standard output of a stage that may end with these codes, because files that cannot be read are no failure of its own.
type Stage = (Command, &'static [i32]);

impl Peer {
    pub(super) const ALL: [Self; 7] = [
        Self::FindXargsWc,
        Self::Python(Model::Async),
        Self::Python(Model::Threads),
        Self::Python(Model::Hybrid),
        Self::Python(Model::Processes),
        Self::Ripgrep,
        Self::Tokei,
    ];

    /// The stable name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FindXargsWc => "find-xargs-wc",
            Self::Python(Model::Async) => "python-async",
            Self::Python(Model::Threads) => "python-threads",
            Self::Python(Model::Hybrid) => "python-hybrid",
            Self::Python(Model::Processes) => "python-processes",
            Self::Ripgrep => "rg",
            Self::Tokei => "tokei",
        }
    }

    /// Of all totals those that it counts as polyread does; the others are 0. Failures are never among them: most tell them
    /// on standard error only, and whoever could not read a file that others can has fewer files.
    pub(super) fn comparable(self, totals: Totals) -> Totals {
        let Totals { files, lines, .. } = totals;
        match self {
            Self::FindXargsWc => Totals { files, lines, ..Totals::default() },
            Self::Python(_) => Totals { lines: 0, ..totals },
            Self::Ripgrep => Totals { files, ..Totals::default() },
            Self::Tokei => Totals::default(),
        }
    }

    /// What is missing on this machine, and how to get it.
    pub(super) fn available(self) -> Result<(), String> {
        match self {
            Self::FindXargsWc => ["find", "xargs", "wc"]
                .into_iter()
                .try_for_each(|tool| is_installed(tool, "the system's packages findutils and coreutils have it")),
            Self::Ripgrep => is_installed("rg", "the system's package ripgrep has it"),
            Self::Tokei => is_installed("tokei", "`cargo install tokei` brings it"),
            Self::Python(model) => {
                python()
                    .map_err(|_| "there is no python3 that runs; the system's package python3 has it".to_owned())?;
                if !model.needs_aiofiles() || python_says("import aiofiles").is_ok() {
                    return Ok(());
                }
                Err("python3 has no module aiofiles; `python3 -m pip install aiofiles`, or the system's package \
                     python3-aiofiles, brings it"
                    .to_owned())
            }
        }
    }

    /// Its processes over a tree, ready to be started.
    ///
    /// # Errors
    ///
    /// There is no python3 that runs, or no current directory to make the path absolute with.
    pub(super) fn ready(self, root: &Path) -> Result<Pipeline> {
        // No root can look like an option or, in the output of `wc`, like the word before the sums.
        let root = absolute(root).context("cannot tell where the tree is")?;
        let stages: Vec<Stage> = match self {
            Self::FindXargsWc => {
                let cores = thread::available_parallelism().map_or(1, usize::from);
                let mut find = Command::new("find");
                // A root that is a link is followed, as everybody here does; no other is.
                find.arg("-H").arg(&root).args(["-type", "f", "-print0"]).stderr(Stdio::null());
                let mut wc = Command::new("xargs");
                // Characters are only characters in such a locale, and nothing is translated in this one.
                wc.env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE").stderr(Stdio::null());
                wc.arg("-0").arg(format!("-P{cores}")).args(["wc", "-lwm"]);
                vec![(find, &[0, 1]), (wc, &[0, 123])]
            }
            Self::Python(model) => {
                // -B: nothing is written into the sources.
                let mut command = Command::new(python()?);
                command.arg("-B").arg(Path::new(SCRIPTS).join(model.script())).arg(&root);
                vec![(command, &[0])]
            }
            Self::Ripgrep => {
                let mut command = Command::new("rg");
                // That each file is named, and its name ended by NUL, is for us.
                command.args(["--no-config", "--no-messages", "--include-zero", "--with-filename", "--null"]);
                command.args(["-uuu", "-a", "-c", "", "--"]).arg(&root);
                vec![(command, &[0, 1, 2])]
            }
            Self::Tokei => {
                let mut command = Command::new("tokei");
                command.args(["--hidden", "--no-ignore", "--num-format", "plain"]).arg(&root);
                vec![(command, &[0])]
            }
        };
        Ok(Pipeline { peer: self, root, stages })
    }

    fn found(self, output: &[u8], root: &Path) -> Result<Found> {
        match self {
            Self::FindXargsWc => Ok(wc_found(output)),
            Self::Ripgrep => Ok(rg_found(output)),
            Self::Tokei => tokei_found(output).ok_or_else(|| anyhow!("it did not tell what it found")),
            Self::Python(_) => {
                let said: PythonFound = serde_json::from_slice(output).context("it did not tell what it found")?;
                let PythonFound { files, bytes, words, chars, failed } = said;
                Ok(Found { failed, totals: Totals { files, bytes, words, chars, lines: 0 }, ..Found::default() })
            }
        }
        .with_context(|| format!("{} over {}", self.name(), root.display()))
    }
}

/// What a peer runs.
#[derive(Debug)]
pub(super) struct Pipeline {
    peer: Peer,
    root: PathBuf,
    stages: Vec<Stage>,
}

impl Pipeline {
    /// Runs it to the end of its last process.
    ///
    /// # Errors
    ///
    /// A process could not be started or ended as it does not when all is well; what it wrote to standard error is there.
    pub(super) fn run(self) -> Result<Found> {
        // If memory runs out, for a list of all words of a huge file, then it is this one that the kernel ends, no other.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let mut running: Vec<(Child, &[i32], String)> = Vec::new();
        for (mut command, codes) in self.stages {
            let before = running.last_mut().and_then(|(child, ..)| child.stdout.take());
            // Nobody writes to the first one's: a Python reader ends when it is closed, because we have been killed.
            command.stdin(before.map_or_else(Stdio::piped, Stdio::from)).stdout(Stdio::piped());
            let name = command.get_program().to_string_lossy().into_owned();
            let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
            running.push((child, codes, name));
        }
        let mut output = Vec::new();
        let last = running.last_mut().and_then(|(child, ..)| child.stdout.take());
        last.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut output)).context("cannot read what it tells")?;
        for (mut child, codes, name) in running {
            let status = child.wait().with_context(|| format!("cannot wait for {name}"))?;
            if !status.code().is_some_and(|code| codes.contains(&code)) {
                bail!("{name}: {status}");
            }
        }
        self.peer.found(&output, &self.root)
    }
}

/// Physical memory in bytes, at the peak, of the largest process among all that have ended below this one. What its
/// processes have together is not known here. A process never has less than the one that started it had at that time.
pub(super) fn peak_rss() -> Result<u64> {
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for the memory of the peer")?;
    Ok(u64::try_from(children.max_rss()).unwrap_or(0) * 1024)
}

fn is_installed(tool: &str, remedy: &str) -> Result<(), String> {
    let tried = Command::new(tool).arg("--version").stdin(Stdio::null()).output();
    tried.map(drop).map_err(|error| format!("{tool} cannot be started ({error}); {remedy}"))
}

/// The interpreter itself: what is found as `python3` may be a script that looks for it, and takes its time.
fn python() -> Result<PathBuf> {
    python_says("import sys; print(sys.executable)").map(PathBuf::from).context("there is no python3 that runs")
}

fn python_says(program: &str) -> io::Result<String> {
    let output = Command::new("python3").args(["-c", program]).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The line of JSON that `xtask/peers/file_results.py` prints.
#[derive(Deserialize)]
struct PythonFound {
    files: u64,
    bytes: u64,
    words: u64,
    chars: u64,
    failed: u64,
}

/// Sums lines of `wc -lwm`: three figures and a name. The sums that each process prints are not those of files; no file is
/// called `total` as they are, since the root is absolute. GNU's `wc` quotes a name with a newline, so that no name can look
/// like a record, and writes whole lines, so that those of two processes do not mix.
fn wc_found(output: &[u8]) -> Found {
    let mut found = Found::default();
    for line in output.split(|byte| *byte == b'\n') {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let mut figure = || std::str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok();
        if let (Some(lines), Some(words), Some(chars)) = (figure(), figure(), figure())
            && fields.next().is_some_and(|name| name != b"total")
        {
            let file = Totals { files: 1, bytes: 0, words, chars, lines };
            found += Found { totals: file, ..Found::default() };
        }
    }
    found
}

/// Sums `NAME NUL LINES LF`; a name has whatever it likes but NUL.
fn rg_found(output: &[u8]) -> Found {
    let mut found = Found::default();
    let mut rest = output;
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        rest = &rest[end + 1..];
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        found.totals.files += 1;
        found.totals.lines += std::str::from_utf8(&rest[..end]).ok().and_then(|it| it.parse().ok()).unwrap_or(0u64);
        rest = &rest[end..];
    }
    found
}

/// Files and lines of the line of totals; no file is named in this output.
fn tokei_found(output: &[u8]) -> Option<Found> {
    let output = String::from_utf8_lossy(output);
    let mut figures = output.lines().find_map(|line| line.trim_start().strip_prefix("Total "))?.split_whitespace();
    let (files, lines) = (figures.next()?.parse().ok()?, figures.next()?.parse().ok()?);
    Some(Found { totals: Totals { files, lines, ..Totals::default() }, ..Found::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_wc_are_no_files_and_files_called_so_are() {
        let output = b"  2   3   9 /r/a\n 10 1 7 /r/total\n 1 1 1 '/r/x'$'\\n''5 5 5 /r/y'\n 13 5 17 total\n1 0 1 /r/\xff\n 1 0 1 total\n";
        let totals = Totals { files: 4, bytes: 0, words: 5, chars: 18, lines: 14 };
        assert_eq!(wc_found(output), Found { totals, ..Found::default() });
        assert_eq!(wc_found(b""), Found::default());
    }

    #[test]
    fn names_of_rg_may_have_all_but_nul() {
        let output = b"/r/a\x0012\n/r/b\n3\x004\n/r/\xff 7\x000\n";
        let totals = Totals { files: 3, lines: 16, ..Totals::default() };
        assert_eq!(rg_found(output), Found { totals, ..Found::default() });
    }
}
