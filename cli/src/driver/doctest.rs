//! Doctests: rustdoc's own harness runs them, with our flags for the compiler
//! and us as target runner, so that each process has its own wire directory.
//!
//! The executable of a doctest is gone when rustdoc ends, so the runner keeps
//! a copy of one in which something was found. Its symbols name the doctest.
//!
//! Doctests of the 2024 edition are merged into one program, which starts
//! itself again for each by its number: its place among their sorted names.
//! The runner sees to it that each writes apart. What it misses: where only
//! some of them are chosen, or two editions make two programs, a number says
//! nothing; what is found is then told for all of them together.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use leakcheck::report::wire::{GRACE_ENV, NO_TASK_RACES_ENV, WIRE_DIR_ENV};
use object::read::ReadCache;
use object::{Object as _, ObjectSymbol as _};

use super::env;
use super::execute::{Conditions, captured, captures, command, spawn};
use super::process::{Ended, Group, supervise};
use super::record::Call;
use crate::collect::doctests::Doctest;
use crate::error::Error;

/// Name for what is found in merged doctests.
pub const MERGED: &str = "(merged doctests)";

/// How a doctest went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoctestResult {
    /// It passed.
    Passed,
    /// It failed, or did not compile.
    Failed,
    /// It is marked `ignore`.
    Ignored,
}

/// The doctests of one package.
#[derive(Debug)]
pub struct Doctests {
    /// Name of each, and how it went.
    pub results: Vec<(String, DoctestResult)>,
    /// Names of the merged ones by their numbers; empty if not known.
    pub merged: Vec<String>,
    /// Each process that ran.
    pub processes: Vec<Process>,
    /// How rustdoc ended.
    pub ended: Ended,
    /// All that rustdoc wrote.
    pub output: String,
}

/// The process of a doctest.
#[derive(Debug)]
pub struct Process {
    /// Where the runtime wrote.
    pub wire_dir: PathBuf,
    /// The executable, kept if something was found.
    pub executable: Option<PathBuf>,
    /// Its number, if it is one of several in a program.
    pub number: Option<usize>,
}

/// Runs the doctests of one package.
///
/// # Errors
/// If rustdoc cannot be started or waited for.
pub fn run(
    call: &Call,
    own: &Path,
    conditions: &Conditions<'_>,
    environment: &env::Environment,
) -> Result<Doctests, Error> {
    let processes_dir = own.join("processes");
    // Where cargo is too old to name a runner for doctests.
    let shared_wire = processes_dir.join("all").join(WIRE);
    std::fs::create_dir_all(&shared_wire).map_err(|source| Error::Write {
        path: shared_wire.clone(),
        source,
    })?;
    let path = own.join("output");

    let mut command = command(call, &call.args, &[]);
    command
        .env(env::DOCTEST_DIR, &processes_dir)
        .env(WIRE_DIR_ENV, &shared_wire);
    let runner = serde_json::to_string(conditions.runner).map_err(Error::Encode)?;
    command.env(env::CHAINED_RUNNER, runner);
    if let Some(limit) = conditions.limit {
        command.env(env::TIMEOUT_MS, limit.as_millis().to_string());
    }
    if let Some(grace) = conditions.grace {
        command.env(GRACE_ENV, grace.to_string());
    }
    if !conditions.task_races {
        command.env(NO_TASK_RACES_ENV, "1");
    }
    if let Some(path) = environment.get("PATH") {
        // The runner may be named by a word alone.
        command.env("PATH", path);
    }
    command.stdin(Stdio::null()).process_group(0);
    captures(&mut command, &path)?;
    let child = spawn(&mut command)?;
    let ended = supervise(child, Group::Own, None, conditions.stop, None)?;

    let output = captured(path)?;
    let mut processes = Vec::new();
    // That have several doctests each.
    let mut programs = 0;
    let read = |source| Error::Read {
        path: processes_dir.clone(),
        source,
    };
    for entry in std::fs::read_dir(&processes_dir).map_err(read)? {
        let dir = entry.map_err(read)?.path();
        let executable = Some(dir.join(EXECUTABLE)).filter(|exe| exe.exists());
        let wire_dirs = wire_dirs(&dir)?;
        programs += usize::from(wire_dirs.len() > 1);
        processes.extend(wire_dirs.into_iter().map(|(number, wire_dir)| Process {
            wire_dir,
            executable: executable.clone(),
            number,
        }));
    }
    Ok(Doctests {
        results: results(&output),
        merged: if programs == 1 {
            merged_names(&output)
        } else {
            Vec::new()
        },
        processes,
        ended,
        output,
    })
}

/// The wire directories of a program: its own, and those of the doctests that
/// were merged into it, by number.
///
/// # Errors
/// If the directory cannot be read.
pub fn wire_dirs(dir: &Path) -> Result<Vec<(Option<usize>, PathBuf)>, Error> {
    let read = |source| Error::Read {
        path: dir.to_owned(),
        source,
    };
    let mut found = vec![(None, dir.join(WIRE))];
    for entry in std::fs::read_dir(dir).map_err(read)? {
        let name = entry.map_err(read)?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        if number.is_some() {
            found.push((number, dir.join(name).join(WIRE)));
        }
    }
    Ok(found)
}

/// Name of a wire directory.
pub const WIRE: &str = "wire";

/// File name of the kept copy.
pub const EXECUTABLE: &str = "doctest";

/// Variable by which the runner of merged doctests starts itself again for
/// each one; rustdoc leaves it out where there is a target runner.
pub const MERGED_BINARY: &str = "RUSTDOC_DOCTEST_BIN_PATH";

/// Variable that says which of the merged doctests to run.
pub const NUMBER: &str = "RUSTDOC_DOCTEST_RUN_NB_TEST";

/// The names of merged doctests by their numbers: rustdoc counts them in the
/// order of their names. Their program is the first to tell its results; with
/// a filter it does not tell all.
fn merged_names(output: &str) -> Vec<String> {
    let first = output
        .split_once("\nrunning ")
        .and_then(|(_, rest)| rest.split_once("\ntest result: "));
    let Some((block, rest)) = first else {
        return Vec::new();
    };
    let summary = rest.lines().next().unwrap_or_default();
    if !summary.contains(" 0 filtered out") {
        return Vec::new();
    }
    let mut names: Vec<String> = results(block).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// Lines `test NAME ... ok`.
fn results(output: &str) -> Vec<(String, DoctestResult)> {
    output
        .lines()
        .filter_map(|line| {
            let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
            let result = match result {
                "ok" => DoctestResult::Passed,
                "FAILED" => DoctestResult::Failed,
                _ if result.starts_with("ignored") => DoctestResult::Ignored,
                _ => return None,
            };
            Some((name.to_owned(), result))
        })
        .collect()
}

impl Doctests {
    /// The name of the doctest that ran in `process`.
    #[must_use]
    pub fn name_of(&self, process: &Process) -> &str {
        if let Some(number) = process.number {
            return self.merged.get(number).map_or(MERGED, String::as_str);
        }
        let Some(symbol) = process.executable.as_deref().and_then(main_symbol) else {
            return MERGED;
        };
        self.results
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| {
                Doctest::named(name).is_some_and(|of| symbol.contains(&of.symbol_prefix()))
            })
            .unwrap_or(MERGED)
    }
}

fn main_symbol(executable: &Path) -> Option<String> {
    let cache = ReadCache::new(File::open(executable).ok()?);
    let object = object::File::parse(&cache).ok()?;
    object
        .symbols()
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .find(|name| name.contains("_doctest_main_"))
}

#[cfg(test)]
mod tests {
    use super::{DoctestResult, merged_names, results};

    #[test]
    fn result_lines() {
        let output = "\nrunning 4 tests\n\
            test src/lib.rs - f (line 3) ... ok\n\
            test src/lib.rs - g (line 9) - compile fail ... ok\n\
            test src/lib.rs - h (line 12) ... FAILED\n\
            test src/lib.rs - i (line 15) ... ignored\n\
            \nfailures:\n\
            test result: FAILED. 2 passed; 1 failed; 1 ignored\n";
        let results = results(output);
        let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "src/lib.rs - f (line 3)",
                "src/lib.rs - g (line 9) - compile fail",
                "src/lib.rs - h (line 12)",
                "src/lib.rs - i (line 15)",
            ]
        );
        use DoctestResult::{Failed, Ignored, Passed};
        let results: Vec<DoctestResult> = results.iter().map(|(_, result)| *result).collect();
        assert_eq!(results, [Passed, Passed, Failed, Ignored]);
    }

    #[test]
    fn numbers_of_merged_doctests() {
        let block = "\nrunning 3 tests\n\
            test src/lib.rs - two (line 9) ... ok\n\
            test src/lib.rs - (line 3) ... ok\n\
            test src/lib.rs - three (line 5) ... FAILED\n\
            \ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            \nrunning 1 test\ntest src/lib.rs - a (line 1) ... ok\n\
            \ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            merged_names(block),
            [
                "src/lib.rs - (line 3)",
                "src/lib.rs - three (line 5)",
                "src/lib.rs - two (line 9)",
            ]
        );
        let some = block.replacen("0 filtered out", "2 filtered out", 1);
        assert!(merged_names(&some).is_empty());
        assert!(merged_names("error: could not compile").is_empty());
    }
}
