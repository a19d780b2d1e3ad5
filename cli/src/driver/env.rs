//! The environment: the seam between the processes of one run.
//!
//! | variable | set by | read by |
//! |---|---|---|
//! | `LEAKCHECK=1` | driver | build scripts and the tests themselves |
//! | `RUSTC_WRAPPER` | driver | cargo, which calls us as [`RUSTC_ROLE`] |
//! | `RUSTDOC` | driver | cargo, which calls us as [`RUSTDOC_ROLE`] |
//! | `CARGO_TARGET_<TRIPLE>_RUNNER` | driver | cargo and rustdoc, which call us as [`RUNNER_ROLE`] |
//! | [`SYSROOT`], [`RUNTIME`], [`OVERLAYS`] | driver | the compiler wrappers |
//! | [`CHAINED_WRAPPER`], [`CHAINED_RUSTDOC`], [`CHAINED_RUNNER`] | driver | whoever replaced the user's own |
//! | [`RECORD_DIR`] | driver, recording pass | runner and rustdoc wrapper, which then note the call instead of making it |
//! | [`DOCTEST_DIR`], [`TIMEOUT_MS`] | driver, doctests | the runner |
//! | [`DOCTEST_PROGRAM`] | runner, for merged doctests | the runner, for each of them |
//! | [`NEXTEST_DIR`] | `leakcheck nextest` | the runner, which then leaves a fragment of the report there |
//! | [`NO_RACES`] | driver, `--no-races` | the compiler wrappers |
//! | [`UNDO`] | driver | driver: what the user's environment was before all this |
//! | `LEAKCHECK_WIRE_DIR`, `LEAKCHECK_GRACE_MS`, `LEAKCHECK_GUARDS_STAY`, `LEAKCHECK_SUPERVISOR`, `LEAKCHECK_EXPLORE_SEED`, `LEAKCHECK_NO_TASK_RACES` | runner | the runtime inside the tested process |

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// File name under which our executable is the compiler's wrapper.
pub const RUSTC_ROLE: &str = "leakcheck-rustc";
/// File name under which our executable is rustdoc.
pub const RUSTDOC_ROLE: &str = "leakcheck-rustdoc";
/// File name under which our executable is the target runner.
pub const RUNNER_ROLE: &str = "leakcheck-runner";

/// Directory in which each test of cargo-nextest leaves what it found.
pub const NEXTEST_DIR: &str = "LEAKCHECK_NEXTEST_DIR";
/// Tells programs that they are built for, or run by, leakcheck.
pub const ACTIVE: &str = "LEAKCHECK";
/// The instrumented sysroot.
pub const SYSROOT: &str = "LEAKCHECK_SYSROOT";
/// Set if nothing is instrumented, since races are left out.
pub const NO_RACES: &str = "LEAKCHECK_NO_RACES";
/// The runtime object to link into executables.
pub const RUNTIME: &str = "LEAKCHECK_RUNTIME";
/// Where patched copies of executors are.
pub const OVERLAYS: &str = "LEAKCHECK_OVERLAYS";
/// The user's own compiler wrapper.
pub const CHAINED_WRAPPER: &str = "LEAKCHECK_CHAINED_WRAPPER";
/// The rustdoc that would have been called.
pub const CHAINED_RUSTDOC: &str = "LEAKCHECK_CHAINED_RUSTDOC";
/// The user's own target runner, a JSON array of strings.
pub const CHAINED_RUNNER: &str = "LEAKCHECK_CHAINED_RUNNER";
/// Where calls are noted instead of made.
pub const RECORD_DIR: &str = "LEAKCHECK_RECORD_DIR";
/// Where each doctest's process leaves what it found.
pub const DOCTEST_DIR: &str = "LEAKCHECK_DOCTEST_DIR";
/// The program of merged doctests, which calls us for each of them.
pub const DOCTEST_PROGRAM: &str = "LEAKCHECK_DOCTEST_PROGRAM";
/// Milliseconds that a doctest may take.
pub const TIMEOUT_MS: &str = "LEAKCHECK_TIMEOUT_MS";
/// File with the project's own directories, for a runner without a driver.
pub const PROJECT: &str = "LEAKCHECK_PROJECT";
/// The user's values of the variables that the driver set, as JSON.
pub const UNDO: &str = "LEAKCHECK_UNDO";

/// A process environment, as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

/// The user's values of replaced variables; `None` was not set.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Undo(BTreeMap<String, Option<String>>);

impl Environment {
    /// The environment of this process, with what an outer leakcheck (a shell
    /// that evaluated `show-env`) has set undone.
    ///
    /// # Errors
    /// If the note of the outer leakcheck cannot be read.
    pub fn of_user() -> Result<Self, Error> {
        let mut environment: Self = std::env::vars_os().collect();
        environment.undo()?;
        Ok(environment)
    }

    /// Value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets a variable without remembering its old value.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Unsets a variable.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    /// Sets variables so that [`undo`](Self::undo) can restore the old values.
    ///
    /// # Errors
    /// If an old value is not UTF-8 and so cannot be noted.
    pub fn overlay(&mut self, variables: &[(String, OsString)]) -> Result<(), Error> {
        let mut undo = self.read_undo()?;
        for (name, value) in variables {
            let old = match self.get(name) {
                None => None,
                Some(old) => Some(
                    old.to_str()
                        .ok_or_else(|| Error::VariableNotUtf8 { name: name.clone() })?
                        .to_owned(),
                ),
            };
            undo.0.entry(name.clone()).or_insert(old);
            self.set(name, value);
        }
        let note = serde_json::to_string(&undo).map_err(Error::Encode)?;
        self.set(UNDO, note);
        Ok(())
    }

    /// Restores what [`overlay`](Self::overlay) replaced.
    ///
    /// # Errors
    /// If the note is not what `overlay` writes.
    pub fn undo(&mut self) -> Result<(), Error> {
        for (name, old) in self.read_undo()?.0 {
            match old {
                Some(value) => self.set(name, value),
                None => self.remove(&name),
            }
        }
        self.remove(UNDO);
        Ok(())
    }

    /// Makes this the whole environment of a command.
    pub fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.0);
    }

    /// All variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    fn read_undo(&self) -> Result<Undo, Error> {
        match self.get(UNDO) {
            None => Ok(Undo::default()),
            Some(note) => serde_json::from_slice(note.as_encoded_bytes())
                .map_err(|source| Error::BadVariable { name: UNDO, source }),
        }
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Name of the variable that sets a target's runner.
#[must_use]
pub fn runner_variable(triple: &str) -> String {
    let triple: String = triple
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("CARGO_TARGET_{triple}_RUNNER")
}

#[cfg(test)]
mod tests {
    use std::ffi::{OsStr, OsString};

    use super::{Environment, UNDO, runner_variable};

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(n, v)| (OsString::from(n), OsString::from(v)))
            .collect()
    }

    #[test]
    fn undo_restores_what_overlay_replaced() {
        let user = environment(&[("RUSTC_WRAPPER", "sccache"), ("HOME", "/home/me")]);
        let mut ours = user.clone();
        ours.overlay(&[
            ("RUSTC_WRAPPER".to_owned(), "ours".into()),
            ("RUSTDOC".to_owned(), "ours".into()),
        ])
        .unwrap();
        assert_eq!(ours.get("RUSTC_WRAPPER"), Some(OsStr::new("ours")));
        ours.undo().unwrap();
        assert_eq!(ours, user);
    }

    #[test]
    fn a_second_overlay_keeps_the_users_value() {
        let user = environment(&[("A", "user")]);
        let mut ours = user.clone();
        ours.overlay(&[("A".to_owned(), "first".into())]).unwrap();
        ours.overlay(&[("A".to_owned(), "second".into())]).unwrap();
        assert_eq!(ours.get("A"), Some(OsStr::new("second")));
        ours.undo().unwrap();
        assert_eq!(ours, user);
    }

    #[test]
    fn a_broken_note_is_an_error() {
        let mut broken = environment(&[(UNDO, "not json")]);
        assert!(broken.undo().is_err());
    }

    #[test]
    fn runner_variable_is_the_one_that_cargo_reads() {
        assert_eq!(
            runner_variable("x86_64-unknown-linux-gnu"),
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER"
        );
    }
}
