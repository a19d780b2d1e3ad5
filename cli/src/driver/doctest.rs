//! Doctests: rustdoc's own harness runs them, with our flags for the compiler
//! and us as target runner, so that each process has its own wire directory.
//!
//! The executable of a doctest is gone when rustdoc ends, so the runner keeps
//! a copy of one in which something was found. Its symbols name the doctest.
//!
//! What it misses: doctests of the 2024 edition are merged into one program;
//! what is found there is told for all of them together.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use leakcheck::report::wire::{GRACE_ENV, WIRE_DIR_ENV};
use object::read::ReadCache;
use object::{Object as _, ObjectSymbol as _};

use super::env;
use super::execute::{Conditions, command, last_part, spawn};
use super::process::{Ended, Group, supervise};
use super::record::Call;
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
    let shared_wire = processes_dir.join("all").join("wire");
    std::fs::create_dir_all(&shared_wire).map_err(|source| Error::Write {
        path: shared_wire.clone(),
        source,
    })?;
    let path = own.join("output");
    let write = |source| Error::Write {
        path: path.clone(),
        source,
    };
    let file = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(write)?;

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
    if let Some(path) = environment.get("PATH") {
        // The runner may be named by a word alone.
        command.env("PATH", path);
    }
    command.stdin(Stdio::null()).process_group(0);
    command
        .stdout(file.try_clone().map_err(write)?)
        .stderr(file);
    let child = spawn(&mut command)?;
    let ended = supervise(child, Group::Own, None, conditions.stop, None)?;

    let output = last_part(&path).map_err(|source| Error::Read { path, source })?;
    let mut processes = Vec::new();
    let read = |source| Error::Read {
        path: processes_dir.clone(),
        source,
    };
    for entry in std::fs::read_dir(&processes_dir).map_err(read)? {
        let dir = entry.map_err(read)?.path();
        let executable = Some(dir.join(EXECUTABLE)).filter(|exe| exe.exists());
        processes.push(Process {
            wire_dir: dir.join("wire"),
            executable,
        });
    }
    Ok(Doctests {
        results: results(&output),
        processes,
        ended,
        output,
    })
}

/// File name of the kept copy.
pub const EXECUTABLE: &str = "doctest";

/// Variable by which the runner of merged doctests starts itself again for
/// each one; rustdoc leaves it out where there is a target runner.
pub const MERGED_BINARY: &str = "RUSTDOC_DOCTEST_BIN_PATH";

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
        let Some(symbol) = process.executable.as_deref().and_then(main_symbol) else {
            return MERGED;
        };
        self.results
            .iter()
            .map(|(name, _)| name.as_str())
            .find(|name| symbol_prefix(name).is_some_and(|prefix| symbol.contains(&prefix)))
            .unwrap_or(MERGED)
    }
}

/// `_doctest_main_src_lib_rs_3_` for `src/lib.rs - item (line 3)`.
fn symbol_prefix(name: &str) -> Option<String> {
    let (file, rest) = name.split_once(" - ")?;
    let (_, line) = rest.rsplit_once("(line ")?;
    let line = line.split_once(')')?.0;
    let file: String = file
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    Some(format!("_doctest_main_{file}_{line}_"))
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
    use super::{DoctestResult, results, symbol_prefix};

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
    fn symbols_of_names() {
        assert_eq!(
            symbol_prefix("src/lib.rs - f (line 3)").unwrap(),
            "_doctest_main_src_lib_rs_3_"
        );
        assert_eq!(
            symbol_prefix("a-b/src/x.md - (line 10) - should panic").unwrap(),
            "_doctest_main_a_b_src_x_md_10_"
        );
        assert_eq!(symbol_prefix("nonsense"), None);
    }
}
