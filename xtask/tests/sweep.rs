//! Sweeps as their users run them: arguments in, curves out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

fn sweep(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("sweep").args(arguments).output().unwrap()
}

/// Small and large files, by what the hybrid takes for small.
fn tree() -> TempDir {
    let tree = TempDir::new().unwrap();
    for (name, content) in
        [("a", "one two\r\n"), ("b", "three"), ("sub/c", "\u{3000}文字\n"), ("d", &"x ".repeat(9000))]
    {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tree
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(sweep(&[&["--format", "json"], arguments].concat()))).unwrap()
}

/// The one sweep, and the strategies of its curves.
fn swept(arguments: &[&str]) -> (Value, Vec<String>) {
    let results = json(arguments);
    let [sweep] = &results["sweeps"].as_array().unwrap()[..] else { panic!("not one sweep: {results}") };
    let curves = sweep["curves"].as_array().unwrap();
    let strategies = curves.iter().map(|curve| curve["strategy"].as_str().unwrap().to_owned()).collect();
    (sweep.clone(), strategies)
}

/// What was varied, of every curve.
fn values(sweep: &Value) -> Vec<Vec<f64>> {
    let of = |curve: &Value| curve["points"].as_array().unwrap().iter().map(|it| it["at"].as_f64().unwrap()).collect();
    sweep["curves"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn workers_have_a_curve_for_each_strategy_that_has_workers() {
    let tree = tree();
    let path = tree.path().to_str().unwrap();
    let results = json(&["--over", "workers", "--values", "4,1,2,2", "--runs", "2", path]);
    assert_eq!(
        (&results["schema_version"], &results["runs"], &results["stopped"]),
        (&1.into(), &2.into(), &Value::Null)
    );
    assert_eq!((&results["units"], &results["budget_s"]), (&json!([]), &Value::Null));
    assert!(results["host"]["cores"].as_u64().unwrap() > 0 && results["command"].is_array());
    let sweep = &results["sweeps"][0];
    assert_eq!((&sweep["over"], &sweep["corpus"], &sweep["cache"]), (&"workers".into(), &path.into(), &"warm".into()));
    assert_eq!(sweep["failures"], json!([]));
    assert!(sweep["notes"].to_string().contains("sequential takes no part"), "{sweep}");
    let curves = sweep["curves"].as_array().unwrap();
    assert!((5..=6).contains(&curves.len()), "{sweep}");
    for curve in curves {
        assert_ne!(curve["strategy"], "sequential");
        let points = curve["points"].as_array().unwrap();
        assert_eq!(points.iter().map(|point| point["at"].as_f64().unwrap()).collect::<Vec<_>>(), [1.0, 2.0, 4.0]);
        for point in points {
            assert_eq!(
                (&point["files"], &point["bytes"], &point["verified"]),
                (&4.into(), &18024.into(), &true.into())
            );
            assert_eq!(point["samples_s"].as_array().unwrap().len(), 2);
            assert!(point["cache_verified"].is_boolean());
            let figure = |key: &str| point[key].as_f64().unwrap_or_else(|| panic!("{key} in {point}"));
            assert!(figure("ci_low_s") <= figure("median_s") && figure("median_s") <= figure("ci_high_s"));
            assert!(figure("peak_rss_bytes") > 0.0 && point.get("peak_pss_bytes").is_some());
        }
    }
    for crossover in sweep["crossovers"].as_array().unwrap() {
        let figure = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{crossover}"));
        let [left, right] = [0, 1].map(|side| figure(&crossover["between"][side]));
        assert!(left <= figure(&crossover["at"]) && figure(&crossover["at"]) <= right, "{crossover}");
        assert!(crossover["before"] != crossover["after"] && crossover["leads"].is_boolean());
        // Of two samples nothing is.
        assert_eq!(crossover["certain"], false);
    }
}

#[test]
fn size_and_count_make_trees_of_their_own() {
    let of_both = ["--quick", "--runs", "1", "--strategy", "rayon", "--strategy", "sequential"];
    let (sizes, strategies) = swept(&[&["--over", "size", "--values", "1MiB,4MiB"], &of_both[..]].concat());
    assert_eq!(strategies, ["sequential", "rayon"]);
    assert_eq!(values(&sizes), [[1048576.0, 4194304.0]; 2]);
    let shapes = |sweep: &Value| {
        [0, 1].map(|at| sweep["curves"][0]["points"][at].clone()).map(|it| (it["files"].clone(), it["bytes"].clone()))
    };
    assert_eq!(shapes(&sizes), [(4.into(), (4 << 20).into()), (1.into(), (4 << 20).into())]);
    let (counts, _) = swept(&[&["--over", "count", "--values", "11,22"], &of_both[..]].concat());
    assert_eq!(shapes(&counts), [(11.into(), (11 << 10).into()), (22.into(), (22 << 10).into())]);
}

#[test]
fn only_the_hybrid_has_a_threshold() {
    let tree = tree();
    let path = tree.path().to_str().unwrap();
    let (sweep, strategies) = swept(&["--over", "threshold", "--runs", "1", path]);
    assert_eq!(strategies, ["hybrid"]);
    // From all of them large to all of them small.
    assert_eq!(values(&sweep), [[0.0, 1024.0, 4096.0, 10_000.0, 16384.0, 65536.0]]);
    let text = stdout(self::sweep(&["--over", "threshold", "--runs", "6", "--values", "0,1MiB", path]));
    for said in [
        "0 (all are large)",
        "1 MiB",
        "hybrid is fastest with",
        "sequential, rayon, tokio, async-std, multiprocess, io-uring take no part",
    ] {
        assert!(text.contains(said), "no '{said}' in {text}");
    }
}

#[test]
fn those_that_wait_have_something_in_flight() {
    let tree = tree();
    let (sweep, mut strategies) =
        swept(&["--over", "in-flight", "--values", "1,64", "--runs", "1", tree.path().to_str().unwrap()]);
    strategies.retain(|strategy| strategy != "io-uring");
    assert_eq!(strategies, ["tokio", "async-std", "hybrid"]);
    for said in ["sequential, rayon take no part", "multiprocess takes no part"] {
        assert!(sweep["notes"].to_string().contains(said), "{sweep}");
    }
}

#[test]
fn settings_arrive_where_they_are_meant_for() {
    let tree = tree();
    for number in 0..200 {
        fs::write(tree.path().join(format!("more-{number}")), "word").unwrap();
    }
    let peak = |settings: &[&str], strategy: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["sample", "--analysis", "text-stats", "--cache", "warm", "--contestant", strategy])
            .args(settings);
        let sample: Value = serde_json::from_str(&stdout(command.arg(tree.path()).output().unwrap())).unwrap();
        sample["peak_rss_bytes"].as_f64().unwrap()
    };
    // Each process counts for itself, with all that it maps.
    assert!(peak(&["--workers", "4"], "multiprocess") > 1.5 * peak(&["--workers", "1"], "multiprocess"));
}

#[test]
fn what_is_finished_when_it_is_stopped_is_told() {
    let tree = tree();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["sweep", "--over", "workers", "--values", "1,2", "--strategy", "rayon", "--runs", "1000"]);
    command.args(["--format", "json"]).arg(tree.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    // It tells when it begins; from then on a signal is heard.
    let mut told = String::new();
    BufReader::new(running.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("over workers"), "{told}");
    std::thread::sleep(Duration::from_millis(500));
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["stopped"], "signal");
    for curve in results["sweeps"][0]["curves"].as_array().unwrap() {
        for point in curve["points"].as_array().unwrap() {
            // A point that was not reached yet is not there.
            assert!((1..1000).contains(&point["samples_s"].as_array().unwrap().len()), "{point}");
        }
    }
}

#[test]
fn cold_points_are_checked() {
    let tree = tree();
    let arguments = ["--over", "in-flight", "--values", "1", "--runs", "1", "--strategy", "tokio", "--cache", "cold"];
    let (sweep, _) = swept(&[&arguments[..], &[tree.path().to_str().unwrap()]].concat());
    assert_eq!(sweep["cache"], "cold");
    assert!(sweep["curves"][0]["points"][0]["cache_verified"].is_boolean());
}

#[test]
fn who_is_wrong_is_told_and_left_out() {
    let tree = tree();
    let arguments =
        ["--over", "workers", "--values", "1,2", "--runs", "6", "--strategy", "rayon", "--strategy", "tokio"];
    let output = sweep(&[&arguments[..], &["--sabotage", "rayon=miscount", tree.path().to_str().unwrap()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("WRONG, left out: rayon found other totals") && text.contains("at 1 worker, 2 workers"),
        "{text}"
    );
    assert!(text.contains("tokio is fastest with") && !text.contains("rayon is fastest"), "{text}");
}

#[test]
fn markdown_csv_and_the_kept_json_say_the_same() {
    let tree = tree();
    let directory = TempDir::new().unwrap();
    let report = directory.path().join("report");
    let of = |format| {
        let arguments =
            ["--over", "workers", "--values", "1,2", "--runs", "1", "--strategy", "rayon", "--format", format];
        let report = ["--report", report.to_str().unwrap(), tree.path().to_str().unwrap()];
        stdout(sweep(&[&arguments[..], &report].concat()))
    };
    let rows = of("markdown").lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows, 2 + 2);
    let csv = of("csv");
    let lines: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 1 + 2, "{csv}");
    assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{csv}");
    assert_eq!((lines[1][..4].to_vec(), lines[2][3]), (vec!["workers", "warm", "rayon", "1"], "2"));
    let kept: Value = serde_json::from_slice(&fs::read(report.join("sweep.json")).unwrap()).unwrap();
    assert_eq!(kept["sweeps"][0]["curves"][0]["strategy"], "rayon");
}

#[test]
fn one_more_unit_has_a_price() {
    let results = json(&["--units"]);
    assert_eq!(results["sweeps"], json!([]));
    let units = results["units"].as_array().unwrap();
    let mut told: Vec<_> =
        units.iter().map(|it| (it["unit"].as_str().unwrap(), it["strategy"].as_str().unwrap())).collect();
    told.retain(|(unit, _)| *unit != "ring");
    assert_eq!(
        told,
        [
            ("task", "bare"),
            ("thread", "bare"),
            ("process", "bare"),
            ("task", "tokio"),
            ("task", "async-std"),
            ("thread", "rayon"),
            ("process", "multiprocess")
        ],
        "{results}"
    );
    for unit in units {
        let figure = |key: &str| unit[key].as_f64().unwrap_or_else(|| panic!("{key} in {unit}"));
        assert!(figure("low") <= figure("bytes") && figure("bytes") <= figure("high"), "{unit}");
        assert!(!unit["how"].as_str().unwrap().is_empty());
    }
    // What is certain on any machine: the bare ones in their order, and each far below what the seed says of its kind.
    let bare: Vec<_> =
        units.iter().filter(|it| it["strategy"] == "bare").map(|it| it["bytes"].as_f64().unwrap()).collect();
    assert!(0.0 < bare[0] && bare[0] < bare[1] && bare[1] < bare[2], "{results}");
    let seeds: Vec<_> = units.iter().take(3).map(|it| it["seed_bytes"].as_f64().unwrap()).collect();
    assert_eq!(seeds, [8192.0, 8388608.0, 10485760.0]);
}

#[test]
fn what_cannot_be_swept_says_why() {
    let empty = TempDir::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    for (arguments, code, said) in [
        (&["."][..], 2, "--over"),
        (&["--over", "weather"], 2, "workers, size, count, threshold, in-flight"),
        (&["--over", "size", "."], 2, "makes trees of its own: it takes no PATH"),
        (&["--over", "count", "--profile", "tiny"], 2, "makes trees of its own"),
        (&["--over", "workers", "--profile", "tiny", "."], 2, "cannot be used with"),
        (&["--over", "workers", "--values", "0,1", "."], 2, "0 is not from 1 to 1024"),
        (&["--over", "workers", "--values", "many", "."], 2, "'many' is no whole number"),
        (&["--over", "size", "--values", "1"], 2, "1 is not from 64 to"),
        (&["--over", "threshold", "--strategy", "rayon", "."], 2, "nobody is left to measure. rayon takes no part"),
        (&["--over", "workers", "--strategy", "magic", "."], 2, "sequential, rayon, tokio"),
        (&["--units", "--over", "workers"], 2, "cannot be used with"),
        (&["--over", "workers", "--profile", "no-such"], 1, "there is no profile 'no-such', only deep"),
        (&["--over", "workers", "/not/there"], 1, "cannot read /not/there"),
        (&["--over", "workers", empty], 1, "there is no file to read below"),
    ] {
        let output = sweep(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said) && output.stdout.is_empty(), "{arguments:?}: {stderr}");
    }
}
