//! The suite that every reader passes, on the one that is the others' reference.

polyread_conformance::suite! {
    reader: polyread_core::SequentialReader::new(),
}
