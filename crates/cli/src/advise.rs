//! `polyread advise`: looks at a tree and says which strategy the rules of thumb choose for it.

mod commands;
mod json;
mod text;

use std::io::{self, Write};

use anyhow::anyhow;
use polyread_advise::{Characteristics, choose};
use polyread_core::CancelToken;

use crate::args::{AdviseArgs, Format};
use crate::diagnostics::complain;
use crate::run::Ending;
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
            complain(&error.to_string());
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
