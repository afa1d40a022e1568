//! The kinds of charts: rows of marks along one scale, curves over two, lanes of a time.

pub(crate) mod curves;
pub(crate) mod lanes;
pub(crate) mod rows;
