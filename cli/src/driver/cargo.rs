//! The calls of cargo: first build everything, then let cargo say how it
//! would call each test ([`super::record`]).

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{Artifact, Message, TargetKind};

use super::env;
use super::record::{self, Call, What};
use crate::args::{RunArgs, TestArgs};
use crate::error::Error;
use crate::model::Gap;
use crate::overlay::executors::overlay_of;
use crate::overlay::notes::gap;
use crate::plan::{Plan, SourceDirectories};

/// Diagnostics as text for people, all else as messages for us.
const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// Which target an executable was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the package.
    pub package: String,
    /// Name of the target, as in a test's id.
    pub binary: String,
}

/// The executables of a build, by path.
pub type Origins = HashMap<PathBuf, Origin>;

/// What a build has told.
#[derive(Debug)]
pub struct Built {
    /// How many of the executables are tests.
    pub tests: usize,
    /// Its executables.
    pub origins: Origins,
    /// Executors among its packages, by name and version.
    pub executors: BTreeSet<(String, String)>,
    /// parking_lot is not among the crates, or has no feature that lets its
    /// guards go to other threads.
    pub guards_stay: bool,
    /// The project's sources, with the packages that took part in the build.
    pub sources: SourceDirectories,
}

impl Built {
    fn new(plan: &Plan) -> Self {
        Self {
            tests: 0,
            origins: Origins::new(),
            executors: BTreeSet::new(),
            guards_stay: true,
            sources: plan.project.sources.clone(),
        }
    }

    fn add(&mut self, artifact: &Artifact) {
        if let Some(dir) = artifact.manifest_path.parent() {
            let by_path = artifact.package_id.repr.starts_with("path+");
            self.sources.add_package(dir.into(), by_path);
        }
        let version = package_version(&artifact.package_id.repr);
        let package = package_name(&artifact.package_id.repr, &artifact.manifest_path);
        if overlay_of(&package).is_some() {
            self.executors.insert((package, version.to_owned()));
        }
        self.guards_stay &= !lets_guards_go(artifact);
        let executable = origin(artifact);
        self.tests += usize::from(artifact.profile.test && executable.is_some());
        self.origins.extend(executable);
    }

    /// What goes unseen, since an executor could not be patched.
    #[must_use]
    pub fn unseen(&self, plan: &Plan) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (package, version) in &self.executors {
            let unseen = plan.unseen(package, version);
            gaps.extend(unseen.iter().map(|unseen| gap(package, version, unseen)));
        }
        gaps
    }
}

/// Builds by a call of cargo that tells what it has built, as messages.
fn build(command: &mut Command, built: &mut Built) -> Result<(), Error> {
    let mut cargo = spawn(command.stdout(Stdio::piped()))?;
    if let Some(stdout) = cargo.stdout.take() {
        for message in Message::parse_stream(BufReader::new(stdout)) {
            // Others are what cargo, build scripts or proc-macros print besides.
            if let Message::CompilerArtifact(artifact) = message.map_err(Error::Wait)? {
                built.add(&artifact);
            }
        }
    }
    let status = cargo.wait().map_err(Error::Wait)?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Build { status })
    }
}

/// Builds the tests. cargo's own output goes to standard error.
///
/// # Errors
/// If cargo cannot be started, or does not build them.
pub fn build_tests(plan: &Plan, args: &TestArgs) -> Result<Built, Error> {
    let mut built = Built::new(plan);
    // `cargo test --doc --no-run` is an error: rustdoc builds while it tests.
    if args.selection.doc {
        // rustdoc builds while it tests: nothing is known yet.
        built.guards_stay = false;
        return Ok(built);
    }
    let mut command = test_command(plan, args);
    command.args(["--no-run", MESSAGES]);
    command.stdin(Stdio::null());
    build(&mut command, &mut built)?;
    Ok(built)
}

/// Lets cargo say how it would call the tests that [`build_tests`] built.
///
/// # Errors
/// If cargo cannot be started, or fails, which it then has told.
pub fn record_tests(
    plan: &Plan,
    args: &TestArgs,
    built: &Built,
    notes: &Path,
) -> Result<Vec<Call>, Error> {
    let mut command = test_command(plan, args);
    command.arg("--no-fail-fast");
    if !args.binary_args.is_empty() {
        command.arg("--").args(&args.binary_args);
    }
    command
        .env(env::RECORD_DIR, notes)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if args.selection.doc {
        // The first pass: there is something to see.
        let status = spawn(&mut command)?.wait().map_err(Error::Wait)?;
        if !status.success() {
            return Err(Error::Build { status });
        }
    } else {
        let output = command
            .output()
            .map_err(|source| spawn_error(&command, source))?;
        if !output.status.success() {
            anstream::eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return Err(Error::Build {
                status: output.status,
            });
        }
    }
    let calls = record::read(notes)?;
    let none = calls.iter().all(|call| call.what != What::Binary);
    if none && built.tests > 0 {
        return Err(Error::NotRecorded {
            variable: env::runner_variable(&plan.host),
        });
    }
    Ok(calls)
}

/// Builds the program of `leakcheck run` and lets cargo say how it would call
/// it, and what it has built.
///
/// # Errors
/// If cargo cannot be started, or does not build it.
pub fn record_program(
    plan: &Plan,
    args: &RunArgs,
    notes: &Path,
) -> Result<(Vec<Call>, Built), Error> {
    let mut command = plan.cargo();
    command.arg("run");
    command.args(args.package.iter().map(|name| format!("--package={name}")));
    command.args(args.bin.iter().map(|name| format!("--bin={name}")));
    command.args(args.example.iter().map(|name| format!("--example={name}")));
    command.args(args.build.to_cargo()).args(plan.target_args());
    command.arg(MESSAGES);
    command.arg("--").args(&args.program_args);
    command.env(env::RECORD_DIR, notes).stdin(Stdio::null());
    let mut built = Built::new(plan);
    build(&mut command, &mut built)?;
    Ok((record::read(notes)?, built))
}

fn test_command(plan: &Plan, args: &TestArgs) -> Command {
    let mut command = plan.cargo();
    command
        .arg("test")
        .args(args.selection.to_cargo())
        .args(args.build.to_cargo());
    command.args(plan.target_args());
    command.args(args.filter.iter().map(OsString::from));
    command
}

/// True if the artifact is parking_lot with a feature that makes its guards
/// `Send`.
fn lets_guards_go(artifact: &Artifact) -> bool {
    artifact.target.name == "parking_lot" && artifact.features.iter().any(|f| f == "send_guard")
}

fn origin(artifact: &Artifact) -> Option<(PathBuf, Origin)> {
    let executable = artifact.executable.as_ref()?;
    let name = &artifact.target.name;
    let binary = match artifact.target.kind.first() {
        Some(TargetKind::Bin) => format!("bin/{name}"),
        Some(TargetKind::Example) => format!("example/{name}"),
        Some(TargetKind::Bench) => format!("bench/{name}"),
        Some(_) | None => name.clone(),
    };
    let package = package_name(&artifact.package_id.repr, &artifact.manifest_path);
    Some((
        executable.clone().into_std_path_buf(),
        Origin { package, binary },
    ))
}

/// `path+file:///dir/name#0.1.0`, `path+file:///dir#name@0.1.0`,
/// `registry+https://…#name@1.2.3`, and before cargo 1.77 `name 0.1.0 (…)`.
fn package_name(id: &str, manifest: &cargo_metadata::camino::Utf8Path) -> String {
    let fragment = id.rsplit_once('#').map(|(_, fragment)| fragment);
    if let Some((name, _)) = fragment.and_then(|f| f.split_once('@')) {
        return name.to_owned();
    }
    if let Some((name, _)) = id.split_once(' ') {
        return name.to_owned();
    }
    manifest
        .parent()
        .and_then(|dir| dir.file_name())
        .unwrap_or(id)
        .to_owned()
}

/// The version at the end of a package id.
fn package_version(id: &str) -> &str {
    match id.rsplit_once(['#', '@']) {
        Some((_, version)) => version,
        None => id.split(' ').nth(1).unwrap_or_default(),
    }
}

fn spawn(command: &mut Command) -> Result<std::process::Child, Error> {
    command
        .spawn()
        .map_err(|source| spawn_error(command, source))
}

fn spawn_error(command: &Command, source: std::io::Error) -> Error {
    Error::Spawn {
        program: command.get_program().into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{package_name, package_version};

    #[test]
    fn versions_of_package_ids() {
        for id in [
            "registry+https://github.com/rust-lang/crates.io-index#a@1.2.3",
            "path+file:///home/me/dir-name#1.2.3",
            "a 1.2.3 (path+file:///home/me/a)",
        ] {
            assert_eq!(package_version(id), "1.2.3");
        }
    }

    #[test]
    fn names_of_package_ids() {
        let name = |id: &str| package_name(id, "/home/me/dir-name/Cargo.toml".into());
        assert_eq!(name("path+file:///home/me/dir-name#0.1.0"), "dir-name");
        assert_eq!(name("path+file:///home/me/dir-name#other@0.1.0"), "other");
        assert_eq!(
            name("registry+https://github.com/rust-lang/crates.io-index#a@1.2.3"),
            "a"
        );
        assert_eq!(
            name("old-style 0.1.0 (path+file:///home/me/dir-name)"),
            "old-style"
        );
    }
}
