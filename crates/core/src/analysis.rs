//! What to compute from one file's bytes.

mod annotated;
mod byte_count;
mod contents;
mod contract;
mod pair;
mod text;
mod text_stats;

pub use annotated::Annotated;
pub use byte_count::ByteCount;
pub use contents::Contents;
pub use contract::{Analysis, Combine, Parts, Rejection};
pub use text::{InvalidUtf8, Text};
pub use text_stats::{Level, TextCounts, TextStats, text_counts};
