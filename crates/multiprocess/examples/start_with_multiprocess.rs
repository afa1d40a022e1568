//! Ten lines to start from: `cargo run -p polyread-multiprocess --example start_with_multiprocess -- DIR`

use polyread_multiprocess::core::{Discovery, Job, TextStats};
use polyread_multiprocess::{MultiprocessReader, Worker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a worker, which is this program started again, everything happens in here.
    Worker::new().run();
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    for record in MultiprocessReader::new().records(Job::new(files, TextStats::default()))? {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
