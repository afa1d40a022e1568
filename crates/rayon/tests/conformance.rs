//! The suite that every reader passes, and what dropping the iterator half-way must leave behind: nothing.

use polyread_rayon::RayonReader;

polyread_conformance::suite! {
    reader: RayonReader::new(),
    half_way: |job| drop(RayonReader::new().records(job).unwrap().next()),
}
