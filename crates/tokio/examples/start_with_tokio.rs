//! Ten lines to start from: `cargo run -p polyread-tokio --example start_with_tokio -- DIR`

use futures_util::StreamExt;
use polyread_tokio::TokioReader;
use polyread_tokio::core::{Discovery, Job, TextStats};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    let mut records = TokioReader::new().stream(Job::new(files, TextStats::default()))?;
    while let Some(record) = records.next().await {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
