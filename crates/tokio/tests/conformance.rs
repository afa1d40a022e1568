//! The suite that every reader passes, and what dropping the stream half-way must leave behind: nothing.

use futures_util::StreamExt;
use polyread_tokio::TokioReader;
use tokio::runtime::Builder;

polyread_conformance::suite! {
    reader: TokioReader::new(),
    half_way: |job| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async { drop(TokioReader::new().stream(job).unwrap().next().await) });
    },
    abandons_what_hangs,
}
