//! The outcome of a file, as its worker has sent it.

use std::path::Path;

use polyread_core::{ErrorKind, Operation, ReadError};
use serde::de::DeserializeOwned;

use crate::protocol::{ChannelError, Payload, SentError, SharedMemory, Undecodable, decode};

/// Decodes the outcome of a file of which `read` bytes were read: an output, or the state of an analysis. A value that cannot
/// be decoded is that file's failure.
///
/// # Errors
///
/// The message is one that no sound worker sends.
pub(crate) fn decode_outcome<T: DeserializeOwned + 'static>(
    sent: Result<Payload, SentError>,
    shared: &SharedMemory,
    path: &Path,
    read: u64,
) -> Result<Result<T, ReadError>, ChannelError> {
    let payload = match sent {
        Ok(payload) => payload,
        Err(error) => return Ok(Err(error.into_error(path))),
    };
    let error = |kind| ReadError::new(kind, Operation::Analyse, path).with_bytes_read(read);
    let bytes = shared.bytes(&payload)?;
    Ok(decode(bytes).map_err(|undecodable| match undecodable {
        Undecodable::OutOfMemory(bytes) => {
            error(ErrorKind::OutOfMemory).with_detail(format!("{bytes} bytes could not be allocated"))
        }
        // The message is whole, and so its sender is sound: only this output cannot be decoded.
        Undecodable::Invalid(reason) => error(ErrorKind::Protocol).with_detail(reason),
    }))
}
