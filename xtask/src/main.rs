//! polyread's own commands, run as `cargo xtask COMMAND`. This file only dispatches: one module per command.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used)]

mod bench;
mod figures;
mod fixtures;
mod interrupt;
mod links;
mod report;
mod sweep;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// polyread's own commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fixtures(fixtures::Args),
    Bench(bench::Args),
    Sweep(sweep::Args),
    Report(report::Args),
    Links(links::Args),
    Figures(figures::Args),
    Tidy(tidy::Args),
    Schema(bench::schema::Args),
    /// One sample of the bench, in a process of its own
    #[command(hide = true)]
    Sample(bench::sample::Args),
    /// One run of a strategy, and who read what when
    #[command(hide = true)]
    Trace(bench::timeline::Args),
    /// A process of the multiprocess strategy's naive twin
    #[command(hide = true)]
    NaiveWorker(bench::naive::WorkerArgs),
    /// A process of a unit's memory
    #[command(hide = true)]
    Parked(sweep::parked::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    // In a worker process of a sample of the multiprocess strategy this is all there is to do.
    bench::timeline::worker().run();
    match Cli::parse().command {
        Command::Fixtures(args) => fixtures::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Report(args) => report::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Links(args) => links::run(&args),
        Command::Figures(args) => figures::run(&args),
        Command::Tidy(args) => tidy::run(&args),
        Command::Schema(args) => bench::schema::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Sample(args) => bench::sample::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Trace(args) => bench::timeline::run(&args).map(|()| ExitCode::SUCCESS),
        Command::NaiveWorker(args) => bench::naive::work(&args).map(|()| ExitCode::SUCCESS),
        Command::Parked(args) => sweep::parked::run(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// The words of this command, as one repeats it; lossy where they are not UTF-8.
fn command() -> Vec<String> {
    let own = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    ["cargo", "xtask"].map(str::to_owned).into_iter().chain(own).collect()
}
