//! A line for each contestant, tree and state of the cache, for spreadsheets and data frames.

use anyhow::{Context, Result};

use crate::bench::results::Results;

const HEADS: [&str; 39] = [
    "corpus",
    "path",
    "file_system",
    "cache",
    "strategy",
    "kind",
    "verified",
    "cache_verified",
    "tie",
    "settled",
    "median_s",
    "ci_low_s",
    "ci_high_s",
    "to_fastest",
    "to_floor",
    "to_sequential",
    "to_twin",
    "files_per_s",
    "bytes_per_s",
    "cpu_s",
    "cpu_user_s",
    "cpu_system_s",
    "peak_rss_bytes",
    "peak_pss_bytes",
    "processes",
    "threads",
    "descriptors",
    "system_calls",
    "voluntary_switches",
    "involuntary_switches",
    "minor_faults",
    "major_faults",
    "fetched_bytes",
    "stored_bytes",
    "files",
    "bytes",
    "failed",
    "outliers",
    // Several in one field, with spaces between: the lines stay one for each cell, and nothing is lost.
    "samples_s",
];

/// With a line of heads; a field is empty where there is no figure, and quoted where it has to be.
pub(crate) fn render(results: &Results) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADS)?;
    for corpus in &results.corpora {
        for cell in &corpus.cells {
            let some = |figure: Option<u64>| figure.map_or_else(String::new, |figure| figure.to_string());
            let ratio = |ratio: &Option<crate::bench::stats::Interval>| {
                ratio.map_or_else(String::new, |ratio| ratio.value.to_string())
            };
            let looked = cell.observed;
            let samples: Vec<_> = cell.samples_s.iter().map(ToString::to_string).collect();
            writer.write_record([
                corpus.name.clone(),
                corpus.path.clone(),
                corpus.file_system.clone().unwrap_or_default(),
                cell.cache.name().to_owned(),
                cell.strategy.clone(),
                cell.kind.name().to_owned(),
                cell.verified.to_string(),
                cell.cache_verified.to_string(),
                cell.tie.to_string(),
                cell.settled.to_string(),
                cell.median_s.to_string(),
                cell.ci_low_s.to_string(),
                cell.ci_high_s.to_string(),
                ratio(&cell.to_fastest),
                ratio(&cell.to_floor),
                ratio(&cell.to_sequential),
                ratio(&cell.to_twin),
                cell.files_per_s.to_string(),
                cell.bytes_per_s.to_string(),
                cell.cpu_s.to_string(),
                cell.cpu_user_s.to_string(),
                cell.cpu_system_s.to_string(),
                cell.peak_rss_bytes.to_string(),
                some(looked.and_then(|it| it.peak_pss_bytes)),
                some(looked.map(|it| it.processes)),
                some(looked.map(|it| it.threads)),
                some(looked.map(|it| it.descriptors)),
                some(looked.and_then(|it| it.system_calls)),
                cell.voluntary_switches.to_string(),
                cell.involuntary_switches.to_string(),
                cell.minor_faults.to_string(),
                cell.major_faults.to_string(),
                cell.fetched_bytes.to_string(),
                cell.stored_bytes.to_string(),
                cell.totals.files.to_string(),
                cell.totals.bytes.to_string(),
                cell.failed.to_string(),
                cell.outliers.len().to_string(),
                samples.join(" "),
            ])?;
        }
    }
    let bytes = writer.into_inner().context("cannot write the results as CSV")?;
    String::from_utf8(bytes).context("cannot write the results as CSV")
}
