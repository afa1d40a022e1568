//! The suite that every reader passes, and what dropping the stream half-way must leave behind: nothing.

use async_std::stream::StreamExt;
use polyread_async_std::AsyncStdReader;

polyread_conformance::suite! {
    reader: AsyncStdReader::new(),
    half_way: |job| async_std::task::block_on(async { drop(AsyncStdReader::new().stream(job).unwrap().next().await) }),
    abandons_what_hangs,
}
