//! What the check finds, and what it lets pass, in small trees.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{check, files, slug, tracked, walked};

fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    tree
}

/// What is wrong with a tree, a line each.
fn complaints(files: &[(&str, &str)]) -> Vec<String> {
    let tree = tree(files);
    let found = check(tree.path(), &walked(tree.path()).unwrap()).unwrap();
    found.complaints.iter().map(ToString::to_string).collect()
}

/// The one thing that is wrong with a file `a.md` of this text, beside which there are `b.md` and `src/b.rs`.
fn complaint(text: &str) -> String {
    let all = complaints(&[("a.md", text), ("b.md", "# Here\n"), ("src/b.rs", "")]);
    let [one] = &all[..] else { panic!("{all:?}") };
    one.clone()
}

#[test]
fn links_that_lead_somewhere_pass() {
    let book = "\
# Über `code` & more_or-less\n\n## Again\n\n## Again\n\n<a id=\"by-hand\"></a>\n\n\
[self](#über-code--more_or-less) [second](#again-1) [hand](#by-hand) [up](../README.md) [dir](../src) [dir](../src/)\n\
[code](../src/b.rs) [spaced](with%20space.md) [anchor](../README.md#top) [of a directory](..#top) ![image](i.png)\n\
[url](https://example.org/a?b#c) <https://example.org> <me@example.org> [mail](mailto:me@example.org) [reference]\n\n\
`[not](a-link.md)` and [not one either]\n\n```text\n[nor](this.md)\n```\n\n[reference]: ../README.md\n";
    let all = complaints(&[
        ("README.md", "# Top\n[book](docs/book.md), <a href=\"docs/book.md\">again</a>"),
        ("docs/book.md", book),
        ("docs/with space.md", "text"),
        ("docs/i.png", ""),
        ("src/b.rs", ""),
    ]);
    assert_eq!(all, [""; 0]);
}

#[test]
fn a_broken_link_is_found_with_its_file_and_line() {
    assert_eq!(complaint("text\n\n[b](c.md)"), "a.md:3: c.md: leads to nothing in the repository");
    assert_eq!(complaint("![image](b.png)"), "a.md:1: b.png: leads to nothing in the repository");
    assert_eq!(complaint("[upper](B.md)"), "a.md:1: B.md: leads to nothing in the repository");
    assert_eq!(complaint("<img src=\"b.png\">"), "a.md:1: b.png: leads to nothing in the repository");
    assert_eq!(complaint("[b][c]"), "a.md:1: c: no such reference is defined in this file");
    assert_eq!(complaint("[b][c]\n\n[c]: c.md"), "a.md:1: c.md: leads to nothing in the repository");
    assert_eq!(complaint("| a |\n|---|\n| [b](c.md) |"), "a.md:3: c.md: leads to nothing in the repository");
    assert!(complaint("[odd](b%2.md)").contains("hexadecimal"));
}

#[test]
fn an_anchor_must_be_that_of_a_heading() {
    assert_eq!(complaint("# Here\n[b](#there)"), "a.md:2: #there: leads to no heading there");
    assert_eq!(complaint("[b](b.md#there)"), "a.md:1: b.md#there: leads to no heading there");
    assert_eq!(complaint("[b](b.md#Here)"), "a.md:1: b.md#Here: leads to no heading there");
    assert_eq!(complaint("[b](src/b.rs#L3)"), "a.md:1: src/b.rs#L3: has an anchor, and leads to no Markdown");
    assert_eq!(complaint("# Here\n[b](#here-1)"), "a.md:2: #here-1: leads to no heading there");
}

#[test]
fn a_link_out_of_the_repository_is_found() {
    assert_eq!(complaint("[b](../b.md)"), "a.md:1: ../b.md: leads out of the repository");
    assert_eq!(complaint("[b](src/../../a.md)"), "a.md:1: src/../../a.md: leads out of the repository");
    assert!(complaint("[b](/b.md)").contains("starts with a slash"));
}

#[test]
fn of_urls_only_the_form_is_checked() {
    assert_eq!(complaint("[u](https:/example.org)"), "a.md:1: https:/example.org: does not have the form of a URL");
    assert!(complaint("[u](<https://example.org/a b>)").contains("form of a URL"));
    assert!(complaint("[u](https://)").contains("form of a URL"));
    assert!(complaint("[u](file:///etc/passwd)").contains("of a scheme that is used here: file"));
}

#[test]
fn a_diagram_must_look_like_one() {
    let diagram = |text: &str| format!("```mermaid\n{text}\n```");
    assert_eq!(complaints(&[("a.md", &diagram("%% why\n\nflowchart LR\n  a --> b"))]), [""; 0]);
    assert_eq!(complaint(&diagram("")), "a.md:1: mermaid: the diagram is empty");
    assert_eq!(complaint(&diagram("flowchart LR")), "a.md:1: mermaid: there is nothing in the diagram");
    assert_eq!(complaint(&diagram("flow LR\n  a --> b")), "a.md:1: mermaid: a diagram does not begin with flow");
}

#[test]
fn headings_become_anchors_as_on_github() {
    for (heading, anchor) in [
        ("What comes out", "what-comes-out"),
        ("`polyread --format json`", "polyread---format-json"),
        ("Who's there? (2 of 3)", "whos-there-2-of-3"),
        ("snake_case, kebab-case", "snake_case-kebab-case"),
        ("Größe 大小", "größe-大小"),
    ] {
        assert_eq!(slug(heading), anchor);
    }
}

#[test]
fn what_git_ignores_is_not_there_and_what_is_new_is() {
    let tree = tree(&[(".gitignore", "/made\n"), ("new.md", ""), ("made/a.md", "[broken](b.md)"), ("gone.md", "")]);
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(tree.path()).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "--quiet"]) {
        println!("skipped: there is no git");
        return;
    }
    assert!(git(&["add", "gone.md"]));
    fs::remove_file(tree.path().join("gone.md")).unwrap();
    let expected: BTreeSet<_> = [".gitignore", "new.md"].map(PathBuf::from).into();
    assert_eq!(tracked(tree.path()), Some(expected.clone()));
    assert_eq!(files(tree.path()).unwrap(), expected);
}

#[test]
fn without_git_the_tree_is_walked() {
    let tree = tree(&[("a.md", ""), ("b/c.md", ""), ("target/doc/d.md", ""), (".git/e.md", "")]);
    let expected: BTreeSet<_> = ["a.md", "b/c.md"].map(PathBuf::from).into();
    assert_eq!(walked(tree.path()).unwrap(), expected);
    assert_eq!(check(Path::new(tree.path()), &expected).unwrap().files, 2);
}
