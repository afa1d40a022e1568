//! What one more worker of a model costs while it works, in threads, processes and memory:
//! `cargo run --release -p polyread-conformance --example cost_of_a_worker -- MODEL WORKERS [BYTES]`
//!
//! It reads as many files as there are to be workers, of so many bytes each (1,000 unless told), under an analysis that
//! waits: so that each file keeps a worker of its own. When all of them wait, the kernel is asked what that takes, and they
//! may go on. What one worker costs is the difference between two runs, divided by the difference of their workers.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use polyread_async_std::AsyncStdReader;
use polyread_core::{Analysis, Discovery, FileReader, Job, Limits, SequentialReader};
use polyread_hybrid::HybridReader;
use polyread_multiprocess::{MultiprocessReader, Worker};
use polyread_rayon::RayonReader;
use polyread_tokio::TokioReader;
use serde::{Deserialize, Serialize};

/// Leaves a mark in a directory that a file has been begun, and waits there for leave to go on: in any thread and in any
/// process.
#[derive(Clone, Deserialize, Serialize)]
struct Waits(PathBuf);

impl Analysis for Waits {
    type Output = ();

    fn update(&mut self, _: &[u8]) {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        let mark = format!("{}-{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
        let _ = fs::write(self.0.join(mark), "");
        while !self.0.join("go").exists() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn finish(self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    Worker::new().with::<Waits>().run();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [model, workers, bytes @ ..] = &arguments[..] else {
        return Err(
            "usage: cost_of_a_worker sequential|rayon|tokio|async-std|hybrid|multiprocess WORKERS [BYTES]".into()
        );
    };
    let (workers, bytes) = (workers.parse::<usize>()?, bytes.first().map_or(Ok(1000), |bytes| bytes.parse())?);

    let (files, marks) = (tempfile::tempdir()?, tempfile::tempdir()?);
    for index in 0..workers {
        fs::write(files.path().join(index.to_string()), vec![b'x'; bytes])?;
    }
    // One file at a time for each worker: a worker that carried several would wait over its first.
    let hops = polyread_tokio::Config::default().hops_in_flight(workers).files_per_hop(1);
    let reader: Box<dyn FileReader<Waits>> = match model.as_str() {
        "sequential" => Box::new(SequentialReader::new()),
        "rayon" => Box::new(RayonReader::with_config(polyread_rayon::Config::default().leaf(1))),
        "tokio" => Box::new(TokioReader::with_config(hops)),
        "async-std" => Box::new(AsyncStdReader::with_config(hops)),
        "hybrid" => {
            let large = RayonReader::with_config(polyread_rayon::Config::default().leaf(1));
            Box::new(HybridReader::of(TokioReader::with_config(hops), large))
        }
        "multiprocess" => Box::new(MultiprocessReader::with_config(polyread_multiprocess::Config::default().batch(1))),
        other => return Err(format!("no model is called {other}").into()),
    };
    // Sorted: the walk and its threads have ended before the first file is read.
    let job = Job::new(Discovery::new(files.path()).walk()?.sorted(), Waits(marks.path().to_path_buf()));
    // Each side of hybrid has half of the files that may be open.
    let open = if model == "hybrid" { 2 * workers } else { workers };
    let job = job.limits(Limits::default().workers(workers).max_open_files(open));

    let before = Usage::of("self")?;
    let during = thread::scope(|scope| -> Result<_, Box<dyn Error>> {
        let reading = scope.spawn(move || reader.read(job, &mut |_| ControlFlow::Continue(())));
        while fs::read_dir(marks.path())?.count() < workers {
            thread::sleep(Duration::from_millis(5));
        }
        let own = Usage::of("self")?;
        let children = children()?;
        fs::write(marks.path().join("go"), "")?;
        reading.join().map_err(|_| "the reader has panicked")??;
        Ok((own, children))
    })?;
    let (own, children) = during;
    println!(
        "{model:>12} {workers:>4} workers: threads {:>3} (+{}), VmSize {:>6} MiB, private {:>6} KiB (+{}); {} children",
        own.threads,
        // Beside the one that calls the reader here.
        own.threads - before.threads - 1,
        own.virtual_kib / 1024,
        own.private_kib,
        own.private_kib.saturating_sub(before.private_kib),
        children.len(),
    );
    if let Some(count) = u64::try_from(children.len()).ok().filter(|count| *count > 0) {
        let mean = |of: fn(&Usage) -> u64| children.iter().map(of).sum::<u64>() / count;
        println!(
            "{:>12}  each child: threads {}, resident {} KiB, private {} KiB, its share of all {} KiB",
            "",
            mean(|child| child.threads),
            mean(|child| child.resident_kib),
            mean(|child| child.private_kib),
            mean(|child| child.share_kib)
        );
    }
    Ok(())
}

/// What the kernel says of a process.
struct Usage {
    threads: u64,
    virtual_kib: u64,
    resident_kib: u64,
    /// Pages that nobody else has.
    private_kib: u64,
    /// And of those that others have too, the part that falls to this process.
    share_kib: u64,
}

impl Usage {
    fn of(process: &str) -> Result<Self, Box<dyn Error>> {
        let process = Path::new("/proc").join(process);
        let status = fs::read_to_string(process.join("status"))?;
        let maps = fs::read_to_string(process.join("smaps_rollup"))?;
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            threads: field(&status, "Threads:"),
            virtual_kib: field(&status, "VmSize:"),
            resident_kib: field(&maps, "Rss:"),
            private_kib: field(&maps, "Private_Clean:") + field(&maps, "Private_Dirty:"),
            share_kib: field(&maps, "Pss:"),
        })
    }
}

/// The processes that this one has started.
fn children() -> Result<Vec<Usage>, Box<dyn Error>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let list = fs::read_to_string(thread?.path().join("children"))?;
        for process in list.split_whitespace() {
            children.push(Usage::of(process)?);
        }
    }
    Ok(children)
}
