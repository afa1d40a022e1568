//! Complaints on standard error.

use std::io::{self, Write};

/// One line on standard error. It may be closed: then there is nobody to tell, and no reason to panic.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "polyread: {message}");
}
