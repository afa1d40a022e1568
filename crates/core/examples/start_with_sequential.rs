//! Ten lines to start from: `cargo run -p polyread-core --example start_with_sequential -- DIR`

use std::ops::ControlFlow;

use polyread_core::{Discovery, FileReader, Job, SequentialReader, TextStats};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args_os().nth(1).unwrap_or_else(|| "src".into());
    let files = Discovery::new(root).walk()?;
    SequentialReader::new().read(Job::new(files, TextStats::default()), &mut |record| {
        match record.outcome {
            Ok(counts) => println!("{:>8} words in {}", counts.words, record.path.display()),
            Err(error) => eprintln!("{error}"),
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}
