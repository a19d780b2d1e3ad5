//! The command line as it is typed.
//!
//! Selection and build options are those of `cargo test` and `cargo run`,
//! under the same names, and go to cargo as they are. What an option means is
//! resolved in [`plan`](crate::plan).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::time::Span;

mod cargo_options;
mod gate_commands;
mod gate_options;

pub use cargo_options::{BuildOptions, TestSelection};
pub use gate_commands::{
    BaselineAction, BaselineArgs, BaselineRunArgs, BaselineWriteArgs, CompletionsArgs, DoctorArgs,
    InitArgs, ManArgs, NextestArgs, ReportAction, ReportArgs, ReportMergeArgs,
};
pub use gate_options::{
    Annotations, FilterOptions, GateOptions, OutputArg, OutputFormat, Partition, PartitionBy,
};

/// Finds data races, leaked threads and deadlocks in a cargo project.
#[derive(Debug, Parser)]
#[command(name = "leakcheck", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    nothing was found, every test passed
  2    the command line asks for what there is not
  4    no test matched
  66   findings, and every test passed
  67   a configuration, baseline or suppression file is broken, or stale
  70   leakcheck itself failed
  100  tests failed (there may be findings as well)
  101  cargo did not build the project
  124  the run took longer than --run-timeout
  130  the run was interrupted";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the tests with instrumentation and run each in its own process
    #[command(after_help = EXIT_CODES)]
    Test(Box<TestArgs>),
    /// Build a program with instrumentation and run it
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Run the tests with an installed cargo-nextest
    ///
    /// Everything from the subcommand of cargo-nextest on goes to it as it
    /// is; options of leakcheck come before: `cargo leakcheck nextest
    /// --output sarif=a.sarif run -E 'test(x)' --retries 2`. What is found in
    /// an attempt counts, whatever the next one does.
    #[command(after_help = EXIT_CODES)]
    Nextest(NextestArgs),
    /// Leave alone what was there when leakcheck was turned on
    Baseline(BaselineArgs),
    /// Join and convert reports of earlier runs
    Report(ReportArgs),
    /// Write a commented configuration
    Init(InitArgs),
    /// Say what is supported here, and if not, why
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
    /// Print the environment that makes plain cargo commands instrument
    ///
    /// With `eval "$(leakcheck show-env --sh)"`, `cargo test`, `cargo run`
    /// and other runners such as cargo-nextest build instrumented programs,
    /// and what is found in a process is printed when it ends.
    ShowEnv(ShowEnvArgs),
    /// Explain a code such as LC0001
    Explain(ExplainArgs),
    /// Remove what leakcheck has built in the project's target directory
    Clean(CleanArgs),
}

/// `leakcheck test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// If specified, only run tests containing this string in their names
    #[arg(value_name = "TESTNAME")]
    pub filter: Option<String>,
    /// Arguments for the test binary
    #[arg(last = true, value_name = "ARGS")]
    pub binary_args: Vec<OsString>,

    /// Build, but do not run the tests
    #[arg(long)]
    pub no_run: bool,
    /// Accepted for cargo's sake: all tests are always run
    #[arg(long)]
    pub no_fail_fast: bool,

    /// Options of ours.
    #[command(flatten)]
    pub detection: DetectionOptions,
    /// What counts.
    #[command(flatten)]
    pub gate: GateOptions,
    /// Options for the runner.
    #[command(flatten)]
    pub runner: RunnerOptions,
    /// Which tests.
    #[command(flatten)]
    pub filters: FilterOptions,
    /// What to test.
    #[command(flatten)]
    pub selection: TestSelection,
    /// How to build.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// `leakcheck run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Arguments for the program
    #[arg(trailing_var_arg = true, value_name = "ARGS")]
    pub program_args: Vec<OsString>,

    /// Package with the target to run
    #[arg(short, long, value_name = "SPEC", help_heading = "Package Selection")]
    pub package: Vec<String>,
    /// Name of the bin target to run
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub bin: Vec<String>,
    /// Name of the example target to run
    #[arg(long, value_name = "NAME", help_heading = "Target Selection")]
    pub example: Vec<String>,

    /// Signal that makes the program show all its threads and tasks, and go on
    ///
    /// To be sent to the program. One that the program handles itself is left
    /// to it.
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "SIGQUIT",
        value_parser = snapshot_signal,
        help_heading = "Detection and Report Options"
    )]
    pub snapshot_signal: i32,

    /// Options of ours.
    #[command(flatten)]
    pub detection: DetectionOptions,
    /// What counts.
    #[command(flatten)]
    pub gate: GateOptions,
    /// How to build.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// Signals that are free to ask with, by name.
const SNAPSHOT_SIGNALS: [(&str, i32); 5] = [
    ("SIGQUIT", signal_hook::consts::SIGQUIT),
    ("SIGUSR1", signal_hook::consts::SIGUSR1),
    ("SIGUSR2", signal_hook::consts::SIGUSR2),
    ("SIGHUP", signal_hook::consts::SIGHUP),
    ("SIGWINCH", signal_hook::consts::SIGWINCH),
];

fn snapshot_signal(text: &str) -> Result<i32, String> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let is = |(known, _): &&(&str, i32)| known.strip_prefix("SIG") == Some(name);
    let found = SNAPSHOT_SIGNALS.iter().find(is);
    found.map(|(_, signal)| *signal).ok_or_else(|| {
        let names = SNAPSHOT_SIGNALS.map(|(name, _)| name);
        format!("it is one of {}", names.join(", "))
    })
}

/// `leakcheck show-env`.
#[derive(Debug, Args)]
pub struct ShowEnvArgs {
    /// Print `export` lines for a POSIX shell (otherwise NAME=value lines)
    #[arg(long)]
    pub sh: bool,
    /// How to build.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// `leakcheck explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, as a report shows it in brackets
    pub code: String,
}

/// `leakcheck clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// How to find the project.
    #[command(flatten)]
    pub build: BuildOptions,
}

/// What is found and how it is shown.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Detection and Report Options")]
pub struct DetectionOptions {
    /// Which frames of a stack to show
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Backtrace::Short)]
    pub backtrace: Backtrace,
    /// Milliseconds that threads may take to end after a test where no event
    /// tells sooner [default: 1000]
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub grace: Option<u64>,
    /// Do not tell of tasks that would race, had not one thread polled them in turn
    #[arg(long, overrides_with = "task_races")]
    pub no_task_races: bool,
    /// Undoes `--no-task-races`
    #[arg(long, hide = true, overrides_with = "no_task_races")]
    pub task_races: bool,
    /// How results are told: `json` writes one JSON object a line to standard
    /// output, and the text for people to standard error as always
    #[arg(long, value_enum, value_name = "FMT", default_value_t = MessageFormat::Human)]
    pub message_format: MessageFormat,
}

/// How tests are run.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Runner Options")]
pub struct RunnerOptions {
    /// Run one test at a time and let its output through as it is written
    #[arg(long, alias = "nocapture")]
    pub no_capture: bool,
    /// Number of tests to run at a time [default: number of CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub test_threads: Option<u32>,
    /// Run each test up to N times, each time with other pauses where threads
    /// synchronise, until something is found
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub explore: Option<u32>,
    /// Seed of the first of these runs, which the next ones count up [default:
    /// by the clock]
    #[arg(long, value_name = "S", requires = "explore")]
    pub seed: Option<u64>,
    /// Seconds that one test may take, or a duration such as `5m`; 0 is without
    /// limit [default: 180]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub timeout: Option<Limit>,
    /// Seconds that all tests together may take, or a duration; 0 is without
    /// limit [default: 0]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub run_timeout: Option<Limit>,
}

/// A time limit; none for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

/// A duration as in the configuration, or a number of seconds.
///
/// # Errors
/// If it is neither.
pub fn seconds(text: &str) -> Result<Limit, String> {
    let Ok(number) = text.parse::<f64>() else {
        return text.parse::<Span>().map(|span| Limit(span.limit()));
    };
    if number == 0.0 {
        return Ok(Limit(None));
    }
    Duration::try_from_secs_f64(number)
        .map(|d| Limit(Some(d)))
        .map_err(|e| e.to_string())
}

/// A duration as in the configuration, or a number of milliseconds.
///
/// # Errors
/// If it is neither.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    text.parse()
        .or_else(|_| text.parse().map(Span::milliseconds))
}

/// Which frames are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backtrace {
    /// Those of the project
    Short,
    /// All
    Full,
}

/// How results are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Text for people
    Human,
    /// One JSON object a line
    Json,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Verbosity, as cargo has it.
#[derive(Debug, Clone, Copy, Args)]
pub struct Verbosity {
    /// Use verbose output (-vv very verbose)
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Do not print cargo's log messages, nor a line for each passed test
    #[arg(short, long)]
    pub quiet: bool,
}

/// The command line of a process, with the extra word dropped that cargo puts
/// in when it calls `cargo-leakcheck leakcheck ARGS…`.
#[must_use]
pub fn without_cargo_word(mut args: Vec<OsString>) -> Vec<OsString> {
    let as_cargo = args
        .first()
        .and_then(|exe| {
            PathBuf::from(exe)
                .file_stem()
                .map(|stem| stem == "cargo-leakcheck")
        })
        .unwrap_or(false);
    if as_cargo && args.get(1).is_some_and(|word| word == "leakcheck") {
        args.remove(1);
    }
    args
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::Duration;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command, Limit, TestArgs, without_cargo_word};

    pub(super) fn test_args(line: &str) -> TestArgs {
        let words = ["leakcheck", "test"]
            .into_iter()
            .chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Test(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cargos_extra_word_is_dropped_only_there() {
        let dropped = |args: &[&str]| {
            without_cargo_word(args.iter().map(OsString::from).collect())
                .into_iter()
                .map(|a| a.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            dropped(&["/b/cargo-leakcheck", "leakcheck", "test"]),
            ["/b/cargo-leakcheck", "test"]
        );
        assert_eq!(
            dropped(&["cargo-leakcheck", "test"]),
            ["cargo-leakcheck", "test"]
        );
        assert_eq!(
            dropped(&["leakcheck", "leakcheck"]),
            ["leakcheck", "leakcheck"]
        );
    }

    #[test]
    fn filter_and_binary_args_are_kept_apart() {
        let args = test_args("--lib some_name -- --skip slow --exact");
        assert_eq!(args.filter.as_deref(), Some("some_name"));
        assert_eq!(args.binary_args, ["--skip", "slow", "--exact"]);
    }

    #[test]
    fn limits() {
        let args = test_args("--timeout 1.5");
        assert_eq!(
            args.runner.timeout,
            Some(Limit(Some(Duration::from_millis(1500))))
        );
        assert_eq!(args.runner.run_timeout, None);
        assert_eq!(
            test_args("--timeout 2m").runner.timeout,
            Some(Limit(Some(Duration::from_secs(120))))
        );
        assert_eq!(test_args("--grace 2s").detection.grace, Some(2000));
        assert_eq!(test_args("--grace 20").detection.grace, Some(20));
        assert_eq!(
            test_args("--run-timeout 0").runner.run_timeout,
            Some(Limit(None))
        );
        assert!(Cli::try_parse_from(["leakcheck", "test", "--timeout", "-1"]).is_err());
        assert!(Cli::try_parse_from(["leakcheck", "test", "--timeout", "soon"]).is_err());
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(Cli::try_parse_from(["leakcheck", "test", "--no-such-option"]).is_err());
    }

    #[test]
    fn a_programs_arguments_reach_it() {
        let cli =
            Cli::try_parse_from(["leakcheck", "run", "--release", "--", "--help", "x"]).unwrap();
        let Command::Run(args) = cli.command else {
            panic!()
        };
        assert_eq!(args.program_args, ["--help", "x"]);
        assert!(args.build.release);
    }
}
