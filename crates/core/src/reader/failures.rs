//! Errors that several parts of reading a file report alike.

use std::any::Any;
use std::path::Path;
use std::time::Duration;

use crate::analysis::Rejection;
use crate::error::{ErrorKind, Operation, ReadError};

pub(super) fn too_large(path: &Path, operation: Operation, size: u64, what: &str, limit: u64) -> ReadError {
    ReadError::new(ErrorKind::TooLarge, operation, path).with_detail(format!("{size} bytes, {what} {limit}"))
}

pub(super) fn timed_out(path: &Path, limit: Duration) -> ReadError {
    ReadError::new(ErrorKind::Timeout, Operation::Read, path)
        .with_detail(format!("the limit is {limit:?} for each file"))
}

pub(super) fn changed(path: &Path, size: u64) -> ReadError {
    ReadError::new(ErrorKind::Changed, Operation::Read, path)
        .with_detail(format!("it was {size} bytes long when it was opened"))
}

pub(super) fn rejected(path: &Path, rejection: Rejection) -> ReadError {
    let (kind, detail) = match rejection {
        Rejection::InvalidUtf8 { offset } => (ErrorKind::InvalidUtf8, format!("at byte offset {offset}")),
        Rejection::OutOfMemory { bytes } => (ErrorKind::OutOfMemory, format!("{bytes} bytes could not be allocated")),
        Rejection::Other(reason) => (ErrorKind::Rejected, reason),
    };
    ReadError::new(kind, Operation::Analyse, path).with_detail(detail)
}

pub(super) fn panicked(path: &Path, panic: &(dyn Any + Send)) -> ReadError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    ReadError::new(ErrorKind::Panicked, Operation::Analyse, path).with_detail(message)
}
