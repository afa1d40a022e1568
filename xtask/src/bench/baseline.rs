//! Is anything slower than it was? Two comparisons of the same trees, held against each other.

use serde::{Deserialize, Serialize};

use super::cold::Cache;
use super::contestant::Kind;
use super::stats::Interval;

/// This comparison, held against an earlier one.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Comparison {
    /// When the earlier one began.
    pub(crate) begun: String,
    pub(crate) rows: Vec<Row>,
    /// What makes the two hard to compare, for people.
    pub(crate) notes: Vec<String>,
}

/// One contestant then and now.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) corpus: String,
    pub(crate) cache: Cache,
    pub(crate) strategy: String,
    pub(crate) kind: Kind,
    pub(crate) before_s: f64,
    pub(crate) now_s: f64,
    /// Now by before, after what the whole machine has become slower or faster by was taken out.
    pub(crate) ratio: Interval,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Slower,
    Faster,
    /// No difference beyond the noise.
    Same,
    /// Too few samples, then or now.
    Unknown,
}
