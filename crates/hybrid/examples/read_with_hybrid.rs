//! Counts the words of every file below a directory, small files in tasks and large ones on threads:
//! `cargo run -p polyread-hybrid --example read_with_hybrid -- [DIR]`

use std::collections::BTreeMap;

use polyread_hybrid::HybridReader;
use polyread_hybrid::core::{Discovery, Job, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let files = Discovery::new(root).exclude("target").walk()?;

    // Tasks read the small files, threads the large ones.
    let mut by_worker = BTreeMap::new();
    let mut records = HybridReader::new().records(Job::new(files, TextStats::default()))?;
    for record in &mut records {
        let (files, words) = by_worker.entry(record.worker.kind()).or_insert((0, 0));
        match record.outcome {
            Ok(counts) => (*files, *words) = (*files + 1, *words + counts.words),
            Err(error) => eprintln!("{error}"),
        }
    }

    for (kind, (files, words)) in &by_worker {
        println!("{words:>12} words in {files} files by {kind}s");
    }
    let summary = records.summary();
    println!("{} files, {} bytes in {:?}", summary.read, summary.bytes, summary.elapsed);
    Ok(())
}
