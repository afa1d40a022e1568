//! Counts the words of every file below a directory on work-stealing threads:
//! `cargo run -p polyread-rayon --example read_with_rayon -- [DIR]`

use std::collections::BTreeMap;

use polyread_rayon::RayonReader;
use polyread_rayon::core::{Discovery, Job, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let files = Discovery::new(root).exclude("target").walk()?;

    let mut words_by_thread = BTreeMap::new();
    let mut records = RayonReader::new().records(Job::new(files, TextStats::default()))?;
    for record in &mut records {
        match record.outcome {
            Ok(counts) => *words_by_thread.entry(record.worker).or_insert(0) += counts.words,
            Err(error) => eprintln!("{error}"),
        }
    }

    for (thread, words) in &words_by_thread {
        println!("{thread}: {words} words");
    }
    let summary = records.summary();
    println!("{} files, {} bytes in {:?}", summary.read, summary.bytes, summary.elapsed);
    Ok(())
}
