//! What parent and worker say to each other: plain data, encoded by bincode with a limit, and never more in one message
//! than a socket takes at once.
//!
//! Paths cross as bytes, because not every path is UTF-8. What is large (an analysis, a content) crosses in shared memory
//! beside the message, which then only says which piece it is.

use std::any::Any;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bincode::Options;
use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory};
use polyread_core::{ErrorKind, FilePart, Links, Operation, Promise, ReadError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Must be the same on both sides: a worker that is another executable may be older.
pub(crate) const VERSION: u32 = 2;

/// What a message is limited to, in bytes. Far below what a socket takes in one piece (some 200 kB), so that sending to a
/// worker that has stopped does not block, and no more than two batches are ever on their way.
pub(crate) const MOST_BYTES: u64 = 96 * 1024;

/// Paths of one batch together, in bytes. A single path longer than this is none that a system could open.
pub(crate) const MOST_PATH_BYTES: usize = 32 * 1024;

/// Outputs from this size on, in bytes, travel in shared memory. Below it copying into a message is cheaper than the half
/// a dozen system calls that a mapping costs.
pub(crate) const SHARED_FROM: usize = 32 * 1024;

/// Pieces of shared memory in one message; a socket passes at most 64 descriptors at once.
pub(crate) const MOST_SHARED: usize = 16;

/// The first words of a worker, with its channels.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    pub(crate) orders: IpcSender<Packet>,
    pub(crate) answers: IpcReceiver<Packet>,
    pub(crate) board: IpcSharedMemory,
}

/// A message on its way.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Packet {
    /// An [`Order`] or an [`Answer`], by bincode.
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    shared: Vec<IpcSharedMemory>,
}

/// What a parent says.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// From now on it is about this run.
    Begin(Begin),
    /// Read these.
    Batch(Batch),
    /// The room that was asked for.
    Room(u64),
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Begin {
    /// The type of the analysis.
    pub(crate) analysis: String,
    pub(crate) prototype: Payload,
    /// Where paths that are not absolute start.
    pub(crate) directory: Option<Bytes>,
    pub(crate) bytes_in_flight: u64,
    pub(crate) max_file_size: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    /// Whether large files are to be left to be read in parts.
    pub(crate) divides: bool,
    /// Pieces of shared memory that may come in one message: each is a descriptor on both sides.
    pub(crate) pieces: u32,
    /// To find descriptors of the parent's by.
    pub(crate) parent: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Batch {
    pub(crate) number: u32,
    /// Roots that this worker has not heard of; the number of a root is its place in all that were sent.
    pub(crate) roots: Vec<SentRoot>,
    pub(crate) files: Vec<SentFile>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentRoot {
    pub(crate) path: Bytes,
    pub(crate) identity: (u64, u64),
    pub(crate) links: Links,
    /// The parent's descriptor, if it holds one.
    pub(crate) descriptor: Option<i32>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentFile {
    pub(crate) path: Bytes,
    pub(crate) root: Option<u32>,
    /// If this part of it alone is to be read.
    pub(crate) part: Option<FilePart>,
}

/// What a worker says.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Answer {
    /// It knows the analysis and is ready for batches.
    Ready,
    /// It cannot do what it was told to begin with.
    Refused(String),
    /// What became of files of this batch, by their places in it.
    Records { batch: u32, records: Vec<SentRecord> },
    /// It is done with the batch, of which it has taken up the first so many files.
    Done { batch: u32, taken: u32 },
    /// It waits for this much room. What it had is to be taken back.
    NeedsRoom(u64),
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentRecord {
    pub(crate) place: u32,
    pub(crate) outcome: Result<Outcome, SentError>,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Of the room that was granted, what this record takes.
    pub(crate) room: u64,
}

/// What there is to say of a file that could be read.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Outcome {
    /// The output; or of a part, what the analysis has seen of it.
    Read(Payload),
    /// It is so large that it should be read in parts, and was not read yet.
    Large(Promise),
}

/// The bytes of some value.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Payload {
    Inline(Bytes),
    /// The n-th piece of shared memory of the message.
    Shared(u32),
}

/// Bytes that are copied as a whole.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Bytes(#[serde(with = "serde_bytes")] pub(crate) Vec<u8>);

impl From<&Path> for Bytes {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<Bytes> for PathBuf {
    fn from(bytes: Bytes) -> Self {
        Self::from(OsString::from_vec(bytes.0))
    }
}

/// A [`ReadError`] but for its path, which the other side knows.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SentError {
    kind: ErrorKind,
    operation: Operation,
    os_error: Option<i32>,
    detail: Option<String>,
    bytes_read: u64,
}

impl SentError {
    pub(crate) fn into_error(self, path: &Path) -> ReadError {
        let error = match self.os_error {
            Some(code) => ReadError::from_io(io::Error::from_raw_os_error(code), self.operation, path),
            None => ReadError::new(self.kind, self.operation, path),
        };
        let error = error.with_kind(self.kind).with_bytes_read(self.bytes_read);
        match self.detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        }
    }
}

impl From<&ReadError> for SentError {
    fn from(error: &ReadError) -> Self {
        // Longer words than anybody reads; and a panic's message can be of any length.
        const MOST: usize = 1000;
        let detail = error.detail().map(|detail| {
            let end = (0..=MOST.min(detail.len())).rev().find(|at| detail.is_char_boundary(*at));
            detail[..end.unwrap_or(0)].to_owned()
        });
        Self {
            kind: error.kind(),
            operation: error.operation(),
            os_error: error.os_error().and_then(io::Error::raw_os_error),
            detail,
            bytes_read: error.bytes_read(),
        }
    }
}

/// The other side is gone, or does not speak this protocol.
#[derive(Debug)]
pub(crate) enum Broken {
    Closed,
    Nonsense(String),
}

fn coding() -> impl Options {
    bincode::DefaultOptions::new().with_limit(MOST_BYTES)
}

/// Pieces of shared memory for one message.
#[derive(Debug, Default)]
pub(crate) struct Shared(Vec<IpcSharedMemory>);

impl Shared {
    /// The value of some bytes, beside the message if they are many.
    pub(crate) fn payload(&mut self, bytes: &[u8]) -> Payload {
        if bytes.len() < SHARED_FROM {
            return Payload::Inline(Bytes(bytes.to_vec()));
        }
        let place = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(IpcSharedMemory::from_bytes(bytes));
        Payload::Shared(place)
    }

    /// The bytes of a value that has come.
    pub(crate) fn bytes<'a>(&'a self, payload: &'a Payload) -> Result<&'a [u8], Broken> {
        match payload {
            Payload::Inline(bytes) => Ok(&bytes.0),
            Payload::Shared(place) => {
                let memory = usize::try_from(*place).ok().and_then(|place| self.0.get(place));
                memory.map(|memory| &**memory).ok_or_else(|| Broken::Nonsense("it names memory it did not send".into()))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Sends a message.
pub(crate) fn send<T: Serialize>(to: &IpcSender<Packet>, message: &T, shared: Shared) -> Result<(), Broken> {
    let body = coding().serialize(message).map_err(|error| Broken::Nonsense(error.to_string()))?;
    to.send(Packet { body, shared: shared.0 }).map_err(|_| Broken::Closed)
}

/// Waits for a message, for `patience` if there is one; `None` when that is over.
///
/// What comes is not trusted: the channel itself panics over some kinds of nonsense.
pub(crate) fn receive<T: DeserializeOwned>(
    from: &IpcReceiver<Packet>,
    patience: Option<Duration>,
) -> Result<Option<(T, Shared)>, Broken> {
    use ipc_channel::{IpcError, TryRecvError};
    let received = catch_unwind(AssertUnwindSafe(|| match patience {
        Some(patience) => from.try_recv_timeout(patience),
        None => from.recv().map_err(TryRecvError::IpcError),
    }));
    let packet = match received {
        Ok(Ok(packet)) => packet,
        Ok(Err(TryRecvError::Empty)) => return Ok(None),
        Ok(Err(TryRecvError::IpcError(IpcError::Io(error)))) if error.kind() == io::ErrorKind::Interrupted => {
            return Ok(None);
        }
        Ok(Err(TryRecvError::IpcError(IpcError::SerializationError(error)))) => {
            return Err(Broken::Nonsense(format!("what it sent is no message: {error}")));
        }
        Ok(Err(TryRecvError::IpcError(_))) => return Err(Broken::Closed),
        Err(_) => return Err(Broken::Nonsense("what it sent is no message".to_owned())),
    };
    let message = coding().deserialize(&packet.body);
    let message = message.map_err(|error| Broken::Nonsense(format!("what it sent is no message: {error}")))?;
    Ok(Some((message, Shared(packet.shared))))
}

/// A value as bytes. Bytes and strings are what they are, which is how contents come across at the speed of a copy.
pub(crate) fn encode<T: Serialize + 'static>(value: &T) -> Result<Vec<u8>, String> {
    bincode::DefaultOptions::new().serialize(value).map_err(|error| error.to_string())
}

/// The bytes of a value that is nothing but bytes.
pub(crate) fn as_bytes<T: 'static>(value: &T) -> Option<&[u8]> {
    let value: &dyn Any = value;
    let text = || value.downcast_ref::<String>().map(String::as_bytes);
    value.downcast_ref::<Vec<u8>>().map(Vec::as_slice).or_else(text)
}

/// The other way: `None` if the type is not one of those.
pub(crate) fn from_bytes<T: 'static>(bytes: &[u8]) -> Option<Result<T, Undecodable>> {
    let copy = || {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| Undecodable::OutOfMemory(bytes.len()))?;
        copy.extend_from_slice(bytes);
        Ok(copy)
    };
    let mut slot: Option<T> = None;
    let any: &mut dyn Any = &mut slot;
    if let Some(slot) = any.downcast_mut::<Option<Vec<u8>>>() {
        match copy() {
            Ok(copy) => *slot = Some(copy),
            Err(error) => return Some(Err(error)),
        }
    } else if let Some(slot) = any.downcast_mut::<Option<String>>() {
        let text = copy().and_then(|copy| {
            String::from_utf8(copy).map_err(|_| Undecodable::Nonsense("its text is not UTF-8".to_owned()))
        });
        match text {
            Ok(text) => *slot = Some(text),
            Err(error) => return Some(Err(error)),
        }
    }
    slot.map(Ok)
}

/// Why bytes could not be made a value.
#[derive(Debug)]
pub(crate) enum Undecodable {
    OutOfMemory(usize),
    Nonsense(String),
}

/// A value from bytes, which must all belong to it.
pub(crate) fn decode<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, Undecodable> {
    if let Some(value) = from_bytes(bytes) {
        return value;
    }
    // The limit is what is there: no length that is only claimed can be allocated for.
    let coding = bincode::DefaultOptions::new().with_limit(bytes.len() as u64);
    let decoded = catch_unwind(AssertUnwindSafe(|| coding.deserialize(bytes)));
    let nonsense = |reason: String| Undecodable::Nonsense(format!("what it sent is no output: {reason}"));
    match decoded {
        Ok(decoded) => decoded.map_err(|error| nonsense(error.to_string())),
        Err(_) => Err(nonsense("reading it panicked".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_and_text_are_copied_and_anything_else_is_encoded() {
        assert_eq!(as_bytes(&vec![1u8, 2]), Some(&[1, 2][..]));
        assert_eq!(as_bytes(&"ab".to_owned()), Some(&b"ab"[..]));
        assert_eq!(as_bytes(&7u64), None);
        assert_eq!(decode::<Vec<u8>>(&[1, 2]).unwrap(), [1, 2]);
        assert_eq!(decode::<String>(b"ab").unwrap(), "ab");
        assert!(matches!(decode::<String>(b"\xff"), Err(Undecodable::Nonsense(_))));
        assert_eq!(decode::<(u64, bool)>(&encode(&(300u64, true)).unwrap()).unwrap(), (300, true));
    }

    #[test]
    fn a_length_that_is_only_claimed_is_refused_and_not_allocated() {
        // A vector that says it has 2^60 elements.
        let claim = encode(&(1u64 << 60)).unwrap();
        assert!(matches!(decode::<Vec<u64>>(&claim), Err(Undecodable::Nonsense(_))));
        assert!(coding().deserialize::<Answer>(&[3, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16]).is_err());
        assert!(coding().deserialize::<Answer>(&[77]).is_err());
    }

    #[test]
    fn errors_come_across() {
        let path = Path::new("some/file");
        let os = ReadError::from_io(io::Error::from_raw_os_error(5), Operation::Read, path).with_bytes_read(7);
        let own = ReadError::new(ErrorKind::Panicked, Operation::Analyse, path).with_detail("ä".repeat(1000));
        for error in [os, own] {
            let back = SentError::from(&error).into_error(path);
            assert_eq!((back.kind(), back.operation()), (error.kind(), error.operation()));
            assert_eq!((back.bytes_read(), back.path()), (error.bytes_read(), error.path()));
            assert!(error.message().starts_with(&back.message()), "{back}");
        }
    }
}
