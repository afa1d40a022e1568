//! polyread's own commands, run as `cargo xtask COMMAND`. This file only dispatches: one module per command.

#![forbid(unsafe_code)]

mod fixtures;

use clap::{Parser, Subcommand};

/// polyread's own commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fixtures(fixtures::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Fixtures(args) => fixtures::run(&args),
    }
}
