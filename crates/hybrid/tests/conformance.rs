//! The suite that every reader passes, and what dropping the iterator half-way must leave behind: nothing.

use polyread_hybrid::HybridReader;

polyread_conformance::suite! {
    reader: HybridReader::new(),
    half_way: |job| drop(HybridReader::new().records(job).unwrap().next()),
}

/// The same when every file, however small, goes over to the large side.
mod everything_crosses {
    use super::HybridReader;

    polyread_conformance::suite! {
        reader: HybridReader::new().with_threshold(0),
        half_way: |job| drop(HybridReader::new().with_threshold(0).records(job).unwrap().next()),
    }
}

/// The same with the sides the other way round.
mod other_sides {
    use polyread_rayon::RayonReader;
    use polyread_tokio::TokioReader;

    use super::HybridReader;

    polyread_conformance::suite! {
        reader: HybridReader::of(RayonReader::new(), TokioReader::new()).with_threshold(20),
    }
}

/// The same with rings on the small side, where the system has them.
mod on_rings {
    use polyread_io_uring::IoUringReader;
    use polyread_rayon::RayonReader;

    use super::HybridReader;

    fn reader<A: polyread_core::Analysis>() -> HybridReader<A> {
        match IoUringReader::available() {
            Ok(()) => HybridReader::of(IoUringReader::new(), RayonReader::new()).with_threshold(20),
            Err(reason) => {
                println!("skipped: {reason}");
                HybridReader::new()
            }
        }
    }

    polyread_conformance::suite! {
        reader: reader(),
        half_way: |job| drop(reader().records(job).unwrap().next()),
    }
}
