//! Counts the words of every file below a directory in worker processes:
//! `cargo run -p polyread-multiprocess --example read_with_multiprocess -- [DIR]`

use std::collections::BTreeMap;

use polyread_multiprocess::core::{Discovery, Job, TextStats};
use polyread_multiprocess::{MultiprocessReader, Worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a worker, which is this program started again, everything happens in here.
    Worker::new().run();

    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let files = Discovery::new(root).exclude("target").walk()?;

    let (mut words_by_process, mut tried_again) = (BTreeMap::new(), 0);
    let mut records = MultiprocessReader::new().records(Job::new(files, TextStats::default()))?;
    for record in &mut records {
        tried_again += u64::from(record.attempts > 1);
        match record.outcome {
            Ok(counts) => *words_by_process.entry(record.worker).or_insert(0) += counts.words,
            Err(error) => eprintln!("{error}"),
        }
    }

    for (process, words) in &words_by_process {
        println!("{process}: {words} words");
    }
    let summary = records.summary();
    println!("{} files, {} bytes in {:?}; tried again: {tried_again}", summary.read, summary.bytes, summary.elapsed);
    Ok(())
}
