//! How far a comparison is: a bar where somebody watches, else a line for each ranking.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use polyread_core::Escaped;

use super::Corpus;
use super::cold::Cache;

/// It goes by time, of which more is known than of the number of samples.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// What is being measured.
    at: String,
    end: Duration,
}

impl Progress {
    pub(crate) fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Self::hidden();
        }
        let bar = ProgressBar::new(1);
        let bar = match ProgressStyle::with_template("{msg} {wide_bar} {prefix}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, at: String::new(), end: Duration::ZERO }
    }

    pub(crate) fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), at: String::new(), end: Duration::ZERO }
    }

    /// A ranking begins; with it so many are left, and all of them will be over at about this time.
    pub(crate) fn begin(&mut self, corpus: &Corpus, cache: Cache, left: usize, end: Duration) {
        let at = format!("{}, {}", corpus.name, cache.name());
        if at == self.at {
            return;
        }
        if self.bar.is_hidden() && !cfg!(test) {
            // Unlike `eprintln!`, no panic where standard error is closed.
            let path = Escaped(corpus.path.as_os_str());
            let _ = writeln!(io::stderr(), "measuring on {path}, {} cache; {left} to do", cache.name());
        }
        self.at = at;
        self.expect(end);
    }

    /// All of it will be over at about this time.
    pub(crate) fn expect(&mut self, end: Duration) {
        self.end = end;
    }

    /// A sample begins.
    pub(crate) fn sample(&self, contestant: &str, now: Duration) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.bar.set_length(millis(self.end.max(now)));
        self.bar.set_position(millis(now));
        self.bar.set_message(format!("{}: {contestant:24}", self.at));
        let left = self.end.saturating_sub(now);
        self.bar.set_prefix(if left.is_zero() {
            "a little longer".to_owned()
        } else {
            format!("about {} left", HumanDuration(left))
        });
        self.bar.tick();
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
