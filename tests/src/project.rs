//! A project of a test's own: the quick start in a workspace apart, to be
//! edited.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::command::{Call, Workshop, fixture};

const MANIFEST: &str = r#"
[package]
name = "quickstart"
version = "0.1.0"
edition = "2024"

[lib]
doctest = false

[workspace]
"#;

/// A copy of the quick start. Of its four tests one races, one leaves a
/// thread behind, one deadlocks and one is clean.
#[derive(Debug)]
pub struct Project {
    dir: TempDir,
    workshop: Workshop,
}

impl Project {
    /// A fresh copy.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn new(workshop: Workshop) -> Self {
        let dir = TempDir::new().expect("a directory for the project");
        let project = Self { dir, workshop };
        project.write("Cargo.toml", MANIFEST);
        for file in ["src/lib.rs", "tests/bank.rs"] {
            let text = fs::read_to_string(fixture("quickstart").join(file));
            project.write(file, &text.expect("the fixture is there"));
        }
        project
    }

    /// Path of a file in it.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Text of a file in it.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let dir = path.parent().expect("a file is in a directory");
        fs::create_dir_all(dir).expect("the directory is made");
        fs::write(path, text).expect("the file is written");
    }

    /// Replaces a text that must be in a file.
    ///
    /// # Panics
    /// If it is not.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        self.write(file, &text.replace(from, to));
    }

    /// A call in it. Variables of a CI machine are unset. The target directory
    /// is its own: cargo calls packages of one name in two workspaces the
    /// same.
    #[must_use]
    pub fn call<A: AsRef<OsStr>>(&self, args: &[A]) -> Call {
        self.workshop
            .call_in(self.dir(), args)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .without("CI")
            .without("GITHUB_ACTIONS")
    }

    /// `leakcheck test --message-format json` in it.
    #[must_use]
    pub fn test(&self, args: &[&str]) -> Call {
        let mut words = vec!["test", "--message-format", "json"];
        words.extend(args);
        self.call(&words)
    }
}
