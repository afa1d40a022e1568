//! Ten lines to start from: `cargo run -p polyread-io-uring --example start_with_io_uring -- DIR`

use polyread_io_uring::IoUringReader;
use polyread_io_uring::core::{Discovery, Job, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    for record in IoUringReader::new().records(Job::new(files, TextStats::default()))? {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
