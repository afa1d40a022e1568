//! The suite that every reader passes, and what dropping the iterator half-way must leave behind: nothing.

use polyread_io_uring::IoUringReader;

polyread_conformance::suite! {
    reader: IoUringReader::new(),
    half_way: |job| drop(IoUringReader::new().records(job).unwrap().next()),
}
