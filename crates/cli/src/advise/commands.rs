//! The advice as something to type: options, a command line, a dependency.

use std::ffi::OsString;

use polyread_advise::Advice;

use crate::args::AdviseArgs;
use crate::shell::Quoted;

/// The command line options that stand for the advice.
pub(super) fn options(advice: &Advice) -> Vec<String> {
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
pub(super) fn dependency(advice: &Advice) -> String {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    format!("{} = \"{VERSION}\"", advice.setup.approach.package())
}

/// The whole command line to run next, the same files chosen.
pub(super) fn command_line(args: &AdviseArgs, advice: &Advice) -> String {
    let options = options(advice).into_iter().chain(args.choosing.options());
    let mut words: Vec<OsString> =
        [OsString::from("polyread")].into_iter().chain(options.map(OsString::from)).collect();
    if args.paths.iter().any(|path| path.as_os_str().as_encoded_bytes().starts_with(b"-")) {
        words.push("--".into());
    }
    words.extend(args.paths.iter().map(|path| path.as_os_str().to_owned()));
    words.iter().map(|word| Quoted(word).to_string()).collect::<Vec<_>>().join(" ")
}
