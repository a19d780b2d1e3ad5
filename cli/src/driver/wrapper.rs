//! Us in the place of rustc and of rustdoc.
//!
//! cargo calls `RUSTC_WRAPPER rustc ARGS…` for each compilation and `RUSTDOC
//! ARGS…` for documentation and doctests. Both variables name a symbolic link
//! to our executable, and the name of the link says which role is meant. A
//! wrapper reads a few variables, appends flags, and becomes the real program
//! with `exec`: no command line parser, no configuration, no child process.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::env::{self, RUNNER_ROLE, RUSTC_ROLE, RUSTDOC_ROLE};
use super::flags::Instrumentation;
use super::record;
use crate::error::Error;
use crate::overlay::{self, Compilation};

/// What our executable was called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The command itself.
    Command,
    /// cargo's wrapper around rustc.
    Rustc,
    /// rustdoc.
    Rustdoc,
    /// The target runner, of cargo and of rustdoc.
    Runner,
}

impl Role {
    /// The role that the name of the executable stands for.
    #[must_use]
    pub fn of(argv0: &OsStr) -> Self {
        match Path::new(argv0).file_name().and_then(OsStr::to_str) {
            Some(RUSTC_ROLE) => Self::Rustc,
            Some(RUSTDOC_ROLE) => Self::Rustdoc,
            Some(RUNNER_ROLE) => Self::Runner,
            Some(_) | None => Self::Command,
        }
    }
}

/// Becomes rustc, or the user's own wrapper around it. Returns only if that
/// failed.
#[must_use]
pub fn rustc(args: Vec<OsString>) -> ExitCode {
    fail(&exec_rustc(args))
}

/// Becomes rustdoc, or notes the call where the driver is recording.
#[must_use]
pub fn rustdoc(args: Vec<OsString>) -> ExitCode {
    match exec_rustdoc(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn exec_rustc(args: Vec<OsString>) -> Error {
    let mut args = args.into_iter();
    let Some(rustc) = args.next() else {
        return Error::WrapperWithoutCompiler;
    };
    let instrumentation = match Instrumentation::from_environment() {
        Ok(instrumentation) => instrumentation,
        Err(error) => return error,
    };
    let mut args: Vec<OsString> = args.collect();
    // What is compiled for the host runs without the runtime.
    if args.iter().any(|arg| arg == "--target")
        && let Err(error) = use_overlay(&mut args)
    {
        return error;
    }
    let args = instrumentation.rustc_args(args);
    match std::env::var_os(env::CHAINED_WRAPPER) {
        Some(wrapper) => exec(&wrapper, std::iter::once(rustc).chain(args)),
        None => exec(&rustc, args),
    }
}

/// Compiles the patched copy in the place of an executor's library.
fn use_overlay(args: &mut Vec<OsString>) -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(package), Some(version), Some(at)) = (
        variable("CARGO_PKG_NAME"),
        variable("CARGO_PKG_VERSION"),
        std::env::var_os(env::OVERLAYS),
    ) else {
        return Ok(());
    };
    let krate = variable("CARGO_CRATE_NAME").unwrap_or_default();
    let of = Compilation {
        package: &package,
        version: &version,
        krate: &krate,
    };
    overlay::redirect(args, &of, Path::new(&at))
}

fn exec_rustdoc(args: Vec<OsString>) -> Result<(), Error> {
    let rustdoc = std::env::var_os(env::CHAINED_RUSTDOC).ok_or(Error::WrapperOutsideRun {
        name: env::CHAINED_RUSTDOC,
    })?;
    let args = Instrumentation::from_environment()?.rustdoc_args(args);
    if let Some(dir) = std::env::var_os(env::RECORD_DIR)
        && args.iter().any(|arg| arg == "--test")
    {
        return record::note(Path::new(&dir), record::What::Doctests, &rustdoc, &args);
    }
    Err(exec(&rustdoc, args))
}

fn exec(program: &OsStr, args: impl IntoIterator<Item = OsString>) -> Error {
    let source = Command::new(program).args(args).exec();
    Error::Spawn {
        program: program.into(),
        source,
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("error: leakcheck: {error}");
    error.outcome().into()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::Role;

    #[test]
    fn the_name_is_the_role() {
        assert_eq!(
            Role::of(OsStr::new("/t/leakcheck/bin/leakcheck-rustc")),
            Role::Rustc
        );
        assert_eq!(Role::of(OsStr::new("leakcheck-rustdoc")), Role::Rustdoc);
        assert_eq!(Role::of(OsStr::new("bin/leakcheck-runner")), Role::Runner);
        assert_eq!(Role::of(OsStr::new("/usr/bin/leakcheck")), Role::Command);
        assert_eq!(Role::of(OsStr::new("cargo-leakcheck")), Role::Command);
        assert_eq!(Role::of(OsStr::new("")), Role::Command);
    }
}
