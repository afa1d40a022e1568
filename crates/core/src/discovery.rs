//! Finding the files: a walk that yields entries while it goes on.

mod builder;
mod filter;
mod listing;
mod names;
mod options;
mod rules;
mod shared;
mod walk;
mod walker;
mod work_queue;

pub use builder::Discovery;
pub use walk::Walk;
