//! The messages: orders from the parent to a worker, answers from a worker to its parent.

use std::ops::Range;
use std::time::Duration;

use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory};
use polyread_core::reader::custom::{FileVersion, Links};
use serde::{Deserialize, Serialize};

use super::packet::{Bytes, Packet, Payload};
use super::sent_error::SentError;

/// Must be the same on both sides: a worker that is another executable may be older.
pub(crate) const VERSION: u32 = 2;

/// The most bytes of all paths of one batch together. No system can open a single path that is longer than this.
pub(crate) const MOST_PATH_BYTES: usize = 32 * 1024;

/// The least bytes of a part of a large file: a millisecond or so for a counting analysis, ten times the cost of handing
/// the part to a process.
pub(crate) const PART_BYTES: u64 = 8 * 1024 * 1024;

/// The first message of a worker, with its ends of the channels.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    pub(crate) orders: IpcSender<Packet>,
    pub(crate) answers: IpcReceiver<Packet>,
    pub(crate) page: IpcSharedMemory,
}

/// A message of the parent.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// A run begins: the batches that follow belong to it.
    Begin(Begin),
    /// Read these files.
    Batch(Batch),
    /// The room in the bytes in flight that the worker has asked for.
    Room(u64),
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Begin {
    /// The type of the analysis.
    pub(crate) analysis: String,
    pub(crate) prototype: Payload,
    /// The directory that relative paths start from.
    pub(crate) directory: Option<Bytes>,
    pub(crate) bytes_in_flight: u64,
    pub(crate) max_file_size: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// Whether a worker reports large files instead of reading them, so that they are read in parts.
    pub(crate) divides: bool,
    /// The most pieces of shared memory in one message: each is a descriptor on both sides.
    pub(crate) pieces: u32,
    /// The process id of the parent, below which `/proc` shows its descriptors.
    pub(crate) parent: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Batch {
    pub(crate) number: u32,
    /// Roots that this worker does not know yet. Roots are numbered in the order in which they were sent.
    pub(crate) roots: Vec<SentRoot>,
    pub(crate) files: Vec<SentFile>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentRoot {
    pub(crate) path: Bytes,
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    pub(crate) links: Links,
    /// The parent's descriptor, if it holds one.
    pub(crate) descriptor: Option<i32>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentFile {
    pub(crate) path: Bytes,
    pub(crate) root: Option<u32>,
    /// The part that is to be read, if it is not the whole file.
    pub(crate) part: Option<FilePart>,
}

/// A part of a large file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct FilePart {
    /// The version of the file when it was found to be large: all parts must be of it.
    pub(crate) version: FileVersion,
    /// The bytes of the part, within the size of that version.
    pub(crate) range: Range<u64>,
}

/// A message of a worker.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Answer {
    /// It knows the analysis and is ready for batches.
    Ready,
    /// It cannot take part in the run.
    Refused(String),
    /// Records of files of this batch, by their places in it.
    Records { batch: u32, records: Vec<SentRecord> },
    /// It is done with the batch, of which it has read the first `taken` files.
    Done { batch: u32, taken: u32 },
    /// It waits for this much room in the bytes in flight. The room that it had before is to be taken back.
    NeedsRoom(u64),
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentRecord {
    pub(crate) place: u32,
    pub(crate) outcome: Result<Outcome, SentError>,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// The room that this record takes of the room that was granted.
    pub(crate) room: u64,
}

/// How a file or a part ended that could be opened and read.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Outcome {
    /// The output; for a part, the state of the analysis.
    Read(Payload),
    /// The file is so large that it should be read in parts, and nothing of it was read yet.
    Large(FileVersion),
}

#[cfg(test)]
mod tests {
    use bincode::Options;

    use super::*;
    use crate::protocol::packet::coding;

    #[test]
    fn a_length_that_is_only_claimed_is_refused_and_not_allocated() {
        assert!(coding().deserialize::<Answer>(&[3, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16]).is_err());
        assert!(coding().deserialize::<Answer>(&[77]).is_err());
    }
}
