//! `polyread advise`: looks at a tree and says which strategy the rules of thumb choose for it.

mod json;
mod text;

use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::anyhow;
use polyread_advise::{Advice, Characteristics, choose};
use polyread_core::CancelToken;

use crate::args::{AdviseArgs, Format};
use crate::run::Ending;
use crate::shell::Quoted;
use crate::stop::Stop;

/// Measures and advises.
///
/// # Errors
///
/// What kept the walk from starting; nothing has been written then.
pub(crate) fn run(args: &AdviseArgs) -> anyhow::Result<Ending> {
    let cancel = CancelToken::new();
    let stop = Stop::on_signals(cancel.clone()).map_err(|error| anyhow!("cannot listen to signals: {error}"))?;
    let discovery = args.choosing.discovery(&args.paths, &cancel);
    let seen = Characteristics::measure(&discovery, &cancel, |error| {
        // What is left out is in the summary alone.
        if !error.is_skip() {
            crate::complain(&error.to_string());
        }
    })?;
    let seen = seen.cpu_bound(args.cpu_bound);
    let advice = choose(&seen);
    let report = match args.format {
        Format::Text => text::Report { args, seen: &seen, advice: advice.as_ref() }.to_string(),
        Format::Json => json::line(&seen, advice.as_ref())?,
    };
    let mut out = io::stdout().lock();
    let written = out.write_all(report.as_bytes()).and_then(|()| out.flush());
    Ok(match (written, stop.signal()) {
        (_, Some(signal)) if seen.is_partial() => Ending::Signal(signal),
        (Err(error), _) => Ending::of_output_error(&error),
        (Ok(()), _) if seen.files() == 0 && seen.failed() > 0 => Ending::SomeFailed,
        (Ok(()), _) => Ending::Whole,
    })
}

/// The command line options that stand for the advice.
fn options(advice: &Advice) -> Vec<String> {
    let settings = advice.setup.settings;
    let mut options = vec!["--strategy".to_owned(), advice.setup.approach.to_string()];
    // Where only hops are set: the program gives an async reader two for each worker.
    if let Some(workers) = settings.workers.or(settings.hops_in_flight.map(|hops| hops.div_ceil(2))) {
        options.extend(["--workers".to_owned(), workers.to_string()]);
    }
    if settings.max_open_files.is_some() {
        options.extend(["--max-open".to_owned(), settings.limits().open_files().to_string()]);
    }
    options
}

/// What to write into Cargo.toml.
fn dependency(advice: &Advice) -> String {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    format!("{} = \"{VERSION}\"", advice.setup.approach.package())
}

/// The whole command line to run next, the same files chosen.
fn command_line(args: &AdviseArgs, advice: &Advice) -> String {
    let options = options(advice).into_iter().chain(args.choosing.options());
    let mut words: Vec<OsString> =
        [OsString::from("polyread")].into_iter().chain(options.map(OsString::from)).collect();
    if args.paths.iter().any(|path| path.as_os_str().as_encoded_bytes().starts_with(b"-")) {
        words.push("--".into());
    }
    words.extend(args.paths.iter().map(|path| path.as_os_str().to_owned()));
    words.iter().map(|word| Quoted(word).to_string()).collect::<Vec<_>>().join(" ")
}
