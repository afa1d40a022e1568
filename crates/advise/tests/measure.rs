//! What measuring a tree finds, and what it says of what it could not look at.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use polyread_advise::{Characteristics, choose};
use polyread_core::{CancelToken, Discovery, DiscoveryError, ErrorKind, ReadError};
use tempfile::TempDir;

fn write(root: &Path, path: &str, bytes: usize) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; bytes]).unwrap();
}

fn tree(files: &[(&str, usize)]) -> TempDir {
    let tree = TempDir::new().unwrap();
    files.iter().for_each(|(path, bytes)| write(tree.path(), path, *bytes));
    tree
}

/// To the end.
fn measure(discovery: &Discovery, on_error: impl FnMut(&ReadError)) -> Result<Characteristics, DiscoveryError> {
    Characteristics::measure(discovery, &CancelToken::new(), on_error)
}

#[test]
fn a_tree_is_measured_with_the_files_that_discovery_chooses() {
    let tree = tree(&[("a.txt", 0), ("b/c.txt", 300), ("b/.d.txt", 9_999), ("e.bin", 10_000)]);
    let measured = |discovery: Discovery| measure(&discovery, |error| panic!("{error}")).unwrap();
    let discovery = Discovery::new(tree.path());
    let all: Characteristics = [0, 300, 9_999, 10_000].into_iter().collect();
    assert_eq!(measured(discovery.clone()), all);
    assert_eq!(measured(discovery.clone().extensions(["txt"]).skip_hidden(true)), [0, 300].into_iter().collect());
    assert_eq!(measured(discovery.exclude("*")), Characteristics::new());
}

#[test]
fn files_that_are_named_have_their_size_too() {
    let tree = tree(&[("a", 7), ("b/c", 11)]);
    symlink("a", tree.path().join("link")).unwrap();
    let roots = ["a", "link", "b"].map(|name| tree.path().join(name));
    let measured = measure(&Discovery::of_roots(roots), |error| panic!("{error}")).unwrap();
    assert_eq!(measured, [7, 7, 11].into_iter().collect());
}

#[test]
fn what_is_no_file_is_counted_and_told() {
    let tree = tree(&[("a", 5)]);
    symlink("/dev/null", tree.path().join("device")).unwrap();
    symlink("nowhere", tree.path().join("dangling")).unwrap();
    // Its target is larger than anything else: followed, it would show.
    let outside = self::tree(&[("large", 100_000)]);
    symlink(outside.path().join("large"), tree.path().join("link")).unwrap();
    symlink(outside.path(), tree.path().join("directory")).unwrap();

    let mut told = BTreeMap::new();
    let discovery = Discovery::new(tree.path());
    let measured = measure(&discovery, |error| *told.entry(error.kind()).or_default() += 1).unwrap();
    assert_eq!((measured.files(), measured.bytes()), (1, 5));
    assert_eq!((measured.failed(), measured.skipped()), (0, 4));
    let expected = [(ErrorKind::NotRegular, 1), (ErrorKind::Dangling, 1), (ErrorKind::SymbolicLink, 2)];
    assert_eq!(*measured.errors(), BTreeMap::from(expected));
    assert_eq!(*measured.errors(), told);

    symlink(".", tree.path().join("loop")).unwrap();
    let followed = measure(&discovery.follow_links(true), |_| ()).unwrap();
    assert_eq!((followed.files(), followed.bytes()), (3, 200_005));
    assert_eq!((followed.errors().get(&ErrorKind::Loop), followed.failed()), (Some(&1), 1));
}

#[test]
fn a_raised_token_leaves_a_part_that_says_so() {
    let tree = tree(&[("a", 5), ("b", 5)]);
    let cancel = CancelToken::new();
    let discovery = Discovery::of_roots(["a", "b"].map(|name| tree.path().join(name)));
    assert!(!Characteristics::measure(&discovery, &cancel, |_| ()).unwrap().is_partial());
    cancel.cancel();
    let part = Characteristics::measure(&discovery, &cancel, |_| ()).unwrap();
    assert_eq!((part.files(), part.is_partial()), (0, true));

    // Raised on the way: what had been seen by then stays, and the advice tells that it is by a part.
    let cancel = CancelToken::new();
    let missing = tree.path().join("c");
    symlink("nowhere", &missing).unwrap();
    let discovery = Discovery::new(tree.path());
    let part = Characteristics::measure(&discovery, &cancel, |_| cancel.cancel()).unwrap();
    assert!(part.is_partial() && part.skipped() == 1);
    assert!(choose(&part.with_files(1, 5)).unwrap().caveat.starts_with("Measuring was stopped early"));

    // What ends the walk is this token and no other, or a part would pass for the whole.
    let whole = measure(&discovery.cancel_token(cancel), |_| ()).unwrap();
    assert_eq!((whole.files(), whole.is_partial()), (2, false));
}

#[test]
fn what_keeps_a_walk_from_starting_keeps_measuring_from_it() {
    let error = measure(&Discovery::new("nowhere/at-all"), |_| ()).unwrap_err();
    assert!(matches!(error, DiscoveryError::Root { .. }), "{error}");
    assert!(error.to_string().contains("nowhere/at-all"));
}
