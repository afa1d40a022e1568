//! The bar on standard error, for those who cannot see the results go by.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use polyread_core::Progress;

const TICK: Duration = Duration::from_millis(100);

/// A bar that follows a run until it is dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Bar {
    /// Shows a bar, unless nobody would see it or it would run into the results.
    pub(crate) fn follow(progress: &Progress, wanted: bool) -> Self {
        if !wanted || !stderr().is_terminal() || stdout().is_terminal() {
            return Self { bar: ProgressBar::hidden(), drawing: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        let (end, ended) = mpsc::channel();
        let (drawn, progress) = (bar.clone(), progress.clone());
        let draw = move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                drawn.set_message(message(&progress));
                drawn.inc(1);
            }
            drawn.finish_and_clear();
        };
        // Without a thread for it there is no bar, and everything else as it would be.
        let thread = thread::Builder::new().name("polyread-progress".to_owned()).spawn(draw);
        Self { bar, drawing: thread.ok().map(|thread| (end, thread)) }
    }

    /// The bar itself, to step aside for other lines.
    pub(crate) fn handle(&self) -> ProgressBar {
        self.bar.clone()
    }
}

fn message(progress: &Progress) -> String {
    let now = progress.snapshot();
    let done = now.read + now.failed + now.skipped;
    let still_found = if now.discovery_ended { "" } else { "+" };
    let failed = if now.failed > 0 { format!(", {} failed", HumanCount(now.failed)) } else { String::new() };
    let (done, discovered, bytes) = (HumanCount(done), HumanCount(now.discovered), HumanBytes(now.bytes));
    format!("{done} of {discovered}{still_found} files, {bytes}{failed}")
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.drawing.take() {
            drop(end);
            // It draws, nothing else; should it have panicked, the results are none the worse.
            let _ = thread.join();
        }
    }
}
