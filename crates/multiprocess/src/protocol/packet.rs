//! Messages on their way: encoded by bincode with a limit, and never larger than a socket takes at once.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bincode::Options;
use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most bytes of a message. Far below the size that a socket takes in one piece (some 200 kB), so that sending to a
/// stopped worker does not block: no more than two batches are ever on their way.
pub(crate) const MOST_BYTES: u64 = 96 * 1024;

/// Values from this size on, in bytes, travel in shared memory. Below it, copying into a message is cheaper than the half
/// a dozen system calls that a mapping costs.
pub(crate) const SHARED_FROM: usize = 32 * 1024;

/// The most pieces of shared memory in one message; a socket passes at most 64 descriptors at once.
pub(crate) const MOST_SHARED: usize = 16;

/// A message on its way.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Packet {
    /// An `Order` or an `Answer`, by bincode.
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
    shared: Vec<IpcSharedMemory>,
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

/// The pieces of shared memory that travel with one message.
#[derive(Debug, Default)]
pub(crate) struct SharedMemory(Vec<IpcSharedMemory>);

impl SharedMemory {
    /// The payload for a value of these bytes. Many bytes are added as a piece of shared memory.
    pub(crate) fn payload(&mut self, bytes: &[u8]) -> Payload {
        if bytes.len() < SHARED_FROM {
            return Payload::Inline(Bytes(bytes.to_vec()));
        }
        let place = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(IpcSharedMemory::from_bytes(bytes));
        Payload::Shared(place)
    }

    /// The bytes of a received payload.
    pub(crate) fn bytes<'a>(&'a self, payload: &'a Payload) -> Result<&'a [u8], ChannelError> {
        match payload {
            Payload::Inline(bytes) => Ok(&bytes.0),
            Payload::Shared(place) => {
                let memory = usize::try_from(*place).ok().and_then(|place| self.0.get(place));
                memory.map(|memory| &**memory).ok_or_else(|| ChannelError::invalid("it names memory it did not send"))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Why no more messages can be exchanged with the other process.
#[derive(Debug)]
pub(crate) enum ChannelError {
    /// The other process has closed the channel.
    Closed,
    /// The other process does not speak this protocol: what it did, in words.
    Invalid(String),
}

impl ChannelError {
    pub(crate) fn invalid(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}

/// The encoding of messages, with their limit.
pub(super) fn coding() -> impl Options {
    bincode::DefaultOptions::new().with_limit(MOST_BYTES)
}

/// Sends a message.
pub(crate) fn send<T: Serialize>(
    to: &IpcSender<Packet>,
    message: &T,
    shared: SharedMemory,
) -> Result<(), ChannelError> {
    let body = coding().serialize(message).map_err(|error| ChannelError::Invalid(error.to_string()))?;
    to.send(Packet { body, shared: shared.0 }).map_err(|_| ChannelError::Closed)
}

/// Waits for a message, at most for `timeout` if there is one; `None` when that is over.
///
/// The bytes are not trusted: the channel itself panics over some kinds of garbage.
pub(crate) fn receive<T: DeserializeOwned>(
    from: &IpcReceiver<Packet>,
    timeout: Option<Duration>,
) -> Result<Option<(T, SharedMemory)>, ChannelError> {
    use ipc_channel::{IpcError, TryRecvError};
    let received = catch_unwind(AssertUnwindSafe(|| match timeout {
        Some(timeout) => from.try_recv_timeout(timeout),
        None => from.recv().map_err(TryRecvError::IpcError),
    }));
    let packet = match received {
        Ok(Ok(packet)) => packet,
        Ok(Err(TryRecvError::Empty)) => return Ok(None),
        Ok(Err(TryRecvError::IpcError(IpcError::Io(error)))) if error.kind() == io::ErrorKind::Interrupted => {
            return Ok(None);
        }
        Ok(Err(TryRecvError::IpcError(IpcError::SerializationError(error)))) => {
            return Err(ChannelError::Invalid(format!("what it sent is no message: {error}")));
        }
        Ok(Err(TryRecvError::IpcError(_))) => return Err(ChannelError::Closed),
        Err(_) => return Err(ChannelError::invalid("what it sent is no message")),
    };
    let message = coding().deserialize(&packet.body);
    let message = message.map_err(|error| ChannelError::Invalid(format!("what it sent is no message: {error}")))?;
    Ok(Some((message, SharedMemory(packet.shared))))
}
