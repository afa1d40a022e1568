//! Ten lines to start from: `cargo run -p polyread-async-std --example start_with_async_std -- DIR`

use async_std::stream::StreamExt;
use polyread_async_std::AsyncStdReader;
use polyread_async_std::core::{Discovery, Job, TextStats};

#[async_std::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    let mut records = AsyncStdReader::new().stream(Job::new(files, TextStats::default()))?;
    while let Some(record) = records.next().await {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
