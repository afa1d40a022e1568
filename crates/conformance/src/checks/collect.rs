//! What the checks do with a reader: run it over a tree, and look at its records.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use polyread_core::{
    Analysis, Discovery, ErrorKind, FileEntry, FileReader, FileResult, Job, Operation, ReadError, Summary,
};

/// All files below a directory, in a fixed order.
pub(super) fn all(root: &Path) -> std::vec::IntoIter<Result<FileEntry, ReadError>> {
    Discovery::new(root).walk().unwrap().sorted()
}

/// Runs a job to its end and collects its records.
pub(super) fn collect<A: Analysis>(reader: &dyn FileReader<A>, job: Job<A>) -> (Vec<FileResult<A::Output>>, Summary) {
    let mut records = Vec::new();
    let summary = reader.read(job, &mut |record| {
        records.push(record);
        ControlFlow::Continue(())
    });
    (records, summary.unwrap())
}

/// The one record of the file with this name.
pub(super) fn of_name<'a, T>(records: &'a [FileResult<T>], name: &str) -> &'a FileResult<T> {
    let mut found = records.iter().filter(|record| record.path.ends_with(name));
    let record = found.next().unwrap_or_else(|| panic!("no record of {name}"));
    assert!(found.next().is_none(), "two records of {name}");
    record
}

pub(super) fn kind<T>(record: &FileResult<T>) -> Option<ErrorKind> {
    record.outcome.as_ref().err().map(ReadError::kind)
}

/// What must be equal in two readers' records of a file.
pub(super) type Told<T> = Result<(T, u64), (ErrorKind, Operation, u64)>;

pub(super) fn told<T>(records: Vec<FileResult<T>>) -> BTreeMap<PathBuf, Told<T>> {
    let count = records.len();
    let told: BTreeMap<_, _> = records
        .into_iter()
        .map(|FileResult { path, outcome, bytes, .. }| {
            let told = match outcome {
                Ok(output) => Ok((output, bytes)),
                Err(error) => {
                    assert_eq!(error.path(), path);
                    Err((error.kind(), error.operation(), error.bytes_read()))
                }
            };
            (path, told)
        })
        .collect();
    assert_eq!(told.len(), count, "a path has two records");
    told
}
