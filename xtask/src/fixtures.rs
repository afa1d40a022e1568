//! `cargo xtask fixtures`: makes the trees that tests and the laboratory read, from the specs in `fixtures/*.toml`.
//!
//! A tree is a function of its spec, the seed and the scale, on every machine and with any number of threads; the
//! printed digest says whether two trees are the same. [`ensure`] is what other commands call: it makes a tree only
//! where it is not there already, which a stamp beside the tree tells.
//!
//! From the spec to the disk: [`spec`] reads the TOML, [`plan`] decides path, size and style of each file, [`text`]
//! makes its bytes from the words of [`vocabulary`], which [`lexicon`] prepares, [`generate`] writes them, and [`stamp`]
//! remembers what was made.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths are bounded by the vocabulary and by the page; a float's cast saturates the same everywhere"
)]

mod generate;
mod lexicon;
mod plan;
mod spec;
mod stamp;
#[cfg(test)]
mod tests;
mod text;
mod vocabulary;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use plan::Plan;
use spec::Spec;
use stamp::{Recipe, Stamp};

/// The version of the bytes: raise it with any change that makes the same spec give other files.
const GENERATOR: u32 = 1;

const DEFAULT_SEED: u64 = 1;

/// Make the trees described by `fixtures/*.toml`
///
/// The same bytes for the same seed and scale on every machine: compare the digests. A tree that is there already is
/// not made again. Prints for each profile: name, files, bytes, digest, path.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --profile, the profiles of a few hundred MB at most are made: tiny, small, mixed, deep and unicode, 0.5 GB in
all. Those of 1 GB each, large and one, and empty with its million files are made when named, by --profile all, and by
the commands that read them.")]
pub(crate) struct Args {
    /// Profile to make, or `all`; may be given several times [default: all but the largest]
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// Multiplies the number of files (the sizes, for the profiles of few large files)
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    scale: f64,

    /// Another seed gives other files of the same kind
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,

    /// Where the trees go, one directory each [default: fixtures/generated]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How trees are made, whichever profile.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) scale: f64,
    pub(crate) seed: u64,
    /// Trees go to `out/<profile>`, their stamps to `out/<profile>.json`.
    pub(crate) out: PathBuf,
    /// Has no influence on what is made.
    pub(crate) threads: NonZero<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scale: 1.0,
            seed: DEFAULT_SEED,
            out: specs().join("generated"),
            threads: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        }
    }
}

/// A tree that is complete on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// BLAKE3 over every file's path, length and content, in hexadecimal.
    pub(crate) digest: String,
    /// Whether it was there already.
    pub(crate) reused: bool,
}

/// The folder of the specs in this workspace.
pub(crate) fn specs() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).join("fixtures")
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut options = Options { scale: args.scale, seed: args.seed, ..Options::default() };
    if let Some(out) = &args.out {
        options.out.clone_from(out);
    }
    for name in chosen(&args.profiles)? {
        let tree = ensure(&name, &options)?;
        if tree.reused {
            // Unlike `eprintln!`, no panic where stderr is closed.
            let _ = writeln!(io::stderr(), "{name}: up to date, not made again");
        }
        print(&tree)?;
    }
    Ok(())
}

/// The profiles to make, checked before the first is made: a typo in the last should not cost the time of the others.
fn chosen(asked: &[String]) -> Result<Vec<String>> {
    let known = Spec::names(&specs())?;
    let mut chosen: Vec<String> = Vec::new();
    for name in asked {
        if name == "all" {
            chosen.extend_from_slice(&known);
        } else if known.contains(name) {
            chosen.push(name.clone());
        } else {
            let known = known.join(", ");
            bail!("there is no profile '{name}', only {known} and 'all'");
        }
    }
    if asked.is_empty() {
        for name in known {
            if Spec::load(&specs(), &name)?.by_default {
                chosen.push(name);
            }
        }
    }
    let mut seen = BTreeSet::new();
    chosen.retain(|name| seen.insert(name.clone()));
    Ok(chosen)
}

/// Makes the tree of a profile, unless it is there already, and tells what it is.
///
/// # Errors
///
/// - the profile is unknown, its spec is wrong or the scale is not a positive number
/// - something that this function did not make is in the way: it is never deleted
/// - the tree cannot be written; the next call then starts afresh
pub(crate) fn ensure(profile: &str, options: &Options) -> Result<Tree> {
    ensure_made(profile, &Spec::load(&specs(), profile)?, options)
}

/// The same for a tree of text that no profile describes: so many files, each of exactly so many bytes.
///
/// # Errors
///
/// As those of [`ensure`].
pub(crate) fn ensure_even(name: &str, files: u64, size: u64, options: &Options) -> Result<Tree> {
    ensure_made(name, &Spec::even(files, size)?, options)
}

fn ensure_made(profile: &str, spec: &Spec, options: &Options) -> Result<Tree> {
    let plan = Plan::new(profile, spec, options.seed, options.scale)?;
    let path = options.out.join(profile);
    let stamp_path = options.out.join(format!("{profile}.json"));
    let recipe = Recipe { generator: GENERATOR, spec: spec.hash()?, seed: options.seed, scale: options.scale };

    let left = stamp::claim(&stamp_path, &path, &plan, &recipe)?;
    let (stamp, reused) = match left.filter(|stamp| stamp.recipe == recipe) {
        Some(stamp) => (stamp, true),
        None => (make(&plan, &path, &stamp_path, recipe, options)?, false),
    };
    Ok(Tree { name: profile.to_owned(), path, files: stamp.files, bytes: stamp.bytes, digest: stamp.digest, reused })
}

/// Replaces whatever tree of ours is at `path`. Between the two stamps the tree is known to be incomplete.
fn make(plan: &Plan, path: &Path, stamp_path: &Path, recipe: Recipe, options: &Options) -> Result<Stamp> {
    fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
    let mut stamp = Stamp::begun(recipe);
    stamp.write(stamp_path)?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the old tree {}", path.display()));
        }
        _ => {}
    }

    let progress = progress_bar(plan);
    stamp.digest = generate::generate(plan, path, options.threads, &progress)?;
    progress.finish_and_clear();
    stamp.files = plan.files();
    stamp.bytes = plan.bytes();
    stamp.paths = stamp::hash(&plan.paths());
    stamp.complete = true;
    stamp.write(stamp_path)?;
    Ok(stamp)
}

fn progress_bar(plan: &Plan) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(plan.bytes()).with_message(plan.name().to_owned());
    match ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One line on stdout. A reader that went away (`| head -1`) is no reason to leave the other trees unmade.
fn print(tree: &Tree) -> Result<()> {
    let line = format!(
        "{:<8} {:>8} {:>12} {} {}\n",
        tree.name,
        tree.files,
        tree.bytes,
        tree.digest,
        polyread_core::Escaped(tree.path.as_os_str())
    );
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
