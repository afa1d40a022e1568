//! The failure of a file on its way to the parent.

use std::io;
use std::path::Path;

use polyread_core::{ErrorKind, Operation, ReadError};
use serde::{Deserialize, Serialize};

/// A [`ReadError`] without its path, which the parent knows.
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
        // The message of a panic can be of any length.
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

#[cfg(test)]
mod tests {
    use super::*;

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
