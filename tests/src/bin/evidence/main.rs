//! The evidence: what leakcheck finds of known bugs, and that it is silent on
//! their fixed twins.
//!
//! Each suite is a fixture with a table of its cases: `goker`, the 103 kernels
//! of the GoKer suite, `goker-tasks`, some of them with tasks, and `lessons`, the
//! classic mistakes. A case is a test, and has a twin of the same name and
//! `_fixed`. The real command runs all of them: `--runs` times as it is, and as
//! often with the pauses of a seed. What ten seeds that follow each other find is
//! what one search by `--explore 10` finds: `--explore 100` tells of ten searches.
//!
//! `cargo run -p leakcheck-tests --bin evidence -- --help`
//!
//! What it misses: that a finding is about the bug is shown by the silence of
//! the twin, which is the same program but for the fix, and not by its place.

mod measure;
mod render;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use leakcheck_tests::cases::Suite;
use measure::{Bench, Measured};

/// Runs known bugs and their fixed twins, and tells which are found.
#[derive(Parser)]
struct Arguments {
    /// Cases to run, by a part of their names; all if none is given
    filter: Option<String>,
    /// One suite; all if none is given
    #[arg(long, value_enum)]
    suite: Option<Suite>,
    /// How often all cases run as they are
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// How often they run with pauses, each time with another seed
    #[arg(long, value_name = "N", default_value_t = 10)]
    explore: u32,
    /// The first of these seeds
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How the results are told
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Fail if a case that needs no rare schedule is missed in all runs, or a
    /// twin is reported in one; leave out what takes long
    #[arg(long)]
    check: bool,
    /// Where the fixtures are built [default: beside this program]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

/// How the results are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Table,
    /// One JSON object a line
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything; whether it is as it should be, if that is asked for.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let suites = match arguments.suite {
        Some(suite) => vec![suite],
        None => Suite::ALL.to_vec(),
    };
    let bench = Bench::new(!arguments.check, arguments.work.as_deref())?;
    let mut all: Vec<Measured> = Vec::new();
    for suite in suites {
        let mut cases = suite.cases()?;
        if let Some(part) = &arguments.filter {
            cases.retain(|case| case.name.contains(part));
        }
        if cases.is_empty() {
            continue;
        }
        let filter = arguments.filter.as_deref();
        let seeds = arguments.seed..arguments.seed + u64::from(arguments.explore);
        all.extend(bench.measure(suite, cases, filter, arguments.runs, seeds)?);
    }
    if all.is_empty() {
        return Err("no case has such a name".into());
    }
    match arguments.format {
        Format::Table => render::table(&all),
        Format::Json => render::json(&all)?,
    }
    let complaints: Vec<String> = all.iter().flat_map(Measured::complaints).collect();
    if arguments.check {
        for complaint in &complaints {
            eprintln!("error: {complaint}");
        }
    }
    Ok(!arguments.check || complaints.is_empty())
}
