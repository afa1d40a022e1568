//! Which files a walk finds, and what it says of those that it does not yield.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use polyread_core::{CancelToken, Discovery, DiscoveryError, ErrorKind, Walk};
use tempfile::TempDir;

/// A tree with a file of its own name's length at each path.
fn tree(paths: &[&str]) -> TempDir {
    let tree = TempDir::new().unwrap();
    for path in paths {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }
    tree
}

/// What a walk yields, by path below the root: the size hint, or the kind of error.
fn found(root: &Path, walk: Walk) -> BTreeMap<String, Result<Option<u64>, ErrorKind>> {
    let below = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    walk.map(|found| match found {
        Ok(file) => (below(file.path()), Ok(file.size_hint())),
        Err(error) => (below(error.path()), Err(error.kind())),
    })
    .collect()
}

fn names(root: &Path, discovery: &Discovery) -> Vec<String> {
    found(root, discovery.walk().unwrap()).into_keys().collect()
}

#[test]
fn without_filters_everything_is_found() {
    let tree = tree(&["a.txt", ".hidden", "b/c.md", "b/.git/config", ".x/y", "ignored"]);
    fs::write(tree.path().join(".gitignore"), "ignored\n").unwrap();
    let discovery = Discovery::new(tree.path());
    let all = [".gitignore", ".hidden", ".x/y", "a.txt", "b/.git/config", "b/c.md", "ignored"];
    assert_eq!(names(tree.path(), &discovery), all);
    assert_eq!(names(tree.path(), &discovery.clone().skip_hidden(true)), ["a.txt", "b/c.md", "ignored"]);
    fs::create_dir(tree.path().join(".git")).unwrap();
    assert!(!names(tree.path(), &discovery.ignore_files(true)).contains(&"ignored".to_owned()));
}

#[test]
fn names_choose_files_and_prune_directories() {
    let tree = tree(&["a.txt", "b.md", "src/c.txt", "src/d.rs", "target/e.txt", "src/target/f.txt"]);
    let root = tree.path();
    let discovery = Discovery::new(root);
    assert_eq!(names(root, &discovery.clone().extensions([".md", "rs"])), ["b.md", "src/d.rs"]);
    assert_eq!(names(root, &discovery.clone().include("src/*")), ["src/c.txt", "src/d.rs"]);
    let outside = discovery.extensions(["txt"]).exclude("target");
    assert_eq!(names(root, &outside), ["a.txt", "src/c.txt"]);
    assert_eq!(names(root, &outside.exclude("/src")), ["a.txt"]);
}

#[test]
fn depth_counts_from_the_root() {
    let tree = tree(&["a", "b/c", "b/d/e"]);
    let at = |depth: usize| names(tree.path(), &Discovery::new(tree.path()).max_depth(depth));
    assert_eq!(at(0), [""; 0]);
    assert_eq!(at(1), ["a"]);
    assert_eq!(at(2), ["a", "b/c"]);
}

#[test]
fn sizes_are_asked_for_only_when_wanted_and_bounds_leave_a_record() {
    let tree = tree(&["1", "22", "333"]);
    let walk = |discovery: Discovery| found(tree.path(), discovery.walk().unwrap()).into_values().collect::<Vec<_>>();
    let discovery = || Discovery::new(tree.path());
    assert_eq!(walk(discovery()), [Ok(None), Ok(None), Ok(None)]);
    assert_eq!(walk(discovery().sizes(true)), [Ok(Some(1)), Ok(Some(2)), Ok(Some(3))]);
    let filtered = Err(ErrorKind::FilteredBySize);
    assert_eq!(walk(discovery().min_size(2).max_size(2)), [filtered, Ok(Some(2)), filtered]);
}

#[test]
fn what_matches_and_is_no_file_leaves_a_record_and_what_does_not_match_leaves_none() {
    let tree = tree(&["a.txt", "d.txt/inner.txt"]);
    let root = tree.path();
    symlink("a.txt", root.join("link.txt")).unwrap();
    symlink("a.txt", root.join("link.md")).unwrap();
    symlink("nowhere", root.join("dangling.txt")).unwrap();
    symlink("nowhere", root.join("dangling.md")).unwrap();
    symlink("/dev/null", root.join("device.txt")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    let discovery = Discovery::new(root).extensions(["txt"]);
    let kinds = |follow| found(root, discovery.clone().follow_links(follow).walk().unwrap());
    let left_out = kinds(false);
    assert_eq!(left_out.len(), 5, "{left_out:?}");
    assert_eq!(left_out["link.txt"], Err(ErrorKind::SymbolicLink));
    assert_eq!(left_out["dangling.txt"], Err(ErrorKind::Dangling));
    assert_eq!(left_out["device.txt"], Err(ErrorKind::NotRegular));
    let followed = kinds(true);
    assert_eq!(followed["link.txt"], Ok(None));
    assert_eq!(followed["dangling.txt"], Err(ErrorKind::Dangling));
    assert_eq!(followed["device.txt"], Err(ErrorKind::NotRegular));
    assert!(!followed.contains_key("dangling.md"), "{followed:?}");
}

#[test]
fn sorted_is_by_the_bytes_of_paths() {
    let tree = tree(&["a/b", "a.c", "a", "B", "ä"].map(|name| if name == "a" { "A" } else { name }));
    let order: Vec<_> = Discovery::new(tree.path())
        .walk()
        .unwrap()
        .sorted()
        .map(|found| found.unwrap().path().strip_prefix(tree.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    // '.' comes before '/' as a byte, whatever the directories.
    assert_eq!(order, ["A", "B", "a.c", "a/b", "ä"]);
}

#[test]
fn several_roots_named_files_and_linked_roots() {
    let tree = tree(&["x/a", "y/b", "z.md", ".hidden"]);
    let root = tree.path();
    symlink("y", root.join("linked")).unwrap();
    let roots = ["x", "linked", "z.md", ".hidden"].map(|name| root.join(name));
    // What is named is read, whatever the filters say.
    let discovery = Discovery::of_roots(roots).extensions(["txt"]).skip_hidden(true);
    assert_eq!(names(root, &discovery), [".hidden", "z.md"]);
    let roots = ["x/", "linked", "z.md"].map(|name| root.join(name));
    assert_eq!(names(root, &Discovery::of_roots(roots)), ["linked/b", "x/a", "z.md"]);
}

#[test]
fn what_cannot_start_says_why() {
    let tree = tree(&["a"]);
    let missing = tree.path().join("not\nthere");
    let error = Discovery::of_roots([tree.path(), &missing]).walk().unwrap_err();
    assert!(matches!(&error, DiscoveryError::Root { path, .. } if *path == missing));
    assert!(error.to_string().ends_with("not\\nthere"), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("No such file"));
    let error = Discovery::new(tree.path()).exclude("a{b").walk().unwrap_err();
    assert!(error.to_string().starts_with("bad glob 'a{b': "), "{error}");
    assert!(matches!(Discovery::of_roots([""; 0]).walk(), Err(DiscoveryError::NoRoot)));
}

#[test]
fn a_cancelled_walk_ends_although_nothing_matches() {
    let tree = tree(&["a", "b/c"]);
    let cancel = CancelToken::new();
    cancel.cancel();
    assert_eq!(Discovery::new(tree.path()).cancel_token(cancel).walk().unwrap().count(), 0);
}

#[test]
fn dropping_a_walk_does_not_cancel_the_callers_token() {
    let tree = tree(&["a"]);
    let cancel = CancelToken::new();
    drop(Discovery::new(tree.path()).cancel_token(cancel.clone()).walk().unwrap());
    assert!(!cancel.is_cancelled());
}

#[test]
fn entries_below_a_renamed_root_are_still_opened() {
    use polyread_core::{FileReader, Job, SequentialReader, TextStats};
    let tree = tree(&["old/a"]);
    let files = Discovery::new(tree.path().join("old")).walk().unwrap().sorted();
    fs::rename(tree.path().join("old"), tree.path().join("new")).unwrap();
    let job = Job::new(files, TextStats::default());
    let summary = SequentialReader::new().read(job, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(summary.read, 1);
}

#[test]
fn links_that_stay_below_their_root_are_followed_when_confined() {
    use polyread_core::{Contents, FileReader, Job, SequentialReader};
    let tree = tree(&["root/a", "outside"]);
    let root = tree.path().join("root");
    symlink("a", root.join("inward")).unwrap();
    symlink("../outside", root.join("outward")).unwrap();
    let files = Discovery::new(&root).follow_links(true).confined(true).walk().unwrap();
    let mut kinds = BTreeMap::new();
    let read = SequentialReader::new().read(Job::new(files, Contents::default()), &mut |record| {
        let name = record.path.file_name().unwrap().to_str().unwrap().to_owned();
        kinds.insert(name, record.outcome.map_err(|error| error.kind()));
        std::ops::ControlFlow::Continue(())
    });
    read.unwrap();
    assert_eq!(kinds["a"], Ok(b"a".to_vec()));
    assert_eq!(kinds["inward"], Ok(b"a".to_vec()));
    assert_eq!(kinds["outward"], Err(ErrorKind::EscapesRoot));
}

/// A panic of the analysis' own clone is one file's failure too.
#[test]
fn an_analysis_that_cannot_be_cloned_fails_its_files() {
    use polyread_core::{Analysis, FileReader, Job, SequentialReader};
    struct Uncloneable;
    impl Clone for Uncloneable {
        fn clone(&self) -> Self {
            panic!("one of a kind")
        }
    }
    impl Analysis for Uncloneable {
        type Output = ();
        fn update(&mut self, _: &[u8]) {}
        fn finish(self) {}
    }
    let tree = tree(&["a", "b"]);
    let job = Job::new(Discovery::new(tree.path()).walk().unwrap(), Uncloneable);
    let summary = SequentialReader::new().read(job, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.errors[&ErrorKind::Panicked], summary.stopped), (2, None));
}

#[test]
fn many_roots_are_read_whatever_the_number_of_descriptors() {
    use polyread_core::{ByteCount, FileReader, Job, SequentialReader};
    let tree = TempDir::new().unwrap();
    let roots: Vec<_> = (0..60).map(|index| tree.path().join(index.to_string())).collect();
    for root in &roots {
        fs::create_dir(root).unwrap();
        fs::write(root.join("file"), "x").unwrap();
    }
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let files = Discovery::of_roots(&roots).walk().unwrap().sorted();
    // Other tests of this process open a few at the same time.
    assert!(open() < before + 40, "{} descriptors for 60 roots", open() - before);
    let job = Job::new(files, ByteCount::default());
    let summary = SequentialReader::new().read(job, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.read, summary.bytes), (60, 60));
}

#[test]
fn a_confined_walk_does_not_list_what_a_link_leads_out_to() {
    let tree = tree(&["root/a", "root/in/b", "outside/c", "outside/d"]);
    let root = tree.path().join("root");
    symlink("../outside", root.join("out")).unwrap();
    symlink("in", root.join("inward")).unwrap();
    let found = found(&root, Discovery::new(&root).follow_links(true).confined(true).walk().unwrap());
    assert_eq!(found["out"], Err(ErrorKind::EscapesRoot));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "in/b", "inward/b", "out"]);
}
