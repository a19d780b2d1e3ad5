//! The files of the repository, for the rules about them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::repository;

/// A file of the repository.
#[derive(Debug)]
pub struct Source {
    /// Its path from the top.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// True if it is below this directory of the repository.
    #[must_use]
    pub fn is_in(&self, dir: &str) -> bool {
        self.path.starts_with(dir)
    }

    /// Path and line, from 1, for a complaint.
    #[must_use]
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// All text files of the repository with this extension, sorted by path;
/// what is built or hidden left out.
///
/// # Panics
/// If a file cannot be read.
#[must_use]
pub fn files(extension: &str) -> Vec<Source> {
    let top = repository();
    let mut files = Vec::new();
    walk(&top, &mut |path| {
        if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(path)
                .unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()));
            let path = path
                .strip_prefix(&top)
                .expect("a file of the repository")
                .to_owned();
            files.push(Source { path, text });
        }
    });
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("failed to list {}: {error}", dir.display()));
    for entry in entries {
        let entry = entry.expect("the directory can be read");
        let name = entry.file_name();
        if name == "target" || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().expect("the kind of an entry is known");
        if kind.is_dir() {
            walk(&entry.path(), visit);
        } else if kind.is_file() {
            visit(&entry.path());
        }
    }
}
