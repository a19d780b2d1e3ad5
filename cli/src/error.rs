//! Everything that can keep leakcheck from giving a verdict. Each error names
//! the object it is about and, where there is one, the way out.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::config::read::ConfigError;
use crate::document::ReadError;
use crate::driver::env::UNDO;
use crate::filter::FilterError;
use crate::outcome::Outcome;
use crate::sysroot::SysrootError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// cargo was shown its error already.
    #[error("cargo did not build the project ({status})")]
    Build {
        /// How cargo ended.
        status: ExitStatus,
    },
    /// `cargo metadata` failed; what it said names the manifest.
    #[error("cargo cannot read the project\n{}", said.trim_end())]
    Metadata {
        /// What cargo said.
        said: String,
    },
    /// `cargo metadata` answered with something else.
    #[error("failed to understand the answer of `cargo metadata`: {0}")]
    MetadataAnswer(#[source] cargo_metadata::Error),
    /// A cargo configuration file is broken.
    #[error("failed to read cargo's configuration: {0}")]
    Config(#[source] cargo_config2::Error),
    /// `--config` is neither a file nor `KEY=VALUE`.
    #[error("failed to understand `--config {argument}`: {reason}")]
    ConfigArgument {
        /// As typed.
        argument: String,
        /// Why.
        reason: String,
    },
    /// Tests for another machine cannot be run here.
    #[error(
        "the target `{target}` is not supported: leakcheck runs the tests on this machine, \
         `{host}`\nhelp: {}",
        target_help(*from_command_line, host)
    )]
    UnsupportedTarget {
        /// What was asked for.
        target: String,
        /// What there is.
        host: String,
        /// By `--target`, or else by `build.target` of the configuration.
        from_command_line: bool,
    },
    /// Not this platform.
    #[error(
        "the platform `{host}` is not supported: leakcheck runs on x86_64-unknown-linux-gnu\n\
         help: use a toolchain of that host, for example in a container"
    )]
    UnsupportedHost {
        /// The toolchain's host.
        host: String,
    },
    /// The configuration, the baseline or a suppression file.
    #[error(transparent)]
    Gate(#[from] ConfigError),
    /// A report that was to be read.
    #[error(transparent)]
    Report(#[from] ReadError),
    /// A filterset of the command line.
    #[error(transparent)]
    Filter(FilterError),
    /// An option or variable that means nothing.
    #[error("{reason}")]
    Option {
        /// Which, and why.
        reason: String,
    },
    /// A result cannot be written as what was asked for.
    #[error("failed to write the results as {format}: {reason}")]
    Render {
        /// As what.
        format: &'static str,
        /// Why.
        reason: String,
    },
    /// The toolchain, the instrumented std or the runtime.
    #[error(transparent)]
    Sysroot(#[from] SysrootError),
    /// No such code.
    #[error(
        "there is no code `{code}`\nhelp: codes are shown in the brackets of a report: {known}"
    )]
    UnknownCode {
        /// As typed.
        code: String,
        /// Those there are.
        known: String,
    },
    /// cargo ran the tests without us.
    #[error(
        "cargo has built tests but did not call them through leakcheck\n\
         help: is something else than `{variable}` setting the target runner?"
    )]
    NotRecorded {
        /// The variable that names us.
        variable: String,
    },
    /// A test binary could not say which tests it has.
    #[error("failed to list the tests of `{binary}` ({status})\n{}", said.trim_end())]
    List {
        /// The binary.
        binary: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// An executable that cannot be read as one.
    #[error("failed to read the symbols of `{path}`: {source}")]
    Symbols {
        /// Which.
        path: PathBuf,
        /// Why.
        source: object::Error,
    },
    /// What the tested process wrote cannot be read.
    #[error("failed to read what the test found in `{path}`: {reason}")]
    Wire {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A program could not be started.
    #[error("failed to start `{program}`: {source}")]
    Spawn {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A running process could not be waited for.
    #[error("failed to wait for a process: {0}")]
    Wait(#[source] io::Error),
    /// A file could not be written.
    #[error("failed to write `{path}`: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("failed to read `{path}`: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output is gone.
    #[error("failed to write the results: {0}")]
    Output(#[source] io::Error),
    /// The current directory is gone.
    #[error("failed to find the current directory: {0}")]
    CurrentDir(#[source] io::Error),
    /// Signals cannot be handled.
    #[error("failed to install the handler of SIGINT and SIGTERM: {0}")]
    Signals(#[source] io::Error),
    /// Our own executable cannot be found.
    #[error("failed to find leakcheck's own executable: {0}")]
    OwnExecutable(#[source] io::Error),
    /// A note of the recording pass is not one.
    #[error("failed to understand `{path}`: {source}")]
    BadRecord {
        /// The note.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A value that cannot be written as JSON.
    #[error("failed to encode a message between leakcheck's processes: {0}")]
    Encode(#[source] serde_json::Error),
    /// A variable that leakcheck has set for itself is not as it set it.
    #[error(
        "failed to understand the environment variable `{name}`: {source}\n\
         help: unset `{UNDO}` or open a new shell"
    )]
    BadVariable {
        /// Its name.
        name: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A variable that must be replaced and could not be restored.
    #[error("the environment variable `{name}` is not UTF-8: leakcheck cannot replace it")]
    VariableNotUtf8 {
        /// Its name.
        name: String,
    },
    /// A wrapper was called by hand.
    #[error(
        "`{name}` is not set: this is the compiler wrapper of a `leakcheck test`, `run` or \
         `show-env`, not to be called by itself"
    )]
    WrapperOutsideRun {
        /// The missing variable.
        name: &'static str,
    },
    /// A compiler wrapper without a compiler to wrap.
    #[error("the compiler wrapper was called without a compiler")]
    WrapperWithoutCompiler,
}

fn target_help(from_command_line: bool, host: &str) -> String {
    if from_command_line {
        "leave `--target` out".to_owned()
    } else {
        format!("cargo's configuration sets `build.target`; override it with `--target {host}`")
    }
}

impl Error {
    /// How a run ends that meets this error.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Build { .. } | Self::Metadata { .. } | Self::Config(_) => Outcome::BuildFailed,
            Self::ConfigArgument { .. }
            | Self::UnsupportedTarget { .. }
            | Self::UnknownCode { .. }
            | Self::Filter(_)
            | Self::Option { .. } => Outcome::Usage,
            Self::Gate(_) | Self::Report(_) => Outcome::Stale,
            // The runtime's own word that it cannot run here.
            Self::List { status, .. } if status.code() == Some(Outcome::Internal.code().into()) => {
                Outcome::Internal
            }
            Self::List { .. } => Outcome::TestsFailed,
            Self::MetadataAnswer(_)
            | Self::NotRecorded { .. }
            | Self::UnsupportedHost { .. }
            | Self::Sysroot(_)
            | Self::Render { .. }
            | Self::Symbols { .. }
            | Self::Wire { .. }
            | Self::Spawn { .. }
            | Self::Wait(_)
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Output(_)
            | Self::CurrentDir(_)
            | Self::Signals(_)
            | Self::OwnExecutable(_)
            | Self::BadRecord { .. }
            | Self::Encode(_)
            | Self::BadVariable { .. }
            | Self::VariableNotUtf8 { .. }
            | Self::WrapperOutsideRun { .. }
            | Self::WrapperWithoutCompiler => Outcome::Internal,
        }
    }
}
