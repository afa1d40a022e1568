//! Which analyses can run in another process.

use polyread_core::Analysis;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An [`Analysis`] that can cross to another process: serde can encode it and its outputs. Every type that fulfils the
/// bounds is one.
///
/// Outputs that are a `Vec<u8>` or a `String` cross at the speed of a copy, and through shared memory if they are large;
/// others are encoded by bincode. Workers know an analysis by the name of its type, after it was registered with
/// [`Worker::with`](crate::Worker::with); those of `polyread-core` are.
pub trait PortableAnalysis: Analysis<Output: Serialize + DeserializeOwned> + Serialize + DeserializeOwned {}

impl<A> PortableAnalysis for A where A: Analysis<Output: Serialize + DeserializeOwned> + Serialize + DeserializeOwned {}
