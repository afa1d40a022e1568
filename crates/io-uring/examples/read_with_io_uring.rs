//! Counts the words of every file below a directory through io_uring:
//! `cargo run -p polyread-io-uring --example read_with_io_uring -- [DIR]`

use std::collections::BTreeMap;

use polyread_io_uring::IoUringReader;
use polyread_io_uring::core::{Discovery, Job, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    if let Err(reason) = IoUringReader::available() {
        eprintln!("{reason}");
        return Ok(());
    }
    let files = Discovery::new(root).exclude("target").walk()?;

    let mut words_by_ring = BTreeMap::new();
    let mut records = IoUringReader::new().records(Job::new(files, TextStats::default()))?;
    for record in &mut records {
        match record.outcome {
            Ok(counts) => *words_by_ring.entry(record.worker).or_insert(0) += counts.words,
            Err(error) => eprintln!("{error}"),
        }
    }

    let summary = records.summary();
    for (ring, words) in words_by_ring {
        println!("{ring}: {words} words");
    }
    println!("{} files, {} bytes in {:?}", summary.read, summary.bytes, summary.elapsed);
    Ok(())
}
