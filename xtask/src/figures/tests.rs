//! What becomes of pages that quote runs, and that those of this repository are up to date.

use super::*;

/// A repository with one recorded run of one tree: two strategies, one of them clearly slower, and the floor.
fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let cell = |name: &str, kind: &str, seconds: f64, tie: bool| {
        serde_json::json!({
            "strategy": name, "kind": kind, "cache": "warm", "cache_verified": true,
            "median_s": seconds, "ci_low_s": seconds, "ci_high_s": seconds, "samples_s": [seconds], "trial_only": false, "outliers": [],
            "settled": true, "to_fastest": null, "to_floor": {"value": seconds / 0.05, "low": 1.0, "high": 2.0},
            "to_sequential": null, "to_twin": null, "tie": tie, "files_per_s": 1.0, "bytes_per_s": 1.0,
            "peak_rss_bytes": 3 << 20, "cpu_s": 1.0, "cpu_user_s": 1.0, "cpu_system_s": 0.0,
            "voluntary_switches": 0.0, "involuntary_switches": 0.0, "minor_faults": 0.0, "major_faults": 0.0,
            "fetched_bytes": 0, "stored_bytes": 0, "observed": null, "failed": 0, "verified": true,
            "totals": {"files": 1000, "bytes": 1, "words": 1, "chars": 1, "lines": 1},
        })
    };
    let cells = [
        cell("floor", "floor", 0.05, false),
        cell("tokio", "strategy", 0.0712, false),
        cell("rayon", "strategy", 2.5, false),
    ];
    let host = serde_json::json!({"os": "linux", "arch": "x", "kernel": "6", "cpu": "c", "cores": 2, "memory_bytes": 1,
        "polyread_version": "0.1.0"});
    let corpus = serde_json::json!({"name": "c", "path": "/c", "file_system": null, "files": 1000, "bytes": 1,
        "totals": {"files": 1000, "bytes": 1, "words": 1, "chars": 1, "lines": 1}, "cells": cells, "failures": [], "changed": false, "fastest": {"warm": "tokio"}, "noise": {}, "timelines": []});
    let results = serde_json::json!({"schema_version": 1, "begun": "", "took_s": 1.0, "command": [], "stopped": null,
        "host": host, "analysis": "text-stats", "runs": 1, "drop_caches": false, "budget_s": null, "corpora": [corpus],
        "recommendation": "tokio", "recommendations": [], "goals": [], "sweeps": [], "units": [], "baseline": null,
        "notes": []});
    fs::write(root.path().join("run.json"), results.to_string()).unwrap();
    root
}

#[test]
fn what_stands_between_the_comments_comes_from_the_run() {
    let root = repository();
    let page = "# Page\n<!-- figures: run.json times warm strategy floor -->\nold\n<!-- /figures -->\nrest, with `<!-- figures: x -->`\n";
    let (new, count) = rewrite(page, root.path()).unwrap();
    assert_eq!(count, 1);
    let lines: Vec<_> = new.lines().filter(|line| line.starts_with('|')).collect();
    assert!(lines[0].contains("c: 1,000 files, 1 B"), "{new}");
    assert!(lines[2].contains("tokio") && lines[2].contains("**71.2 ms (1.42)**"), "{new}");
    assert!(lines[3].contains("rayon") && lines[3].contains(" 2.50 s (50.00)"), "{new}");
    assert!(lines[4].contains("floor") && lines[4].contains(" 50.0 ms"), "{new}");
    assert!(!new.contains("old") && new.starts_with("# Page\n<!-- figures: run.json") && new.ends_with("x -->`\n"));
    // Nothing changes the second time.
    assert_eq!(rewrite(&new, root.path()).unwrap().0, new);
    let (memory, _) = rewrite(&page.replace("times", "memory"), root.path()).unwrap();
    assert!(memory.contains("3.00 MiB"), "{memory}");
}

#[test]
fn a_page_that_asks_for_what_is_not_there_is_told() {
    let root = repository();
    for (order, said) in [
        ("run.json times warm naive", "nothing of it"),
        ("run.json times lukewarm strategy", "lukewarm"),
        ("run.json times warm magic", "'magic' is no kind"),
        ("run.json colours warm strategy", "neither times nor memory"),
        ("run.json", "are needed"),
        ("none.json times warm strategy", "cannot read"),
    ] {
        let page = format!("<!-- figures: {order} -->\n<!-- /figures -->\n");
        let error = format!("{:#}", rewrite(&page, root.path()).unwrap_err());
        assert!(error.contains(said), "{order}: {error}");
    }
    let open = rewrite("<!-- figures: run.json times warm strategy -->\n", root.path()).unwrap_err();
    assert!(open.to_string().contains("without"), "{open}");
}

/// CI runs this too: `cargo xtask figures --check`.
#[test]
fn the_pages_of_this_repository_show_the_figures_of_the_runs_that_they_quote() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for file in links::pages(&root).unwrap() {
        let old = fs::read_to_string(root.join(&file)).unwrap();
        assert!(rewrite(&old, &root).unwrap().0 == old, "{}: run `cargo xtask figures`", file.display());
    }
}
