//! The plumbing below [the model](crate::reader): rings and their slots, and what the threads of a run share.

mod availability;
mod clock;
mod fallback;
mod overdue;
mod queue;
mod slots;
mod threads;

pub(crate) use availability::available;
pub(crate) use clock::Clock;
pub(crate) use fallback::{FallbackQueue, Work};
pub(crate) use queue::Completion;
pub(crate) use slots::{Slots, Step};
pub(crate) use threads::Threads;
