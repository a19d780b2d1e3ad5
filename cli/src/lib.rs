//! The `leakcheck` command: builds a cargo project with the compiler's own
//! instrumentation, runs its tests one process each, and judges what they did.
//!
//! - [`args`]: the command line as typed; [`plan`]: the same, resolved;
//! - [`driver`]: cargo, the compiler wrappers, the runner;
//! - [`symbolize`]: names for addresses; [`collect`]: findings from what the
//!   tested processes wrote; [`model`]: what a finding is;
//! - [`document`]: a run as data, which every output for machines is made of;
//! - [`render`]: findings as text; [`explain`]: the long text of each code;
//! - [`config`], [`baseline`], [`suppress`], [`filter`]: what a team has
//!   written down; [`gate`]: what of it is in force, and what counts;
//! - [`error`]: why there is no verdict;
//! - [`outcome`]: every way a run can end, and its exit code;
//! - [`runtime`]: the embedded runtime object;
//! - [`sysroot`]: the instrumented standard library.
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("leakcheck runs on Linux: its runtime and its runner are made for it");

pub mod args;
pub mod baseline;
pub mod collect;
pub mod config;
pub mod document;
pub mod driver;
pub mod error;
pub mod explain;
pub mod filter;
pub mod gate;
pub mod model;
pub mod outcome;
pub mod overlay;
pub mod plan;
pub mod render;
pub mod runtime;
pub mod suppress;
pub mod symbolize;
pub mod sysroot;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::Cli;
use crate::driver::wrapper::{self, Role};
use crate::driver::{commands, target_runner};
use crate::error::Error;
use crate::outcome::Outcome;

/// The whole program: whatever it is called as, from its arguments to its exit
/// code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let Some((name, rest)) = args.split_first() else {
        return Outcome::Usage.into();
    };
    match Role::of(name) {
        Role::Rustc => wrapper::rustc(rest.to_vec()),
        Role::Rustdoc => wrapper::rustdoc(rest.to_vec()),
        Role::Runner => target_runner::main(rest.to_vec()),
        Role::Command => command(args),
    }
}

fn command(args: Vec<OsString>) -> ExitCode {
    let typed = args.len();
    let args = args::without_cargo_word(args);
    let name = if args.len() < typed {
        "cargo leakcheck"
    } else {
        "leakcheck"
    };
    let parsed = Cli::command()
        .bin_name(name)
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(answer) => {
            // Where nobody reads the help, the exit code still tells.
            let _ = answer.print();
            let outcome = if answer.use_stderr() {
                Outcome::Usage
            } else {
                Outcome::Clean
            };
            return outcome.into();
        }
    };
    match commands::dispatch(cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            // cargo has told why it did not build.
            if !matches!(error, Error::Build { .. }) {
                anstream::eprintln!(
                    "{}error{:#}: {error}",
                    driver::status::bad(),
                    driver::status::bad()
                );
            }
            error.outcome().into()
        }
    }
}
