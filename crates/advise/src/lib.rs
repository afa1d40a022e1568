//! Which model to use for a tree, by rules of thumb.
//!
//! From the top: [`Characteristics`] are what is known of a tree, measured or told; [`choose`] turns them into
//! [`Advice`], which names a model, its [`Settings`] and the reasons; [`optimal_async_config`],
//! [`optimal_thread_config`] and [`optimal_process_config`] size one model for a machine; a [`Preset`] is a
//! configuration for one kind of tree.
//!
//! ```
//! use polyread_advise::{Characteristics, choose};
//!
//! let small = Characteristics::new().with_files(20_000, 400);
//! let advice = choose(&small).expect("there are files");
//! assert_eq!(advice.setup.approach.as_str(), "tokio");
//! println!("{}, because {}", advice.setup.approach, advice.why);
//! ```
//!
//! Models are known here by name alone: whoever takes the advice depends on the package that it
//! [names](Approach::package).
//!
//! # What the rules are worth
//!
//! They are older than this project: they come from a comparison of four ways to read files in Python, and are kept with
//! their thresholds and figures, because they are what people start from. They are no measurements, and their reasons do
//! not all hold here:
//!
//! - *Async for many small files*: a task that waits costs little, but with a warm cache none waits, and with a cold one each
//!   file that is waited for takes a thread of the runtime's, under tasks too.
//! - *8 kB for each task, 8 MB for each thread, 10 MB for each process*: a task that reads has a thread. A thread takes the
//!   pages that it touches and not the addresses that are reserved for it, and a worker process is no interpreter.
//! - *Processes where the processor is busy*: Python's threads take turns, those of Rust do not.
//!
//! What was measured is told in `docs/performance.md`, and of how many cores and which cache.
//!
//! What is best for a tree on a machine is what `cargo xtask bench PATH` finds there.

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod approach;
mod characteristics;
mod choose;
mod histogram;
mod setup;

pub use approach::Approach;
pub use characteristics::{Characteristics, SizeQuantiles};
pub use choose::{Advice, Alternative, choose, choose_for};
pub use polyread_core as core;
pub use setup::{
    BYTES_PER_TASK, Preset, Settings, Setup, TASK_MEMORY, optimal_async_config, optimal_process_config,
    optimal_thread_config,
};

/// The README's example, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
