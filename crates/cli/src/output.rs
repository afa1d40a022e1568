//! Records as text for people and as JSON for programs.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use indicatif::{HumanCount, ProgressBar};
use polyread_core::{ErrorKind, Escaped, FileResult, ReadError, Summary, TextCounts};
use serde::Serialize;

use crate::args::{Analysis, Format};
use crate::diagnostics::complain;

/// What was found in one file, whichever analysis looked for it; the bytes apart, which every record has.
#[derive(Debug)]
pub(crate) enum Finding {
    Counts(TextCounts),
    Bytes,
    Contents(Vec<u8>),
}

impl From<TextCounts> for Finding {
    fn from(counts: TextCounts) -> Self {
        Self::Counts(counts)
    }
}

impl From<u64> for Finding {
    fn from(_: u64) -> Self {
        Self::Bytes
    }
}

impl From<Vec<u8>> for Finding {
    fn from(contents: Vec<u8>) -> Self {
        Self::Contents(contents)
    }
}

/// One line of JSON output. The names are stable: scripts depend on them.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    File {
        #[serde(flatten)]
        path: JsonPath<'a>,
        #[serde(flatten)]
        outcome: Outcome<'a>,
    },
    Skipped {
        #[serde(flatten)]
        path: JsonPath<'a>,
        reason: &'static str,
    },
    Summary {
        strategy: &'static str,
        files: u64,
        failed: u64,
        skipped: u64,
        bytes: u64,
        #[serde(flatten)]
        counts: Option<JsonCounts>,
        elapsed_s: f64,
        stopped: Option<&'static str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Read {
        bytes: u64,
        #[serde(flatten)]
        counts: Option<JsonCounts>,
        #[serde(flatten)]
        contents: Option<JsonContents<'a>>,
        worker: String,
    },
    Failed {
        error: JsonError,
    },
}

#[derive(Serialize)]
struct JsonPath<'a> {
    path: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
}

impl<'a> JsonPath<'a> {
    fn new(path: &'a Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let path_base64 = std::str::from_utf8(bytes).is_err().then(|| BASE64.encode(bytes));
        Self { path: String::from_utf8_lossy(bytes), path_base64 }
    }
}

#[derive(Serialize)]
struct JsonCounts {
    words: u64,
    chars: u64,
    lines: u64,
    invalid_bytes: u64,
}

impl From<TextCounts> for JsonCounts {
    fn from(TextCounts { words, chars, lines, invalid_bytes, .. }: TextCounts) -> Self {
        Self { words, chars, lines, invalid_bytes }
    }
}

/// As a string where it is one; else as it is, encoded.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum JsonContents<'a> {
    Contents(&'a str),
    ContentsBase64(String),
}

#[derive(Serialize)]
struct JsonError {
    kind: &'static str,
    operation: &'static str,
    message: String,
    bytes_read: u64,
}

/// How long a record may wait in the buffer: somebody may be watching the other end of a pipe, and a second signal would
/// take it along.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

type Out = BufWriter<Stdout>;

/// Standard output, and what has been added up for the summary.
pub(crate) struct Output {
    /// Shared with a thread that flushes it while no record comes.
    out: Arc<Mutex<Out>>,
    format: Format,
    /// Of the files that were read; the words of those only that were counted.
    totals: TextCounts,
    counted: bool,
    at_once: bool,
    headed: bool,
    bar: ProgressBar,
}

impl Output {
    /// Diagnostics make `bar` step aside.
    pub(crate) fn new(format: Format, analysis: Analysis, bar: ProgressBar) -> Self {
        let stdout = io::stdout();
        let at_once = stdout.is_terminal();
        let out = Arc::new(Mutex::new(BufWriter::with_capacity(64 * 1024, stdout)));
        let shared = Arc::downgrade(&out);
        // It ends with the output. Without it records come when the buffer is full, and at the end.
        let _ = thread::Builder::new().name("polyread-flush".to_owned()).spawn(move || {
            while let Some(out) = shared.upgrade() {
                // What cannot be written shows with the next record.
                let _ = lock(&out).flush();
                drop(out);
                thread::sleep(FLUSH_EVERY);
            }
        });
        let counted = analysis == Analysis::TextStats;
        Self { out, format, totals: TextCounts::default(), counted, at_once, headed: false, bar }
    }

    /// Writes one record. In text, failures go to standard error, and skips are in the summary alone.
    pub(crate) fn record<T: Into<Finding>>(&mut self, record: FileResult<T>) -> io::Result<()> {
        let FileResult { path, outcome, bytes, worker, .. } = record;
        let outcome = outcome.map(Into::into);
        if let Ok(finding) = &outcome {
            // The analysis counts bytes too; one that does not has only those.
            self.totals += match finding {
                Finding::Counts(counts) => *counts,
                Finding::Bytes | Finding::Contents(_) => TextCounts { bytes, ..TextCounts::default() },
            };
        }
        let out = Arc::clone(&self.out);
        let out = &mut *lock(&out);
        match self.format {
            Format::Json => json(
                out,
                &match &outcome {
                    Err(error) if error.is_skip() => {
                        Line::Skipped { path: JsonPath::new(&path), reason: error.kind().as_str() }
                    }
                    outcome => {
                        let outcome = match outcome {
                            Ok(finding) => read(finding, bytes, worker.to_string()),
                            Err(error) => Outcome::Failed { error: json_error(error) },
                        };
                        Line::File { path: JsonPath::new(&path), outcome }
                    }
                },
            )?,
            Format::Text => self.text(out, &path, &outcome, bytes)?,
        }
        if self.at_once { out.flush() } else { Ok(()) }
    }

    /// Writes the summary: the last line.
    pub(crate) fn summary(
        &mut self,
        strategy: &'static str,
        summary: &Summary,
        stopped: Option<&'static str>,
    ) -> io::Result<()> {
        let counts = self.counted.then(|| JsonCounts::from(self.totals));
        let elapsed_s = summary.elapsed.as_secs_f64();
        let (files, failed, skipped, bytes) = (summary.files(), summary.failed(), summary.skipped(), self.totals.bytes);
        let out = &mut *lock(&self.out);
        match self.format {
            Format::Json => {
                json(out, &Line::Summary { strategy, files, failed, skipped, bytes, counts, elapsed_s, stopped })?;
            }
            Format::Text => {
                if self.headed {
                    writeln!(out)?;
                }
                let noun = if files == 1 { "file" } else { "files" };
                write!(out, "{} {noun}: ", HumanCount(files))?;
                if let Some(JsonCounts { words, chars, lines, invalid_bytes }) = counts {
                    let [words, chars, lines] = [words, chars, lines].map(HumanCount);
                    write!(out, "{words} words, {chars} chars, {lines} lines, ")?;
                    if invalid_bytes > 0 {
                        write!(out, "{} invalid bytes, ", HumanCount(invalid_bytes))?;
                    }
                }
                writeln!(out, "{} bytes in {elapsed_s:.3} s ({strategy})", HumanCount(bytes))?;
                for (number, what, is_skip) in [(failed, "failed", false), (skipped, "skipped", true)] {
                    if number > 0 {
                        let kinds = kinds(&summary.errors, is_skip);
                        writeln!(out, "{} {what}: {kinds}", HumanCount(number))?;
                    }
                }
                if let Some(by) = stopped {
                    writeln!(out, "stopped before the end ({by}): these are not all files")?;
                }
            }
        }
        out.flush()
    }

    fn text(&mut self, out: &mut Out, path: &Path, outcome: &Result<Finding, ReadError>, bytes: u64) -> io::Result<()> {
        let shown = Escaped(path.as_os_str());
        let headed = self.headed;
        self.headed |= outcome.is_ok();
        match outcome {
            Ok(Finding::Counts(TextCounts { words, chars, lines, .. })) => {
                if !headed {
                    writeln!(out, "{:>10} {:>12} {:>10} {:>12}  path", "words", "chars", "lines", "bytes")?;
                }
                writeln!(out, "{words:>10} {chars:>12} {lines:>10} {bytes:>12}  {shown}")
            }
            Ok(Finding::Bytes) => writeln!(out, "{bytes:>12}  {shown}"),
            Ok(Finding::Contents(contents)) => {
                writeln!(out, "==> {shown} <==")?;
                out.write_all(contents)?;
                if contents.last().is_some_and(|last| *last != b'\n') { writeln!(out) } else { Ok(()) }
            }
            // Both are in the summary; after a signal there can be hundreds of cancelled ones.
            Err(error) if error.is_skip() || error.kind() == ErrorKind::Cancelled => Ok(()),
            Err(error) => {
                self.bar.suspend(|| complain(&error.to_string()));
                Ok(())
            }
        }
    }
}

fn json(out: &mut Out, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn lock(out: &Mutex<Out>) -> MutexGuard<'_, Out> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(finding: &Finding, bytes: u64, worker: String) -> Outcome<'_> {
    let (counts, contents) = match finding {
        Finding::Counts(counts) => (Some(JsonCounts::from(*counts)), None),
        Finding::Bytes => (None, None),
        Finding::Contents(contents) => (
            None,
            Some(match std::str::from_utf8(contents) {
                Ok(text) => JsonContents::Contents(text),
                Err(_) => JsonContents::ContentsBase64(BASE64.encode(contents)),
            }),
        ),
    };
    Outcome::Read { bytes, counts, contents, worker }
}

fn json_error(error: &ReadError) -> JsonError {
    JsonError {
        kind: error.kind().as_str(),
        operation: error.operation().as_str(),
        message: error.message(),
        bytes_read: error.bytes_read(),
    }
}

/// `3 dangling, 1 not-regular`, the kinds that are skips or those that are not.
pub(crate) fn kinds(errors: &BTreeMap<ErrorKind, u64>, is_skip: bool) -> String {
    let kinds = errors.iter().filter(|(kind, _)| kind.is_skip() == is_skip);
    kinds.map(|(kind, number)| format!("{} {kind}", HumanCount(*number))).collect::<Vec<_>>().join(", ")
}
