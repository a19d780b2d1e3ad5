//! Learning from cargo itself how it would call each test.
//!
//! cargo gives a test binary a directory, an environment (`CARGO_*`, `OUT_DIR`,
//! the library path, the `[env]` table) and arguments. Instead of imitating
//! that, the driver lets cargo call the tests with our target runner, which
//! notes program, arguments, directory and environment in [`RECORD_DIR`] and
//! ends at once. The driver then makes the calls itself, one process a test.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::env::{Environment, RECORD_DIR};
use crate::error::Error;

/// What was to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A test binary, an example or a benchmark.
    Binary,
    /// `rustdoc --test`.
    Doctests,
}

/// A call that cargo would have made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Of what.
    pub what: What,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The directory it runs in.
    pub dir: PathBuf,
    /// Its environment, with what the driver set for cargo undone.
    pub environment: Environment,
}

#[derive(Serialize, Deserialize)]
struct Note {
    what: What,
    program: OsString,
    args: Vec<OsString>,
    dir: OsString,
    environment: Vec<(OsString, OsString)>,
}

/// Notes a call that cargo makes of this process.
///
/// # Errors
/// If the note cannot be written.
pub fn note(dir: &Path, what: What, program: &OsStr, args: &[OsString]) -> Result<(), Error> {
    let here = std::env::current_dir().map_err(Error::CurrentDir)?;
    let note = Note {
        what,
        program: program.to_owned(),
        args: args.to_vec(),
        dir: here.into_os_string(),
        environment: std::env::vars_os().collect(),
    };
    // cargo runs one test at a time: the first free number is the order.
    for number in 0_u32.. {
        let path = dir.join(format!("{number:06}.json"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return serde_json::to_writer(file, &note).map_err(Error::Encode),
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Write { path, source }),
        }
    }
    Ok(())
}

/// The calls noted in `dir`, in cargo's order.
///
/// # Errors
/// If a note cannot be read.
pub fn read(dir: &Path) -> Result<Vec<Call>, Error> {
    let read_error = |source| Error::Read {
        path: dir.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read_error)? {
        paths.push(entry.map_err(read_error)?.path());
    }
    paths.sort();
    let mut calls = Vec::with_capacity(paths.len());
    for path in paths {
        let text = std::fs::read(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let note: Note =
            serde_json::from_slice(&text).map_err(|source| Error::BadRecord { path, source })?;
        let mut environment: Environment = note.environment.into_iter().collect();
        environment.undo()?;
        environment.remove(RECORD_DIR);
        calls.push(Call {
            what: note.what,
            program: note.program.into(),
            args: note.args,
            dir: note.dir.into(),
            environment,
        });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::{What, note, read};

    #[test]
    fn notes_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let args = [OsString::from("--test"), OsString::from("src/lib.rs")];
        note(dir.path(), What::Binary, OsStr::new("/t/first"), &[]).unwrap();
        note(dir.path(), What::Doctests, OsStr::new("rustdoc"), &args).unwrap();
        let calls = read(dir.path()).unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(
            (calls[0].what, calls[0].program.as_os_str()),
            (What::Binary, OsStr::new("/t/first"))
        );
        assert_eq!(
            (calls[1].what, &calls[1].args[..]),
            (What::Doctests, &args[..])
        );
        assert_eq!(calls[0].dir, std::env::current_dir().unwrap());
        assert_eq!(
            calls[0].environment.get("PATH"),
            std::env::var_os("PATH").as_deref()
        );
    }
}
