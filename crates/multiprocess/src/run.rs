//! What the supervisors of one run share, and what each of them knows of its process.

mod connection;
mod divided_files;
mod file_clock;
mod in_hand;
mod outcome;
mod respawns;
mod state;
mod work_queue;

pub(crate) use connection::{Connection, this_process};
pub(crate) use divided_files::PartResult;
pub(crate) use file_clock::FileClock;
pub(crate) use in_hand::InHand;
pub(crate) use outcome::decode_outcome;
pub(crate) use state::{BATCHES_IN_HAND, RunState};
pub(crate) use work_queue::Task;
