//! Words, characters, lines and bytes, as CPython counts them.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod counts;
mod kernel;
mod level;
mod portable;
mod reference;
mod seam;
mod stats;
#[cfg(test)]
mod tests;

pub use counts::TextCounts;
pub use level::Level;
pub use reference::text_counts;
pub use stats::TextStats;
