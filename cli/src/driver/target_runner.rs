//! Us in the place of cargo's target runner: `leakcheck-runner PROGRAM ARGS…`.
//!
//! Three things are wanted of it, and the environment says which:
//!
//! - note the call for the driver ([`super::record`]);
//! - run one doctest for rustdoc, and keep what the driver will need
//!   ([`super::doctest`]);
//! - run one of several merged doctests in a directory of its own, for the
//!   program of all of them;
//! - otherwise (`show-env`): run the program, and say at its end what was
//!   found in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use leakcheck::report::wire::WIRE_DIR_ENV;

use super::process::{Cause, Group, Stop, supervise};
use super::{doctest, env, execute, nextest, record, watch};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::overlay::notes;
use crate::plan::SourceDirectories;

/// Runs, or notes, the program. Returns the exit code.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    match dispatch(args) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: leakcheck: {error}");
            error.outcome().into()
        }
    }
}

fn dispatch(args: Vec<OsString>) -> Result<Outcome, Error> {
    let number = std::env::var_os(doctest::NUMBER);
    if let (Some(number), Some(program)) = (number, std::env::var_os(env::DOCTEST_PROGRAM)) {
        return Err(one_of_merged(&number, &program, &args));
    }
    let Some((program, args)) = args.split_first() else {
        return Err(Error::WrapperWithoutCompiler);
    };
    if let Some(dir) = std::env::var_os(env::RECORD_DIR) {
        record::note(Path::new(&dir), record::What::Binary, program, args)?;
        return Ok(Outcome::Clean);
    }
    let runner: Vec<String> = read_json(env::CHAINED_RUNNER)?;
    if let Some(dir) = std::env::var_os(env::DOCTEST_DIR) {
        return doctest(program, args, &runner, Path::new(&dir));
    }
    let sources =
        std::env::var_os(env::PROJECT).ok_or(Error::WrapperOutsideRun { name: env::PROJECT })?;
    let sources = SourceDirectories::load(Path::new(&sources))?;
    let mut command = command(program, args, &runner);
    if let Some(dir) = std::env::var_os(env::NEXTEST_DIR) {
        return nextest::run_test(&mut command, Path::new(program), sources, Path::new(&dir));
    }
    let overlays = std::env::var_os(env::OVERLAYS);
    let settings = watch::Settings {
        gaps: overlays.map_or_else(Vec::new, |overlays| {
            notes::of_project(Path::new(&overlays), &sources.workspace_root)
        }),
        ..watch::Settings::default()
    };
    watch::watch(&mut command, Path::new(program), sources, settings)
}

fn read_json<T: serde::de::DeserializeOwned>(name: &'static str) -> Result<T, Error> {
    let text = std::env::var_os(name).ok_or(Error::WrapperOutsideRun { name })?;
    serde_json::from_slice(text.as_encoded_bytes())
        .map_err(|source| Error::BadVariable { name, source })
}

fn command(program: &OsStr, args: &[OsString], runner: &[String]) -> Command {
    let mut command = match runner.split_first() {
        Some((runner, runner_args)) => {
            let mut command = Command::new(runner);
            command.args(runner_args).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(args);
    command
}

/// Runs a copy of the doctest's program, which rustdoc is about to delete, and
/// keeps the copy if something was found in it.
fn doctest(
    program: &OsStr,
    args: &[OsString],
    runner: &[String],
    processes: &Path,
) -> Result<Outcome, Error> {
    let dir = processes.join(std::process::id().to_string());
    let wire_dir = dir.join(doctest::WIRE);
    std::fs::create_dir_all(&wire_dir).map_err(|source| Error::Write {
        path: wire_dir.clone(),
        source,
    })?;
    let executable = dir.join(doctest::EXECUTABLE);
    std::fs::copy(program, &executable).map_err(|source| Error::Write {
        path: executable.clone(),
        source,
    })?;

    let mut command = command(executable.as_os_str(), args, runner);
    command.env(WIRE_DIR_ENV, &wire_dir);
    // Merged doctests then run in a process each, by way of us.
    let us = std::env::args_os().next();
    command.env(
        doctest::MERGED_BINARY,
        us.as_deref().unwrap_or(executable.as_os_str()),
    );
    command.env(env::DOCTEST_PROGRAM, &executable);
    let limit = std::env::var(env::TIMEOUT_MS)
        .ok()
        .and_then(|ms| ms.parse().ok());
    let limit = limit.map(Duration::from_millis);
    let stop = Arc::new(Stop::new(None)?);
    let child = execute::spawn(&mut command)?;
    let ended = supervise(child, Group::Ours, limit, &stop, None)?;
    if ended.cause == Cause::TimeLimit {
        eprintln!(
            "leakcheck: ended after {} s, see --timeout",
            ended.elapsed.as_secs()
        );
    }
    let wire_dirs = doctest::wire_dirs(&dir)?;
    if !wire_dirs
        .iter()
        .any(|(_, wire_dir)| has_something_to_look_up(wire_dir))
    {
        std::fs::remove_file(&executable).map_err(|source| Error::Write {
            path: executable,
            source,
        })?;
    }
    Ok(Outcome::Program(exit_code(ended.status)))
}

/// Becomes the program of merged doctests, which then runs the one with this
/// number and writes what it finds apart from the others.
fn one_of_merged(number: &OsStr, program: &OsStr, args: &[OsString]) -> Error {
    let dir = Path::new(program).parent().unwrap_or(Path::new("."));
    let wire_dir = dir.join(number).join(doctest::WIRE);
    if let Err(source) = std::fs::create_dir_all(&wire_dir) {
        return Error::Write {
            path: wire_dir,
            source,
        };
    }
    let source = Command::new(program)
        .args(args)
        .env(WIRE_DIR_ENV, &wire_dir)
        .env_remove(env::DOCTEST_PROGRAM)
        .exec();
    Error::Spawn {
        program: program.into(),
        source,
    }
}

/// A finding or a crash has addresses that need the executable.
fn has_something_to_look_up(wire_dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(wire_dir) else {
        return true;
    };
    entries.flatten().any(|entry| {
        std::fs::read_to_string(entry.path()).map_or(true, |records| {
            records.lines().any(|record| {
                record.contains("\"type\":\"finding\"") || record.contains("\"type\":\"crash\"")
            })
        })
    })
}

/// A process's code, or 128 and the signal, as a shell has it.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::{exit_code, has_something_to_look_up};

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(11)), 139);
    }

    #[test]
    fn executables_are_kept_for_findings() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_something_to_look_up(dir.path()));
        std::fs::write(
            dir.path().join("1"),
            "{\"type\":\"start\"}\n{\"type\":\"end\"}\n",
        )
        .unwrap();
        assert!(!has_something_to_look_up(dir.path()));
        std::fs::write(dir.path().join("2"), "{\"type\":\"finding\",\"kind\"").unwrap();
        assert!(has_something_to_look_up(dir.path()));
    }
}
