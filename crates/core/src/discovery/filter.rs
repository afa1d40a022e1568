//! Which names pass: extensions and globs, compiled once.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::DiscoveryError;

#[derive(Clone, Debug)]
pub(super) struct Filter {
    extensions: Vec<String>,
    include: Option<Globs>,
    exclude: Option<Globs>,
}

impl Filter {
    pub(super) fn new(extensions: &[String], include: &[String], exclude: &[String]) -> Result<Self, DiscoveryError> {
        Ok(Self { extensions: extensions.to_vec(), include: Globs::new(include)?, exclude: Globs::new(exclude)? })
    }

    /// Whether the file at this path, given relative to its root, is wanted.
    pub(super) fn wants_file(&self, relative: &Path) -> bool {
        (self.extensions.is_empty() || self.extensions.iter().any(|extension| has_extension(relative, extension)))
            && self.include.as_ref().is_none_or(|globs| globs.match_any(relative))
            && self.wants_directory(relative)
    }

    /// Whether to descend into the directory at this path, given relative to its root.
    pub(super) fn wants_directory(&self, relative: &Path) -> bool {
        !self.exclude.as_ref().is_some_and(|globs| globs.match_any(relative))
    }
}

/// Compares bytes rather than asking a glob: `*.md` would take a file named `.md`, which has no extension, and
/// `Path::extension` knows no `tar.gz`.
fn has_extension(path: &Path, extension: &str) -> bool {
    path.file_name().is_some_and(|name| {
        let stem = name.as_bytes().strip_suffix(extension.as_bytes()).and_then(|stem| stem.strip_suffix(b"."));
        stem.is_some_and(|stem| stem.iter().any(|byte| *byte != b'.'))
    })
}

/// Globs in two sets: those matched with the name alone and those matched with the path.
#[derive(Clone, Debug)]
struct Globs {
    names: GlobSet,
    paths: GlobSet,
}

impl Globs {
    /// `None` for no pattern at all.
    fn new(patterns: &[String]) -> Result<Option<Self>, DiscoveryError> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let bad = |reason: String| DiscoveryError::Glob { glob: pattern.clone(), reason };
            if pattern.is_empty() {
                return Err(bad("it is empty".to_owned()));
            }
            // Entries have neither a leading nor a trailing slash; people write both.
            let bare = pattern.strip_prefix("./").unwrap_or(pattern);
            let bare = bare.strip_prefix('/').unwrap_or(bare);
            let bare = bare.strip_suffix('/').unwrap_or(bare);
            let glob = GlobBuilder::new(bare).literal_separator(true).build();
            let glob = glob.map_err(|error| bad(error.kind().to_string()))?;
            // By the pattern as it was given: `/build` means the one in the root.
            if pattern.trim_end_matches('/').contains('/') {
                paths.add(glob)
            } else {
                names.add(glob)
            };
        }
        let build = |set: GlobSetBuilder| {
            set.build()
                .map_err(|error| DiscoveryError::Glob { glob: patterns.join("', '"), reason: error.kind().to_string() })
        };
        Ok(Some(Self { names: build(names)?, paths: build(paths)? }))
    }

    fn match_any(&self, relative: &Path) -> bool {
        self.paths.is_match(relative) || relative.file_name().is_some_and(|name| self.names.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(extensions: &[&str], include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        Filter::new(&owned(extensions), &owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn extensions_are_suffixes_after_a_stem() {
        let filter = filter(&["md", "tar.gz"], &[], &[]);
        for wanted in ["a.md", "x/.hidden.md", "b.tar.gz", "a..md"] {
            assert!(filter.wants_file(Path::new(wanted)), "{wanted}");
        }
        for unwanted in ["md", ".md", "..md", "a.MD", "a.md.txt", "x.md/y", "b.gz"] {
            assert!(!filter.wants_file(Path::new(unwanted)), "{unwanted}");
        }
    }

    #[test]
    fn a_glob_without_a_slash_matches_names_and_one_with_a_slash_paths() {
        let filter = filter(&[], &["*.rs", "doc/**/*.txt"], &["target/", "/build", "*secret*"]);
        for wanted in ["a.rs", "x/y/a.rs", "doc/a.txt", "doc/x/y.txt", "x/build/a.rs"] {
            assert!(filter.wants_file(Path::new(wanted)), "{wanted}");
        }
        for unwanted in ["a.txt", "x/doc/a.txt", "secret.rs", "a.rs/b"] {
            assert!(!filter.wants_file(Path::new(unwanted)), "{unwanted}");
        }
        assert!(!filter.wants_directory(Path::new("x/target")));
        assert!(!filter.wants_directory(Path::new("build")));
        assert!(filter.wants_directory(Path::new("x/build")));
    }

    #[test]
    fn a_bad_glob_is_named() {
        let error = Filter::new(&[], &["*.rs".to_owned(), "a[".to_owned()], &[]).unwrap_err().to_string();
        assert_eq!(error, "bad glob 'a[': unclosed character class; missing ']'");
    }
}
