//! The worker process: reads the files of the batches that its parent sends.

mod granted_budget;
mod parent_link;
mod record_buffer;
mod registration;
mod roots;
mod session;
mod tracked;
mod worker_loop;

pub use registration::Worker;
