//! The suite that every reader passes, and what dropping the iterator half-way must leave behind: nothing.

mod common;

use common::reader;
use polyread_core::{FileReader, TextStats};
use polyread_io_uring::IoUringReader;

polyread_conformance::suite! {
    reader: reader(),
    half_way: |job| match IoUringReader::new().records(job) {
        Ok(mut records) => drop(records.next()),
        Err(reason) => println!("skipped: {reason}"),
    },
}

/// The same with slots too few and buffers too small for most of what comes.
mod cramped {
    use polyread_io_uring::{Config, IoUringReader};

    use super::common::reader_with;

    fn config() -> Config {
        Config::default().in_flight(2).buffer(512)
    }

    polyread_conformance::suite! {
        reader: reader_with(config()),
        half_way: |job| match IoUringReader::with_config(config()).records(job) {
            Ok(mut records) => drop(records.next()),
            Err(reason) => println!("skipped: {reason}"),
        },
    }
}

#[test]
fn it_has_its_name() {
    assert_eq!(FileReader::<TextStats>::name(&IoUringReader::new()), "io-uring");
}
