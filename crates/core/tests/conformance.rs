//! The suite that every reader passes, on the one that is the others' reference.

polyread_conformance::suite! {
    reader: polyread_core::SequentialReader::new(),
    half_way: |job| drop(polyread_core::SequentialReader::new().records(job).unwrap().next()),
}
