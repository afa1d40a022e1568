//! An analysis of one's own, the same under every model: which files contain a word, and in which line it first stands.
//! `cargo run -p polyread-cli --example own_analysis -- WORD [PATH…]`

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use clap::ValueEnum;
use polyread_cli::{Strategy, Worker};
use polyread_core::{Analysis, Discovery, Job};
use serde::{Deserialize, Serialize};

/// Searches for a word, and stops reading a file when it has been found. That it is plain data to serde is what lets it
/// cross to worker processes; the other models do not ask for that.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct FirstLine {
    word: Vec<u8>,
    /// The last bytes of the chunks before: the word may begin in one chunk and end in the next.
    before: Vec<u8>,
    line: u64,
    found: bool,
}

impl FirstLine {
    fn with(word: &str) -> Self {
        Self { word: word.as_bytes().to_vec(), before: Vec::new(), line: 1, found: false }
    }
}

impl Analysis for FirstLine {
    /// The number of the line, from 1.
    type Output = Option<u64>;

    fn update(&mut self, chunk: &[u8]) {
        // All but the bytes that could still begin the word have been looked at.
        let mut text = std::mem::take(&mut self.before);
        text.extend_from_slice(chunk);
        let place = text.windows(self.word.len()).position(|window| window == self.word);
        let looked_at = place.unwrap_or((text.len() + 1).saturating_sub(self.word.len()));
        self.line += text[..looked_at].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.found = place.is_some();
        self.before = text.split_off(looked_at);
    }

    fn is_complete(&self) -> bool {
        self.found // the rest of the file need not be read
    }

    fn finish(self) -> Option<u64> {
        self.found.then_some(self.line)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The workers of the multiprocess model are this program again: here they learn of the analysis, and here they stay.
    Worker::new().with::<FirstLine>().run();

    let mut arguments = std::env::args().skip(1);
    let word = arguments.next().filter(|word| !word.is_empty()).ok_or("usage: own_analysis WORD [PATH…]")?;
    let mut paths: Vec<_> = arguments.collect();
    if paths.is_empty() {
        paths.push(".".to_owned());
    }

    let mut answers = BTreeMap::new();
    for strategy in Strategy::value_variants() {
        if let Err(reason) = strategy.available() {
            println!("{:12} {reason}", strategy.name());
            continue;
        }
        let files = Discovery::of_roots(&paths).exclude("target").exclude(".git").walk()?;
        let mut found = BTreeMap::new();
        let summary = strategy.reader().read(Job::new(files, FirstLine::with(&word)), &mut |record| {
            if let Ok(Some(line)) = record.outcome {
                found.insert(record.path, line);
            }
            ControlFlow::Continue(())
        })?;
        println!("{:12} {} of {} files, {} bytes read", strategy.name(), found.len(), summary.files(), summary.bytes);
        answers.insert(strategy.name(), found);
    }

    let agree = answers.values().all(|answer| Some(answer) == answers.values().next());
    for (path, line) in answers.into_values().next().into_iter().flatten() {
        println!("{}:{line}", path.display());
    }
    if agree { Ok(()) } else { Err("the models do not agree".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(word: &str, chunks: &[&str]) -> Option<u64> {
        let mut analysis = FirstLine::with(word);
        for chunk in chunks {
            if !analysis.is_complete() {
                analysis.update(chunk.as_bytes());
            }
        }
        analysis.finish()
    }

    #[test]
    fn where_chunks_are_cut_means_nothing() {
        let text = "one\ntwo\nthree two\n";
        for word in ["one", "two", "three", "e\nt", "four", "\n", "two\n"] {
            let expected = text.find(word).map(|at| 1 + text[..at].matches('\n').count() as u64);
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let chunks = [&text[..first], &text[first..second], &text[second..]];
                    let chunks: Vec<_> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
                    assert_eq!(search(word, &chunks), expected, "{word:?} in {chunks:?}");
                }
            }
        }
    }
}
