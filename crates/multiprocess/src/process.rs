//! Worker processes as the program sees them: started, greeted, spoken to, killed and reaped.

mod child;
mod program;
mod receive_watch;
mod spawner;
mod starting_worker;
mod worker_process;

pub(crate) use program::Program;
pub(crate) use spawner::Spawner;
pub(crate) use starting_worker::{START_TIMEOUT, StartingWorker};
pub(crate) use worker_process::Process;
