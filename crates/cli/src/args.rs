//! The command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use polyread_cli::Strategy;
use polyread_core::{CancelToken, Discovery, Limits};

/// Read every file of directory trees at once, in the concurrency model of your choice
///
/// Counts words, characters, lines and bytes of every regular file below the given paths, exactly as CPython does for
/// open(path, encoding="utf-8", errors="ignore").read(). Hidden files are read too and ignore files are not obeyed,
/// unless told otherwise. A file that cannot be read never ends the run.
#[derive(Debug, Parser)]
#[command(name = "polyread", version, after_help = AFTER_HELP, max_term_width = 100)]
// Nothing but `advise` in the first place is a command: a directory may have any other name, `help` too.
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Directories to walk, and files to read whatever their names; for one called advise write ./advise
    #[arg(required_unless_present = "completions", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,

    /// Concurrency model to read with
    #[arg(short, long, value_enum, default_value = "hybrid", help_heading = "Reading")]
    pub(crate) strategy: Strategy,

    /// What to do with the bytes of each file
    #[arg(short, long, value_enum, default_value = "text-stats", help_heading = "Reading")]
    pub(crate) analysis: Analysis,

    /// Workers: threads of rayon, processes of multiprocess, rings of io-uring, half of the hops in flight of tokio and
    /// async-std; for hybrid, as many for each of its sides [default: the number of cores]
    #[arg(short, long, value_name = "N", help_heading = "Reading")]
    workers: Option<NonZero<usize>>,

    /// Files open at the same time, at the most [default: a quarter of `ulimit -n`]
    #[arg(long, value_name = "N", help_heading = "Reading")]
    max_open: Option<NonZero<usize>>,

    /// Fail larger files without reading them
    #[arg(long, value_name = "BYTES", help_heading = "Reading")]
    max_file_size: Option<u64>,

    /// Fail a file that takes longer; a call that does not return is given up by tokio, async-std and multiprocess, by
    /// hybrid on its small side, and by io-uring for small files
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Reading")]
    timeout: Option<Duration>,

    #[command(flatten)]
    choosing: Choosing,

    /// How to write the results; json is one object a line, the summary last
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,

    /// Write the results in the order of their paths; what is read ahead of its turn waits in memory
    #[arg(long, help_heading = "Output")]
    pub(crate) sorted: bool,

    /// Show no progress on standard error
    #[arg(long, help_heading = "Output")]
    pub(crate) no_progress: bool,

    /// Print completions for a shell, and do nothing else
    #[arg(long, value_enum, value_name = "SHELL", exclusive = true, help_heading = "Output")]
    pub(crate) completions: Option<Shell>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What the program does beside reading.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Advise(AdviseArgs),
}

/// Look at the sizes of all files and advise on a strategy, without reading any
///
/// The advice follows rules of thumb: tokio for more than 1,000 files of less than 1,000 bytes on average, else
/// multiprocess for work that is bound by the processor, hybrid where at least one file in ten is below 10,000 bytes and
/// one in ten is not, rayon for the rest. What is best on this machine, cargo xtask bench PATH finds out.
///
/// A directory called advise is read with polyread ./advise.
#[derive(Debug, clap::Args)]
#[command(after_help = ADVISE_AFTER_HELP)]
pub(crate) struct AdviseArgs {
    /// Directories to walk, and files to look at whatever their names
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,

    /// The work on the bytes takes longer than reading them, which no tree can tell: parsing, compressing, a slow hash
    #[arg(long, help_heading = "Advice")]
    pub(crate) cpu_bound: bool,

    #[command(flatten)]
    pub(crate) choosing: Choosing,

    /// How to write the advice; json is one object
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
}

/// What [`Args`] and [`AdviseArgs`] have in common: which files.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Choosing files")]
pub(crate) struct Choosing {
    /// Only files with one of these extensions, separated by commas: md,txt
    #[arg(short, long, value_name = "EXT,…", value_delimiter = ',', value_parser = extension)]
    ext: Vec<String>,

    /// Only files that match; a glob without a / is matched with the name, one with a / with the path below its PATH
    /// (repeatable)
    #[arg(short, long, value_name = "GLOB")]
    include: Vec<String>,

    /// No files and no directories that match (repeatable)
    #[arg(short = 'x', long, value_name = "GLOB")]
    exclude: Vec<String>,

    /// Leave out files and directories whose name starts with a dot
    #[arg(long)]
    skip_hidden: bool,

    /// Obey .ignore and, within a git repository, .gitignore and git's exclude files
    #[arg(long)]
    ignore_files: bool,

    /// Follow symbolic links
    #[arg(short = 'L', long)]
    follow: bool,
}

const AFTER_HELP: &str = "\
Examples:
  polyread docs
      Words, characters, lines and bytes of every file below docs
  polyread --ext md,txt --exclude target --strategy tokio .
      Markdown and text in tokio tasks, without what is below any target
  polyread --format json --sorted src | tail -1
      The summary alone, as JSON
  polyread --timeout 30 --max-file-size 1000000000 /srv
      No file may take longer than 30 seconds or be larger than 1 GB
  polyread advise src
      Which strategy suits the files below src, and why

Exit codes:
  0  everything was read (what was skipped does not count)
  1  standard output could not be written
  2  nothing could start: bad usage, bad glob, no such path
  3  finished, and some files failed
  130, 143  stopped by SIGINT or SIGTERM, after what was finished had been written
  141  the reader of standard output went away";

const ADVISE_AFTER_HELP: &str = "\
Exit codes:
  0  there is advice, or no file to advise on
  1  standard output could not be written
  2  nothing could start: bad usage, bad glob, no such path
  3  not one file was found, and something could not be looked at
  130, 143  stopped by SIGINT or SIGTERM, after advice on what had been seen
  141  the reader of standard output went away";

/// What to do with the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Analysis {
    /// Count words, characters, lines and bytes
    TextStats,
    /// Count bytes and look at none
    Bytes,
    /// Write the contents
    Contents,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    Text,
    /// One JSON object a line
    Json,
}

impl Choosing {
    pub(crate) fn discovery(&self, paths: &[PathBuf], cancel: &CancelToken) -> Discovery {
        let mut discovery = Discovery::of_roots(paths)
            .extensions(&self.ext)
            .skip_hidden(self.skip_hidden)
            .ignore_files(self.ignore_files)
            .follow_links(self.follow)
            .cancel_token(cancel.clone());
        for glob in &self.include {
            discovery = discovery.include(glob);
        }
        for glob in &self.exclude {
            discovery = discovery.exclude(glob);
        }
        discovery
    }

    /// The options that choose the same files once more.
    pub(crate) fn options(&self) -> Vec<String> {
        let Self { ext, include, exclude, skip_hidden, ignore_files, follow } = self;
        let mut options = Vec::new();
        let mut option = |name: &str, value: &str| match value.strip_prefix('-') {
            // By itself it would be taken for an option.
            Some(_) => options.push(format!("{name}={value}")),
            None => options.extend([name.to_owned(), value.to_owned()]),
        };
        if !ext.is_empty() {
            option("--ext", &ext.join(","));
        }
        include.iter().for_each(|glob| option("--include", glob));
        exclude.iter().for_each(|glob| option("--exclude", glob));
        let flags = [("--skip-hidden", skip_hidden), ("--ignore-files", ignore_files), ("--follow", follow)];
        options.extend(flags.iter().filter(|(_, given)| **given).map(|(name, _)| (*name).to_owned()));
        options
    }
}

impl Args {
    pub(crate) fn discovery(&self, cancel: &CancelToken) -> Discovery {
        self.choosing.discovery(&self.paths, cancel)
    }

    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default().max_file_size(self.max_file_size).timeout(self.timeout);
        if let Some(workers) = self.workers {
            limits = limits.workers(workers.get());
        }
        if let Some(files) = self.max_open {
            limits = limits.max_open_files(files.get());
        }
        limits
    }
}

/// What people write that would match nothing, in silence, is refused.
fn extension(text: &str) -> Result<String, String> {
    let extension = text.trim();
    if extension.is_empty() || extension.contains(['*', '/', '?']) {
        return Err("an extension is what follows the last dot of a name, as in md,txt; for globs there is --include"
            .to_owned());
    }
    Ok(extension.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 and no more than the clock can tell".to_owned()),
    }
}
