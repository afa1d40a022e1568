//! A file that was found: how it is opened without being led astray, and which version of it was opened.

mod beneath;
mod descriptors;
mod entry;
mod links;
mod root;
mod version;

pub(crate) use descriptors::when_free;
pub use entry::FileEntry;
pub use links::Links;
pub use root::Root;
pub use version::FileVersion;
