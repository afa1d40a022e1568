//! Ten lines to start from: `cargo run -p polyread-hybrid --example start_with_hybrid -- DIR`

use polyread_hybrid::HybridReader;
use polyread_hybrid::core::{Discovery, Job, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    for record in HybridReader::new().records(Job::new(files, TextStats::default()))? {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
