//! The commands around the gate.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    Annotations, BuildOptions, DetectionOptions, GateOptions, MessageFormat, OutputArg, TestArgs,
};

/// `leakcheck init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Overwrite the file that is there
    #[arg(long)]
    pub force: bool,
    /// Print the JSON schema of the file, and write nothing
    #[arg(long)]
    pub schema: bool,
    /// How to find the project.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// `leakcheck baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub action: BaselineAction,
}

/// What to do with the baseline.
#[derive(Debug, Subcommand)]
pub enum BaselineAction {
    /// Run the tests, and add what is found to the baseline
    Write(Box<BaselineWriteArgs>),
    /// Run the tests, and fail on what is not in the baseline
    Check(Box<BaselineRunArgs>),
    /// Run the tests, and take out of the baseline what is gone
    Prune(Box<BaselineRunArgs>),
}

/// `leakcheck baseline write`.
#[derive(Debug, Args)]
pub struct BaselineWriteArgs {
    /// Write on a CI machine too, where a baseline would hide what is new
    #[arg(long)]
    pub allow_ci: bool,
    /// From what.
    #[command(flatten)]
    pub run: BaselineRunArgs,
}

/// From what a baseline is written or checked.
#[derive(Debug, Args)]
pub struct BaselineRunArgs {
    /// Take the results from this file of `--output json=PATH`, and run
    /// nothing; may be repeated
    #[arg(long, value_name = "REPORT")]
    pub from: Vec<PathBuf>,
    /// What to run.
    #[command(flatten)]
    pub test: TestArgs,
}

/// `leakcheck report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// What to do with the reports.
    #[command(subcommand)]
    pub action: ReportAction,
}

/// What to do with reports.
#[derive(Debug, Subcommand)]
pub enum ReportAction {
    /// Join the results of several runs into one of each format
    Merge(ReportMergeArgs),
}

/// `leakcheck report merge`.
#[derive(Debug, Args)]
pub struct ReportMergeArgs {
    /// Files that `--output json=PATH` wrote
    #[arg(value_name = "REPORT", required = true)]
    pub reports: Vec<PathBuf>,
    /// Write the whole to a file: `json`, `sarif`, `junit`, `html`
    #[arg(long, value_name = "FORMAT=PATH")]
    pub output: Vec<OutputArg>,
    /// Annotations on GitHub Actions
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Annotations::Auto)]
    pub annotations: Annotations,
    /// How results are told
    #[arg(long, value_enum, value_name = "FMT", default_value_t = MessageFormat::Human)]
    pub message_format: MessageFormat,
}

/// `leakcheck nextest`.
#[derive(Debug, Args)]
pub struct NextestArgs {
    /// Options of ours.
    #[command(flatten)]
    pub detection: DetectionOptions,
    /// What counts.
    #[command(flatten)]
    pub gate: GateOptions,
    /// Arguments of cargo-nextest, from its subcommand (`run`, `list`,
    /// `archive`) on
    #[arg(
        value_name = "ARGS",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub args: Vec<OsString>,
}

/// `leakcheck doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to find the project.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// `leakcheck completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `leakcheck man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write a page for each subcommand to this directory; without one, the
    /// page of the command itself goes to standard output
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
