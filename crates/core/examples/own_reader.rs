//! A reader of one's own, over plain threads: bounded, cancellable, and correct whatever panics or fails to start.

use std::thread::{Builder, scope};

use polyread_core::reader::Run;
use polyread_core::{Analysis, Discovery, FileReader, Job, ReaderError, Records, TextStats, WorkerId};

/// Reads files on plain threads.
pub(crate) struct OwnReader;

impl<A: Analysis> FileReader<A> for OwnReader {
    fn name(&self) -> &'static str {
        "own"
    }

    fn records(&self, job: Job<A>) -> Result<Records<A::Output>, ReaderError> {
        job.start().records("own", |run| read(&run))
    }
}

/// Reads every entry of a run, with as many threads as it may have.
fn read<A: Analysis>(run: &Run<A>) {
    let work = move |number| {
        let mut worker = run.worker(WorkerId::new("thread", number));
        while let Some(batch) = run.next_batch(64) {
            worker.read(batch);
        }
    };
    scope(|scope| {
        for number in 1..run.limits().effective_workers() as u64 {
            // A thread that the system does not give is one fewer: the others read its share.
            let _ = Builder::new().spawn_scoped(scope, move || work(number));
        }
        work(0);
    });
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let mut records = OwnReader.records(Job::new(Discovery::new(root).walk()?, TextStats::default()))?;
    let words: u64 = records.by_ref().filter_map(|record| record.outcome.ok()).map(|counts| counts.words).sum();
    println!("{words} words in {} files", records.summary().files());
    Ok(())
}
