//! Advice as one JSON object, for programs.

use polyread_advise::{Advice, Alternative, Characteristics, Settings};
use serde::Serialize;

use super::commands::{dependency, options};

/// The names are stable: scripts depend on them.
#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    files: u64,
    bytes: u64,
    mean_size: Option<u64>,
    empty_files: u64,
    small_files: u64,
    small_bytes: u64,
    sizes: Option<JsonSizes>,
    failed: u64,
    skipped: u64,
    cpu_bound: bool,
    mixed_workload: bool,
    advice: Option<JsonAdvice<'a>>,
    stopped: Option<&'static str>,
}

#[derive(Serialize)]
struct JsonSizes {
    min: u64,
    p10: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

#[derive(Serialize)]
struct JsonAdvice<'a> {
    strategy: &'static str,
    why: &'a str,
    settings: JsonSettings<'a>,
    alternatives: Vec<JsonAlternative>,
    caveat: &'a str,
    options: Vec<String>,
    dependency: String,
}

#[derive(Serialize)]
struct JsonSettings<'a> {
    workers: Option<usize>,
    max_open_files: Option<usize>,
    hops_in_flight: Option<usize>,
    why: &'a str,
}

#[derive(Serialize)]
struct JsonAlternative {
    strategy: &'static str,
    why: &'static str,
}

/// The object in its line.
pub(super) fn line(seen: &Characteristics, advice: Option<&Advice>) -> serde_json::Result<String> {
    let line = Line {
        r#type: "advice",
        files: seen.files(),
        bytes: seen.bytes(),
        mean_size: seen.mean_size(),
        empty_files: seen.empty_files(),
        small_files: seen.small_files(),
        small_bytes: seen.small_bytes(),
        sizes: seen.sizes().map(|sizes| JsonSizes {
            min: sizes.min,
            p10: sizes.p10,
            p50: sizes.p50,
            p90: sizes.p90,
            p99: sizes.p99,
            max: sizes.max,
        }),
        failed: seen.failed(),
        skipped: seen.skipped(),
        cpu_bound: seen.is_cpu_bound(),
        mixed_workload: seen.is_mixed_workload(),
        advice: advice.map(|advice| {
            let Settings { workers, max_open_files, hops_in_flight, .. } = advice.setup.settings;
            let alternative = |other: &Alternative| JsonAlternative { strategy: other.strategy, why: other.why };
            JsonAdvice {
                strategy: advice.setup.approach.as_str(),
                why: &advice.why,
                settings: JsonSettings { workers, max_open_files, hops_in_flight, why: &advice.setup.why },
                alternatives: advice.alternatives.iter().map(alternative).collect(),
                caveat: &advice.caveat,
                options: options(advice),
                dependency: dependency(advice),
            }
        }),
        stopped: seen.is_partial().then_some("signal"),
    };
    Ok(serde_json::to_string(&line)? + "\n")
}
