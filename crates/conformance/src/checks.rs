//! What every reader must show. Each function panics when the reader does not.

mod changing;
mod collect;
mod leaks;
mod limits;
mod records;
mod stopping;

pub use changing::*;
pub use leaks::*;
pub use limits::*;
pub use records::*;
pub use stopping::*;
