//! The protocol between the program and its worker processes: plain data in bounded messages, and one page of shared memory.
//!
//! Paths cross as bytes, because not every path is UTF-8. A large value (an analysis, a content) crosses in shared memory
//! beside its message, which then only says which piece it is. Code never crosses.

mod environment;
mod messages;
mod opening;
mod packet;
mod progress_page;
mod sent_error;
mod values;

pub(crate) use environment::{PARENT, SOCKET, is_worker};
pub(crate) use messages::{
    Answer, Batch, Begin, FilePart, Hello, MOST_PATH_BYTES, Order, Outcome, PART_BYTES, SentFile, SentRecord, SentRoot,
    VERSION,
};
pub(crate) use opening::Opening;
pub(crate) use packet::{
    Bytes, ChannelError, MOST_BYTES, MOST_SHARED, Packet, Payload, SHARED_FROM, SharedMemory, receive, send,
};
pub(crate) use progress_page::{Position, ProgressPage};
pub(crate) use sent_error::SentError;
pub(crate) use values::{Undecodable, as_bytes, decode, encode};
