//! The suite that every reader passes, and what dropping the iterator half-way must leave behind: nothing.

use polyread_conformance::{Held, Scripted};
use polyread_multiprocess::{Config, MultiprocessReader, Worker};

/// What the workers run: this test program again, for this test alone.
#[test]
fn worker() {
    Worker::new().with::<Scripted>().with::<Held>().run();
}

fn reader() -> MultiprocessReader {
    MultiprocessReader::with_config(Config::default().in_tests("worker"))
}

polyread_conformance::suite! {
    reader: reader(),
    half_way: |job| drop(reader().records(job).unwrap().next()),
    abandons_what_hangs,
}
