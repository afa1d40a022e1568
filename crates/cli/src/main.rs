//! `polyread`: reads every file of directory trees at once, in the concurrency model of one's choice.
//!
//! From the top: [`args`] is the command line, [`run`] reads and delivers, [`output`] writes records as text or JSON,
//! [`diagnostics`] complains on standard error, [`stop`] turns signals into a cancelled run, [`progress`] draws the bar. [`advise`] is the command of that name, and
//! [`shell`] quotes what it tells to run next.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used)]

mod advise;
mod args;
mod diagnostics;
mod output;
mod progress;
mod run;
mod shell;
mod stop;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use run::Ending;

fn main() -> ExitCode {
    // In a worker process of the multiprocess strategy this is all there is to do.
    polyread_cli::Worker::new().run();
    let args = Args::parse();
    if let Some(shell) = args.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "polyread", &mut script);
        let written = io::stdout().write_all(&script);
        return written.map_or_else(|error| Ending::of_output_error(&error), |()| Ending::Whole).into();
    }
    let ended = match &args.command {
        Some(Command::Advise(args)) => advise::run(args),
        None => run::run(&args),
    };
    match ended {
        Ok(ending) => ending.into(),
        Err(error) => {
            diagnostics::complain(&format!("{error:#}"));
            // What `run` returns as an error has kept everything from starting.
            ExitCode::from(2)
        }
    }
}
