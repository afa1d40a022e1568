//! A process that holds a number of bare units, which do nothing but wait, and tells how much memory that takes.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use rustix::process::{Signal, set_parent_process_death_signal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    what: What,
    number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Tasks of tokio whose future holds nothing
    Task,
    /// Threads of the standard library
    Thread,
    /// Processes of this program
    Process,
    /// One such process
    Child,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Thread => "thread",
            Self::Process => "process",
            Self::Child => "child",
        }
    }
}

/// Prints bytes of memory, of all processes together, what they share counted once.
pub(crate) fn run(args: &Args) -> Result<()> {
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let bytes = match args.what {
        What::Task => with_tasks(args.number)?,
        What::Thread => with_threads(args.number)?,
        What::Process => with_processes(args.number)?,
        What::Child => return wait(),
    };
    writeln!(io::stdout(), "{bytes}").context("cannot tell how much memory it is")
}

fn with_tasks(number: usize) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start a runtime")?;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..number).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
        // Each has been looked at once, and waits.
        tokio::task::yield_now().await;
        let bytes = memory("self");
        drop(tasks);
        bytes
    })
}

fn with_threads(number: usize) -> Result<u64> {
    let (ready, is_ready) = mpsc::channel();
    let mut ends = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..number {
        let (end, wait) = mpsc::channel::<()>();
        let ready = ready.clone();
        let body = move || {
            let _ = ready.send(());
            // Until the other end is gone.
            let _ = wait.recv();
        };
        threads.push(thread::Builder::new().spawn(body).context("cannot start so many threads")?);
        ends.push(end);
    }
    for _ in 0..number {
        is_ready.recv().context("a thread has ended too early")?;
    }
    let bytes = memory("self");
    drop(ends);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    bytes
}

fn with_processes(number: usize) -> Result<u64> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..number {
        let mut command = Command::new(&program);
        command.args(["parked", "child", "1"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        children.push(command.spawn().context("cannot start so many processes")?);
    }
    for child in &mut children {
        let ready = child.stdout.as_mut().map(|stdout| stdout.read_exact(&mut [0]));
        ready.unwrap_or(Ok(())).context("a process has ended too early")?;
    }
    let bytes: Result<u64> = children.iter().map(|child| memory(&child.id().to_string())).sum();
    let bytes = memory("self")? + bytes?;
    for mut child in children {
        // Its standard input ends, and so does it.
        child.wait().context("a process does not end")?;
    }
    Ok(bytes)
}

fn wait() -> Result<()> {
    io::stdout().write_all(b"\n").and_then(|()| io::stdout().flush()).context("nobody waits for this")?;
    io::stdin().read_to_end(&mut Vec::new()).context("cannot wait")?;
    Ok(())
}

/// Physical memory of a process in bytes, where a page that several have counts in parts.
fn memory(process: &str) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let rollup = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.ok_or_else(|| anyhow!("{path} has no Pss"))? * 1024)
}
