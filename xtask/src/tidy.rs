//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! - The modules of a crate do not need one another in a circle, so that each can be read once those it needs are known.
//! - Each source file begins by saying what it is.
//! - A strategy crate does not depend on another, but for its tests.
//!
//! Why the first is not left to `cargo modules dependencies --acyclic`: that brings rust-analyzer along, more than two
//! hundred crates to compile on each machine that checks, and asks for a newer compiler than this workspace does. And it
//! draws the first circle that it finds, without files and lines, where this tells all of them, and each name to move.

mod cycles;
mod modules;
mod names;
#[cfg(test)]
mod tests;

use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};
use walkdir::WalkDir;

use modules::Tree;

/// The directories of the crates that are a concurrency model each.
const STRATEGIES: [&str; 5] = ["rayon", "tokio", "async-std", "multiprocess", "io-uring"];

/// Check the house rules that neither the compiler nor clippy knows
///
/// No circle of modules that need one another within a crate, no source file without a head that says what it is, no
/// strategy crate that depends on another. The exit code is 1 if there is anything to complain about.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."), hide_default_value = true)]
    root: PathBuf,
}

/// Checks and tells.
///
/// # Errors
///
/// A file cannot be read, or is not what its name says.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let crates = crates(&args.root)?;
    let mut is_tidy = true;
    for found in [check_modules(&args.root, &crates)?, check_heads(&args.root, &crates)?, check_siblings(&args.root)?] {
        is_tidy &= found.complaints.is_empty();
        let told = if found.complaints.is_empty() { &[found.praise][..] } else { &found.complaints };
        told.iter().for_each(|line| println!("{line}"));
    }
    Ok(if is_tidy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a rule found.
#[derive(Debug)]
struct Found {
    complaints: Vec<String>,
    /// What to say without any.
    praise: String,
}

/// The crates' directories, relative to the root: all that there are, so that none has to be entered here.
fn crates(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join("crates")).context("cannot read the directory of the crates")?;
    let mut crates = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            crates.push(Path::new("crates").join(entry.file_name()));
        }
    }
    crates.sort();
    Ok(crates)
}

/// No circle of modules. A library and the program beside it are two trees.
fn check_modules(root: &Path, crates: &[PathBuf]) -> Result<Found> {
    let mut complaints = Vec::new();
    for directory in crates {
        let files = ["src/lib.rs", "src/main.rs"].map(|file| directory.join(file));
        let files: Vec<_> = files.iter().filter(|file| root.join(file).is_file()).collect();
        ensure!(!files.is_empty(), "{} has neither a src/lib.rs nor a src/main.rs", directory.display());
        for file in files {
            let tree = Tree::read(root, file)?;
            complaints.extend(cycles::complaints(&tree, &names::needs(&tree)));
        }
    }
    Ok(Found { complaints, praise: format!("modules: no import cycle in {} crates", crates.len()) })
}

/// Each file begins with `//!`.
fn check_heads(root: &Path, crates: &[PathBuf]) -> Result<Found> {
    let of_crates = crates.iter().flat_map(|directory| ["src", "examples", "tests"].map(|below| directory.join(below)));
    let directories = of_crates.chain([PathBuf::from("xtask/src")]).filter(|directory| root.join(directory).is_dir());
    let (mut files, mut complaints) = (0, Vec::new());
    for entry in directories.flat_map(|directory| WalkDir::new(root.join(directory)).sort_by_file_name()) {
        let entry = entry?;
        if entry.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        files += 1;
        let shown = entry.path().strip_prefix(root).unwrap_or(entry.path()).display();
        let text = fs::read_to_string(entry.path()).with_context(|| shown.to_string())?;
        if !has_head(&text) {
            complaints.push(format!("{shown}:1: does not begin with //! and what the file is"));
        }
    }
    Ok(Found { complaints, praise: format!("heads: {files} files say what they are") })
}

/// Whether the first line is `//!`, after one for the shell if there is one. `#![` is an attribute.
fn has_head(text: &str) -> bool {
    let is_script = text.starts_with("#!") && !text.starts_with("#![");
    let text = if is_script { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    text.starts_with("//!")
}

/// No strategy crate has another among its dependencies; hybrid, which is made of two, is not for them either.
fn check_siblings(root: &Path) -> Result<Found> {
    let mut complaints = Vec::new();
    for own in STRATEGIES {
        let path = Path::new("crates").join(own).join("Cargo.toml");
        let text = fs::read_to_string(root.join(&path)).with_context(|| path.display().to_string())?;
        let manifest: Table = text.parse().with_context(|| path.display().to_string())?;
        let siblings = STRATEGIES.into_iter().filter(|name| *name != own).chain(["hybrid"]);
        let siblings: Vec<_> = siblings.map(|name| format!("polyread-{name}")).collect();
        let wrong = dependencies(&manifest).filter(|name| siblings.iter().any(|sibling| sibling == name));
        complaints.extend(wrong.map(|name| format!("{}: depends on its sibling {name}", path.display())));
    }
    let praise = format!("siblings: none of {} strategy crates depends on another", STRATEGIES.len());
    Ok(Found { complaints, praise })
}

/// The packages that a crate is built with, on any target. Those for its tests are not among them.
fn dependencies(manifest: &Table) -> impl Iterator<Item = &str> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let dependencies = tables.filter_map(|table| table.get("dependencies")?.as_table()).flatten();
    // Under a name of its own it is still the package that it is.
    dependencies.map(|(name, value)| value.get("package").and_then(Value::as_str).unwrap_or(name))
}
