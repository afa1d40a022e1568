//! The example of a reader of one's own passes the suite that all readers pass.

#[expect(dead_code, reason = "its main is not run here")]
#[path = "../examples/own_reader.rs"]
mod own_reader;

use own_reader::OwnReader;
use polyread_core::FileReader;

polyread_conformance::suite! {
    reader: OwnReader,
    half_way: |job| drop(OwnReader.records(job).unwrap().next()),
}
