//! The walk against simple ones: a recursion over `std::fs`, and what the `ignore` crate finds by itself.

use std::fs::{self, Metadata};
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use polyread_core::{Discovery, ErrorKind};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tempfile::TempDir;

type Told = (PathBuf, Result<Option<u64>, ErrorKind>);

#[derive(Clone, Debug)]
struct Options {
    extension: bool,
    exclude: Option<&'static str>,
    skip_hidden: bool,
    max_depth: Option<usize>,
    follow: bool,
    sizes: bool,
    min_size: Option<u64>,
    threads: usize,
}

impl Options {
    fn discovery(&self, root: &Path) -> Discovery {
        let discovery = Discovery::new(root)
            .extensions(self.extension.then_some("x"))
            .skip_hidden(self.skip_hidden)
            .max_depth(self.max_depth)
            .follow_links(self.follow)
            .sizes(self.sizes)
            .min_size(self.min_size)
            .threads(self.threads);
        self.exclude.into_iter().fold(discovery, Discovery::exclude)
    }

    fn excludes(&self, name: &str, relative: &Path) -> bool {
        self.skip_hidden && name.starts_with('.')
            || self
                .exclude
                .is_some_and(|glob| if glob.contains('/') { relative == Path::new(glob) } else { name == glob })
    }

    /// What is below `directory`, in the plainest of ways. `above` are the directories on the way to it, itself included.
    fn reference(&self, root: &Path, directory: &Path, depth: usize, above: &[(u64, u64)], told: &mut Vec<Told>) {
        if self.max_depth.is_some_and(|most| depth >= most) {
            return;
        }
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if self.excludes(&name, path.strip_prefix(root).unwrap()) {
                continue;
            }
            let is_link = entry.file_type().unwrap().is_symlink();
            let behind = fs::metadata(&path);
            if let Ok(behind) = &behind
                && behind.is_dir()
                && (self.follow || !is_link)
                && !(is_link && above.contains(&identity(behind)))
            {
                let above: Vec<_> = above.iter().copied().chain([identity(behind)]).collect();
                self.reference(root, &path, depth + 1, &above, told);
                continue;
            }
            if self.extension && !name.strip_suffix(".x").is_some_and(|stem| stem.contains(|sign| sign != '.')) {
                continue;
            }
            let outcome = match behind {
                Err(error) if error.raw_os_error() == Some(40) && self.follow => Err(ErrorKind::Loop),
                // Nothing there, or a file in the middle of the way.
                Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Err(ErrorKind::Dangling),
                Ok(behind) if !behind.is_file() && !behind.is_dir() => Err(ErrorKind::NotRegular),
                _ if is_link && !self.follow => Err(ErrorKind::SymbolicLink),
                Ok(behind) if behind.is_dir() => Err(ErrorKind::Loop),
                Ok(behind) if self.min_size.is_some_and(|min| behind.len() < min) => Err(ErrorKind::FilteredBySize),
                Ok(behind) => Ok((self.sizes || self.min_size.is_some()).then_some(behind.len())),
                Err(error) => panic!("{error}"),
            };
            told.push((path, outcome));
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn options() -> impl Strategy<Value = Options> {
    let names = (any::<bool>(), select(&[None, Some("a"), Some("b.x"), Some("a/b.x")][..]), any::<bool>());
    let sizes = (any::<bool>(), select(&[None, Some(2_u64)][..]));
    let tree = (select(&[None, None, Some(0_usize), Some(1), Some(2)][..]), any::<bool>(), 1_usize..4);
    (names, sizes, tree).prop_map(|(names, sizes, tree)| Options {
        extension: names.0,
        exclude: names.1,
        skip_hidden: names.2,
        max_depth: tree.0,
        follow: tree.1,
        sizes: sizes.0,
        min_size: sizes.1,
        threads: tree.2,
    })
}

/// The directories that trees are made of, each after the one it is in.
const DIRECTORIES: [&str; 7] = ["", "a", "a/b.x", ".h", "a/c", "a/c/a", "d.x"];
const NAMES: [&str; 7] = ["f.x", "b.x", ".x", "..x", "g", ".k.x", "a"];
const TARGETS: [&str; 9] = [".", "..", "a", "../a/c", "f.x", "nowhere", "/dev/null", "l.x", "../d.x"];

/// Where in its temporary directory a tree is: a link in it that leads above it is to find nothing of others.
const ROOT: &str = "root";

/// Some entry in one of the directories, which is none if one of its name is there: a file of some size, a link, a FIFO.
fn entry() -> impl Strategy<Value = (usize, usize, usize)> {
    (0..DIRECTORIES.len(), 0..NAMES.len() + TARGETS.len() + 1, 0_usize..4)
}

fn make(directories: &[&str], entries: &[(usize, usize, usize)]) -> TempDir {
    let tree = TempDir::new().unwrap();
    fs::create_dir(tree.path().join(ROOT)).unwrap();
    for directory in directories {
        fs::create_dir_all(tree.path().join(ROOT).join(directory)).unwrap();
    }
    for (directory, what, size) in entries {
        let directory = tree.path().join(ROOT).join(DIRECTORIES[*directory]);
        if !directory.is_dir() {
            continue;
        }
        let name = NAMES.get(*what).copied().unwrap_or(if size % 2 == 0 { "l.x" } else { "m" });
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match (what.checked_sub(NAMES.len()), what.checked_sub(NAMES.len()).and_then(|link| TARGETS.get(link))) {
            (None, _) => fs::write(path, vec![b'x'; *size]).unwrap(),
            (_, Some(target)) => symlink(target, path).unwrap(),
            (_, None) => {
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RWXU, 0).unwrap();
            }
        }
    }
    tree
}

proptest! {
    #[test]
    fn the_walk_tells_what_a_plain_recursion_tells(
        directories in subsequence(&DIRECTORIES[..], 0..=DIRECTORIES.len()),
        entries in proptest::collection::vec(entry(), 0..20),
        options in options(),
        slash in any::<bool>(),
    ) {
        let tree = make(&directories, &entries);
        let root = tree.path().join(if slash { "root/" } else { ROOT });
        let mut expected = Vec::new();
        options.reference(&root, &root, 0, &[identity(&fs::metadata(&root).unwrap())], &mut expected);
        let mut told: Vec<Told> = options.discovery(&root).walk().unwrap().map(|found| match found {
            Ok(file) => (file.path().to_owned(), Ok(file.size_hint())),
            Err(error) => (error.path().to_owned(), Err(error.kind())),
        }).collect();
        // As strings: to a Path, `a//b` is `a/b`.
        told.sort_by_key(|(path, _)| path.as_os_str().to_owned());
        expected.sort_by_key(|(path, _)| path.as_os_str().to_owned());
        prop_assert_eq!(format!("{told:?}"), format!("{expected:?}"));
    }

    #[test]
    fn ignore_files_say_what_they_say_to_ignore_itself(
        repositories in proptest::collection::vec(select(&["", "in", "in/root", "in/root/a"][..]), 0..3),
        rules in proptest::collection::vec((
            select(&["", "in", "in/root", "in/root/a", "in/root/a/c", "in/root/.h"][..]),
            select(&[".gitignore", ".ignore", ".git/info/exclude"][..]),
            proptest::collection::vec(
                select(&["*.x", "!f.x", "a", "!a", "/a", "a/", "c/*", "!c/f.x", "**/g", "root/g", "in/", "!.h", ".k.x", "!.k.x", "#", "\\"][..]),
                1..4,
            ),
        ), 0..6),
        skip_hidden in any::<bool>(),
        root in select(&["in/root", "in/root/", "in/root/a", "in"][..]),
    ) {
        let tree = TempDir::new().unwrap();
        for directory in DIRECTORIES {
            let directory = tree.path().join("in/root").join(directory);
            fs::create_dir_all(&directory).unwrap();
            for name in ["f.x", "g", ".k.x"] {
                fs::write(directory.join(name), "").unwrap();
            }
        }
        for repository in repositories {
            fs::create_dir_all(tree.path().join(repository).join(".git/info")).unwrap();
        }
        for (directory, name, lines) in rules {
            // Rules of repositories alone where there is one.
            let _ = fs::write(tree.path().join(directory).join(name), lines.join("\n"));
        }
        let root = tree.path().join(root);
        let mut reference = ignore::WalkBuilder::new(&root);
        reference.hidden(skip_hidden);
        let mut expected: Vec<_> = reference.build().flatten().filter(|entry| entry.path().is_file())
            .map(ignore::DirEntry::into_path).collect();
        let found = Discovery::new(&root).ignore_files(true).skip_hidden(skip_hidden).walk().unwrap();
        let mut found: Vec<_> = found.map(|found| found.unwrap().path().to_owned()).collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn ignore_files_of_more_directories_than_are_kept_are_obeyed() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join(".ignore"), "*.x\n").unwrap();
    for directory in 0..9_000 {
        let directory = tree.path().join(format!("{}/{directory}", directory % 7));
        fs::create_dir_all(&directory).unwrap();
    }
    for directory in 0..7 {
        fs::write(tree.path().join(format!("{directory}/.ignore")), format!("!{directory}.x\n")).unwrap();
        for name in 0..7 {
            fs::write(tree.path().join(format!("{directory}/{directory}/{name}.x")), "").unwrap();
        }
    }
    let found = Discovery::new(tree.path()).ignore_files(true).skip_hidden(true).walk().unwrap();
    let mut found: Vec<_> = found.map(|found| found.unwrap().path().to_owned()).collect();
    found.sort();
    let expected: Vec<_> = (0..7).map(|name| tree.path().join(format!("{name}/{name}/{name}.x"))).collect();
    assert_eq!(found, expected);
}
