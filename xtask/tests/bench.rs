//! The comparison as its users run it: arguments in, ranking or JSON out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("bench").args(arguments).output().unwrap()
}

fn tree() -> TempDir {
    let tree = TempDir::new().unwrap();
    for (name, content) in [("a", "one two\r\n"), ("b", "three"), ("sub/c", "\u{3000}文字\n")] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tree
}

const STRATEGIES: [&str; 6] = ["async-std", "hybrid", "multiprocess", "rayon", "sequential", "tokio"];

fn json(arguments: &[&str]) -> Value {
    let output = bench(&[&["--format", "json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = bench(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn json_has_the_keys_that_scripts_know() {
    let tree = tree();
    let results = json(&["--runs", "2", tree.path().to_str().unwrap()]);
    assert_eq!((&results["schema_version"], &results["runs"]), (&1.into(), &2.into()));
    assert!(results["host"]["cores"].as_u64().unwrap() > 0);
    let recommended = results["recommendation"].as_str().unwrap();
    assert!(recommended == "io-uring" || STRATEGIES.contains(&recommended));
    // They are set for profiles.
    assert_eq!(results["goals"], serde_json::json!([]));
    // Neither is there everywhere: usually only root may count calls.
    let expected = ["System calls were not counted", "io-uring takes no part"];
    let is_news = |note: &&Value| !expected.iter().any(|start| note.as_str().unwrap().starts_with(start));
    assert_eq!(results["notes"].as_array().unwrap().iter().find(is_news), None, "{results}");
    let [corpus] = &results["corpora"].as_array().unwrap()[..] else { panic!("not one corpus: {results}") };
    assert_eq!(corpus["path"], tree.path().to_str().unwrap());
    assert_eq!((&corpus["files"], &corpus["bytes"]), (&3.into(), &24.into()));
    assert_eq!(corpus["failures"], serde_json::json!([]));
    let cells = corpus["cells"].as_array().unwrap();
    let fastest = cells.iter().find(|cell| cell["kind"] == "strategy").unwrap();
    assert_eq!(corpus["fastest"]["warm"], fastest["strategy"]);
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for cell in cells {
        kinds.entry(cell["kind"].as_str().unwrap()).or_default().push(cell["strategy"].as_str().unwrap());
    }
    kinds.values_mut().for_each(|names| names.sort_unstable());
    let twins = STRATEGIES.map(|name| format!("naive-{name}"));
    let twins = twins.iter().map(String::as_str).collect();
    // Not every system has it; then the comparison says so, and goes on without. Its model has no naive twin.
    if !results["notes"].to_string().contains("io-uring takes no part") {
        let strategies = kinds.get_mut("strategy").unwrap();
        assert_eq!(strategies.remove(2), "io-uring");
    }
    assert_eq!(
        kinds,
        BTreeMap::from([("floor", vec!["floor", "floor-tuned"]), ("naive", twins), ("strategy", STRATEGIES.into())])
    );
    for cell in cells {
        assert_eq!((&cell["cache"], &cell["verified"]), (&"warm".into(), &true.into()), "{cell}");
        // The floor looks at nothing that it reads.
        let [words, chars, lines] = if cell["kind"] == "floor" { [0, 0, 0] } else { [4, 17, 2] };
        let totals = serde_json::json!({"files": 3, "bytes": 24, "words": words, "chars": chars, "lines": lines});
        assert_eq!((&cell["totals"], &cell["failed"]), (&totals, &0.into()), "{cell}");
        assert_eq!(cell["samples_s"].as_array().unwrap().len(), 2);
        assert!(cell["cache_verified"].is_boolean() && cell["stored_bytes"] == 24, "{cell}");
        let figure = |key: &str| cell[key].as_f64().unwrap_or_else(|| panic!("{key} in {cell}"));
        assert!(figure("ci_low_s") <= figure("median_s") && figure("median_s") <= figure("ci_high_s"));
        assert!(figure("fetched_bytes") >= 0.0);
        for key in ["files_per_s", "bytes_per_s", "peak_rss_bytes", "cpu_s"] {
            assert!(figure(key) > 0.0, "{key} in {cell}");
        }
    }
}

/// What is in the schema beside what the design of the project settled must not push that out.
#[test]
fn the_schema_in_the_book_describes_what_is_printed_and_has_every_settled_key() {
    let schema = include_str!("../../docs/bench.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let required = |object: &Value| {
        let keys = object["required"].as_array().unwrap().iter();
        keys.map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (object, keys) in [
        (&schema, &["schema_version", "host", "corpora", "recommendation"][..]),
        (&schema["$defs"]["CorpusResult"], &["name", "files", "bytes", "cells", "fastest"]),
        (
            &schema["$defs"]["Cell"],
            &[
                "strategy",
                "kind",
                "cache",
                "median_s",
                "ci_low_s",
                "ci_high_s",
                "samples_s",
                "files_per_s",
                "bytes_per_s",
                "peak_rss_bytes",
                "cpu_s",
                "failed",
                "verified",
                "totals",
            ],
        ),
        (&schema["$defs"]["Totals"], &["files", "bytes", "words", "chars", "lines"]),
    ] {
        let has = required(object);
        assert!(keys.iter().all(|key| has.iter().any(|it| it == key)), "{keys:?} in {has:?}");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let tree = tree();
    let report = tree.path().with_extension("report");
    let output = bench(&[
        "--runs",
        "1",
        "--cache",
        "both",
        "--peers",
        "--no-twins",
        "--strategy",
        "rayon",
        "--strategy",
        "multiprocess",
        "--format",
        "json",
        "--report",
        report.to_str().unwrap(),
        tree.path().to_str().unwrap(),
    ]);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let saved: Value = serde_json::from_slice(&fs::read(report.join("results.json")).unwrap()).unwrap();
    fs::remove_dir_all(report).unwrap();
    for results in [&printed, &saved] {
        let wrong: Vec<_> = validator.iter_errors(results).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    // What only a report measures is in it.
    assert!(!printed["corpora"][0]["timelines"].as_array().unwrap().is_empty(), "{printed}");
    assert!(!printed["sweeps"].as_array().unwrap().is_empty() && !printed["units"].as_array().unwrap().is_empty());
    // The schema does say no.
    let mut wrong = printed.clone();
    wrong["corpora"][0]["cells"][0]["median_s"] = "soon".into();
    assert!(!validator.is_valid(&wrong));
    wrong = printed;
    wrong.as_object_mut().unwrap().remove("host");
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn text_ranks_the_strategies_and_shows_floor_and_twins() {
    let tree = tree();
    let text = text(&["--runs", "1", "--strategy", "tokio", "--strategy", "rayon", tree.path().to_str().unwrap()]);
    for said in ["3 files, 24 B, warm cache", " 1.  ", " 2.  ", "1.00x", "Fastest: ", "time / floor"] {
        assert!(text.contains(said), "no '{said}' in {text}");
    }
    assert!(!text.contains(" 3. ") && !text.contains("Goals"), "{text}");
    let fastest = text.lines().find_map(|line| line.strip_prefix("Fastest: ")).unwrap();
    assert!(fastest.starts_with("tokio") || fastest.starts_with("rayon"), "{text}");
    for (name, kind) in [("tokio", "strategy"), ("naive-tokio", "naive"), ("naive-rayon", "naive"), ("floor", "floor")]
    {
        let is_row = |line: &str| {
            let mut words = line.split_whitespace().skip_while(|word| word.ends_with('.'));
            words.next() == Some(name) && words.next() == Some(kind)
        };
        assert!(text.lines().any(is_row), "no {name} in {text}");
    }
    assert!(!text.contains("naive-hybrid"), "{text}");
}

#[test]
fn twins_are_left_out_on_demand_and_that_is_said() {
    let tree = tree();
    let text = text(&["--runs", "1", "--no-twins", "--strategy", "rayon", tree.path().to_str().unwrap()]);
    assert!(!text.contains("naive-rayon") && text.contains("floor") && text.contains("twins were left out"), "{text}");
}

#[test]
fn markdown_has_its_tables() {
    let tree = tree();
    let text = text(&["--runs", "1", "--strategy", "rayon", "--format", "markdown", tree.path().to_str().unwrap()]);
    assert!(text.lines().any(|line| line.starts_with("## ") && line.contains("warm cache")), "{text}");
    assert!(text.contains("3 files, 24 B, warm cache"), "{text}");
    let tables: Vec<Vec<&str>> = text
        .split("\n\n")
        .map(|paragraph| paragraph.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>())
        .filter(|rows| !rows.is_empty())
        .collect();
    let columns = |row: &str| row.matches('|').count();
    for rows in &tables {
        assert!(rows.iter().all(|row| columns(row) == columns(rows[0])), "{rows:?}");
    }
    // Heads, a rule, the strategy, its twin and the floor in two forms.
    let ranking = tables.iter().find(|rows| rows[0].contains("time / floor") && rows[0].contains("kind")).unwrap();
    assert_eq!(ranking.len(), 2 + 4, "{text}");
}

#[test]
fn csv_has_a_line_for_each_contestant() {
    let tree = tree();
    let text = text(&["--runs", "1", "--strategy", "rayon", "--format", "csv", tree.path().to_str().unwrap()]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("corpus,path,") && lines[0].ends_with(",samples_s"), "{text}");
    assert_eq!(lines.len(), 1 + 4, "{text}");
}

/// What a report says is tested where it is made.
#[test]
fn a_report_is_written_beside_the_summary_and_can_be_made_again() {
    let (tree, out) = (tree(), TempDir::new().unwrap());
    let first = out.path().join("first");
    let arguments = ["--runs", "1", "--strategy", "rayon", "--report", first.to_str().unwrap()];
    let text = text(&[&arguments[..], &[tree.path().to_str().unwrap()]].concat());
    assert!(text.contains("Fastest: rayon") && !text.contains('\u{1b}'), "{text}");
    let again = out.path().join("again");
    let xtask = |arguments: &[&std::ffi::OsStr]| {
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("report").args(arguments).output().unwrap()
    };
    let output = xtask(&[first.join("results.json").as_ref(), "--out".as_ref(), again.as_ref()]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    for name in ["report.html", "report.md", "report.csv", "results.json"] {
        let [first, again] = [&first, &again].map(|directory| fs::read_to_string(directory.join(name)).unwrap());
        assert!(first == again && !first.is_empty(), "{name}");
    }
    let output = xtask(&[first.join("report.csv").as_ref()]);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("report.csv does not hold the results of a comparison"));
}

#[test]
fn every_twin_counts_hostile_text_as_the_strategies_do() {
    let tree = TempDir::new().unwrap();
    let hostile: [&[u8]; 7] = [
        b"",
        b"a\x1cb\x1dc\x1ed\x1fe \xc2\x85 f",
        b"one\xfftwo \xe2\x82 three\r\xff\n",
        b"\xef\xbb\xbfbom\r\nline\r\n\r",
        b"\xed\xa0\x80surrogate\xc0\xaf \xf0\x9f\x98",
        "\u{3000}\u{2028}文字 \u{200b}列".as_bytes(),
        b"\0 \0\0\n",
    ];
    for (at, bytes) in hostile.into_iter().enumerate() {
        fs::write(tree.path().join(at.to_string()), bytes).unwrap();
    }
    // Above the size at which the hybrid's twin takes the other way.
    fs::write(tree.path().join("large"), hostile.concat().repeat(300)).unwrap();
    std::os::unix::fs::symlink("large", tree.path().join("link")).unwrap();
    let results = json(&["--runs", "1", tree.path().to_str().unwrap()]);
    let cells = results["corpora"][0]["cells"].as_array().unwrap();
    // Seven strategies or, where there is no io_uring, six; a twin of six of them; two floors.
    assert!((14..=15).contains(&cells.len()), "{results}");
    assert!(cells.iter().all(|cell| cell["verified"] == true), "{results}");
    for analysis in ["bytes", "contents"] {
        let results = json(&["--runs", "1", "--analysis", analysis, tree.path().to_str().unwrap()]);
        let cells = results["corpora"][0]["cells"].as_array().unwrap();
        assert!(cells.len() >= 14 && cells.iter().all(|cell| cell["verified"] == true), "{results}");
    }
}

#[test]
fn cold_is_checked_and_otherwise_called_unverified() {
    let tree = tree();
    fs::write(tree.path().join("larger"), vec![b'x'; 3_000_000]).unwrap();
    let arguments = ["--runs", "1", "--cache", "both", "--strategy", "rayon", tree.path().to_str().unwrap()];
    let results = json(&arguments);
    let cells = results["corpora"][0]["cells"].as_array().unwrap();
    let caches: Vec<_> = cells.iter().map(|cell| cell["cache"].as_str().unwrap()).collect();
    assert_eq!(caches, [["warm"; 4], ["cold"; 4]].concat());
    assert_eq!(results["corpora"][0]["fastest"], serde_json::json!({"warm": "rayon", "cold": "rayon"}));
    for cell in cells.iter().filter(|cell| cell["cache"] == "cold") {
        let [fetched, stored] = ["fetched_bytes", "stored_bytes"].map(|key| cell[key].as_u64().unwrap());
        assert_eq!(cell["cache_verified"], fetched >= stored - stored / 100, "{cell}");
    }
}

/// Files in memory cannot be evicted, and must not be called cold.
#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_evicted_is_not_called_cold() {
    let Ok(tree) = TempDir::new_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm to write to");
        return;
    };
    // No page of it can be on a disk, but that the file system says that it stores something.
    fs::write(tree.path().join("file"), vec![b'x'; 100_000]).unwrap();
    let output = text(&["--runs", "1", "--cache", "cold", "--strategy", "rayon", tree.path().to_str().unwrap()]);
    // Over several lines, by the width.
    let words = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = words.split_once("UNVERIFIED").unwrap_or_else(|| panic!("{output}")).1;
    assert!(said.contains("rayon 0 B") && said.contains("floor 0 B"), "{said}");
    assert!(output.contains("cold cache") && !output.contains("warm cache"), "{output}");
}

#[test]
fn a_profile_is_held_against_its_goals() {
    // A tenth of the tree is no full one: shown, not judged.
    let text = text(&["--quick", "--runs", "1", "--profile", "small", "--strategy", "rayon", "--no-twins"]);
    assert!(text.contains("Goals, warm: time / floor") && text.contains("Goals, warm: peak memory"), "{text}");
    assert!(text.contains("For orientation only") && !text.contains(" met") && !text.contains("MISSED"), "{text}");
}

#[test]
fn a_tree_that_changes_is_told_and_not_ranked() {
    let tree = tree();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for file in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                fs::write(tree.path().join(format!("new-{file}")), "new").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let output = bench(&["--runs", "3", tree.path().to_str().unwrap()]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text.contains("The tree changed while it was measured") && text.contains("WRONG, not ranked"),
            "{text}"
        );
        assert!(!text.contains("Fastest"), "{text}");
    });
}

#[test]
fn nothing_to_read_is_not_ranked() {
    let empty = TempDir::new().unwrap();
    let output = bench(&[empty.path().to_str().unwrap()]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no file to read below"));
}

#[test]
fn what_is_finished_when_it_is_interrupted_is_written() {
    let tree = tree();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["bench", "--runs", "1000", "--format", "json"]).arg(tree.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut begun = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut begun).unwrap();
        assert!(begun.starts_with("measuring on"), "{begun}");
        // Whatever is finished by then: it is right at any time.
        std::thread::sleep(std::time::Duration::from_millis(700));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let results: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(results["stopped"], "signal");
        for corpus in results["corpora"].as_array().unwrap() {
            assert_eq!(corpus["failures"], serde_json::json!([]), "{corpus}");
            for cell in corpus["cells"].as_array().unwrap() {
                assert!(!cell["samples_s"].as_array().unwrap().is_empty() && cell["verified"] == true, "{cell}");
            }
        }
    }
}

/// A strategy that counts one word too many is found out by every sample, and one that is slower by an earlier run.
#[test]
fn what_is_sabotaged_is_noticed() {
    let tree = tree();
    let path = tree.path().to_str().unwrap();
    let output = bench(&["--runs", "2", "--format", "json", "--sabotage", "rayon=miscount", path]);
    assert_eq!(output.status.code(), Some(1));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cells = results["corpora"][0]["cells"].as_array().unwrap();
    let rayon = cells.iter().find(|cell| cell["strategy"] == "rayon").unwrap();
    assert_eq!((&rayon["verified"], &rayon["tie"], &rayon["to_fastest"]), (&false.into(), &false.into(), &Value::Null));
    assert_ne!(results["corpora"][0]["fastest"]["warm"], "rayon");
    for advice in results["recommendations"].as_array().unwrap() {
        let ranked = [&advice["strategy"], &advice["ties"], &advice["next"]].map(Value::to_string);
        assert!(!ranked.concat().contains("rayon"), "{advice}");
    }

    let before = tree.path().with_extension("before.json");
    fs::write(&before, serde_json::to_vec(&json(&["--runs", "6", "--no-twins", path])).unwrap()).unwrap();
    // By so much that no noise hides it. Whether it is judged depends on how busy other tests keep the machine.
    let sabotage = ["--runs", "6", "--no-twins", "--format", "json", "--sabotage", "rayon=slow:10000"];
    let output = bench(&[&sabotage[..], &["--baseline", before.to_str().unwrap(), path]].concat());
    fs::remove_file(before).unwrap();
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = results["baseline"]["rows"].as_array().unwrap();
    let rayon = rows.iter().find(|row| row["strategy"] == "rayon").unwrap();
    assert!(rayon["ratio"]["low"].as_f64().unwrap() > 5.0, "{rayon}");
    let is_slower = rows.iter().any(|row| row["verdict"] == "slower");
    assert!(is_slower || results["baseline"]["notes"].to_string().contains("not judged"), "{rows:?}");
    assert_eq!(output.status.code(), Some(i32::from(is_slower)));
}

#[test]
fn what_cannot_be_compared_says_why() {
    for (arguments, said) in [
        (&["/not/there"][..], "cannot read /not/there"),
        (&["--profile", "no-such"], "there is no profile 'no-such', only deep"),
        (&["--runs", "0", "."], "--runs"),
        (&["--report", "/proc/no-such", "."], "cannot make /proc/no-such"),
        (&["--baseline", "/not/there", "."], "cannot read /not/there"),
        (&["--baseline", "/dev/null", "."], "/dev/null does not hold the results of a comparison"),
        (&["--sabotage", "rayon=fast", "."], "'fast' is neither slow:PERCENT nor miscount"),
        (&["--strategy", "magic", "."], "sequential, rayon, tokio, async-std, hybrid, multiprocess, io-uring"),
    ] {
        let output = bench(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
