//! What can be set on the reader itself: the same as on every reader that hops.

pub use polyread_hops::Config;
