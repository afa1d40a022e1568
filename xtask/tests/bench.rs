//! The comparison as its users run it: arguments in, ranking or JSON out.

use std::fs;
use std::process::{Command, Output};

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

#[test]
fn json_has_the_keys_that_scripts_know() {
    let tree = tree();
    let output = bench(&["--runs", "2", "--format", "json", tree.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["schema_version"], 1);
    assert!(results["host"]["cores"].as_u64().unwrap() > 0);
    assert!(results["recommendation"].is_string());
    let [corpus] = &results["corpora"].as_array().unwrap()[..] else { panic!("not one corpus: {results}") };
    assert_eq!(corpus["path"], tree.path().to_str().unwrap());
    assert_eq!((&corpus["files"], &corpus["bytes"]), (&3.into(), &24.into()));
    let cells = corpus["cells"].as_array().unwrap();
    assert_eq!(corpus["fastest"]["warm"], cells[0]["strategy"]);
    let mut strategies: Vec<_> = cells.iter().map(|cell| cell["strategy"].as_str().unwrap()).collect();
    strategies.sort_unstable();
    assert_eq!(strategies, ["async-std", "hybrid", "multiprocess", "rayon", "sequential", "tokio"]);
    for cell in cells {
        assert_eq!(
            (&cell["kind"], &cell["cache"], &cell["verified"]),
            (&"strategy".into(), &"warm".into(), &true.into())
        );
        let totals = serde_json::json!({"files": 3, "bytes": 24, "words": 4, "chars": 17, "lines": 2});
        assert_eq!((&cell["totals"], &cell["failed"]), (&totals, &0.into()));
        assert_eq!(cell["samples_s"].as_array().unwrap().len(), 2);
        let figure = |key: &str| cell[key].as_f64().unwrap_or_else(|| panic!("{key} in {cell}"));
        assert!(figure("ci_low_s") <= figure("median_s") && figure("median_s") <= figure("ci_high_s"));
        for key in ["files_per_s", "bytes_per_s", "peak_rss_bytes", "cpu_s"] {
            assert!(figure(key) > 0.0, "{key} in {cell}");
        }
    }
}

#[test]
fn text_ranks_and_names_the_fastest() {
    let tree = tree();
    let output = bench(&["--runs", "1", "--strategy", "tokio", "--strategy", "rayon", tree.path().to_str().unwrap()]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for said in ["3 files, 24 B", " 1.  ", " 2.  ", "1.00x", "Fastest: "] {
        assert!(text.contains(said), "no '{said}' in {text}");
    }
    assert!(!text.contains(" 3. "), "{text}");
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
fn what_cannot_be_compared_says_why() {
    for (arguments, said) in [
        (&["/not/there"][..], "cannot read /not/there"),
        (&["--profile", "no-such"], "there is no profile 'no-such', only deep"),
        (&["--runs", "0", "."], "--runs"),
        (&["--strategy", "magic", "."], "sequential, rayon, tokio, async-std, hybrid, multiprocess"),
    ] {
        let output = bench(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
