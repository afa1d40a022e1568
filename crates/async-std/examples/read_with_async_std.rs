//! Counts the words of every file below a directory in cooperative tasks:
//! `cargo run -p polyread-async-std --example read_with_async_std -- [DIR]`

use std::collections::BTreeSet;

use async_std::stream::StreamExt;
use polyread_async_std::AsyncStdReader;
use polyread_async_std::core::{Discovery, Job, TextStats};

#[async_std::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let files = Discovery::new(root).exclude("target").walk()?;

    let (mut words, mut tasks) = (0, BTreeSet::new());
    let mut records = AsyncStdReader::new().stream(Job::new(files, TextStats::default()))?;
    while let Some(record) = records.next().await {
        tasks.insert(record.worker);
        match record.outcome {
            Ok(counts) => words += counts.words,
            Err(error) => eprintln!("{error}"),
        }
    }

    let summary = records.summary();
    println!("{words} words in {} files, read by {} tasks", summary.read, tasks.len());
    println!("{} bytes in {:?}", summary.bytes, summary.elapsed);
    Ok(())
}
