//! What polyread's async readers share: hops to threads that may block, and the stream of their records.
//!
//! From the top: [`Hops`] is what a run needs beside its tasks; [`Hops::hop`] makes the closure that the runtime is to run on
//! a thread that may block, and [`Hops::finish`] ends it in its task; a [`HopWatch`] gives a hop up that hangs; [`RecordStream`] is the consumer's end. [`Config`] says
//! how many hops there are and what each carries.
//!
//! Files have no asynchronous reads on most systems: an async runtime reads them on a pool of threads that may block.
//! A model on top of it chooses how often it goes there and back, how many hops are under way at once, and when to give one
//! up. Tasks, permits and the channel of batches are the model's. Nothing here spawns a task.

#![forbid(unsafe_code)]
// What to print, and whether to end, is the program's to decide.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod config;
mod hops;
mod queue;
mod stream;
mod watch;

pub use config::Config;
pub use hops::{Hopped, Hops};
pub use stream::RecordStream;
pub use watch::HopWatch;
