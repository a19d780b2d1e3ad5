//! Runs the own test suites of popular concurrent crates under `leakcheck
//! test` and prints what it found in each: they are known to be correct, so
//! each error is a false finding, or news for their authors.
//!
//! The sources come from crates.io through `cargo vendor`. The reports stay in
//! the work directory.
//!
//! `cargo build --release --workspace && target/release/crates --help`
//!
//! What it misses: tests that the crates' authors leave out of the published
//! archive.

mod list;
mod outcome;
mod source;
mod track;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;

use list::Suite;
use outcome::Outcome;

/// Runs the tests of popular concurrent crates under leakcheck.
#[derive(Parser)]
struct Arguments {
    /// Crates to test; all if none is named
    crates: Vec<String>,
    /// Where sources, builds and reports go
    #[arg(long, value_name = "DIR", default_value = "target/crates")]
    work: PathBuf,
    /// The command to test with [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    leakcheck: Option<PathBuf>,
    /// Put `#[track]` on all their items and run them by plain cargo instead
    #[arg(long)]
    track: bool,
    /// Seconds that one test may take; with `--track` all of a crate's
    #[arg(long, default_value_t = 300)]
    timeout: u64,
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

/// Tests all chosen crates; whether there was nothing but silence.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let suites = choose(&arguments.crates, arguments.track)?;
    let leakcheck = match &arguments.leakcheck {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("leakcheck"),
    };
    if arguments.track {
        fs::create_dir_all(&arguments.work)?;
        let work = arguments.work.canonicalize()?;
        let sources = source::fetch(&suites, &work)?;
        let limit = Duration::from_secs(arguments.timeout);
        return track::run(&suites, &sources, &work, limit);
    }
    if !leakcheck.is_file() {
        return Err(format!(
            "no `{}`; run `cargo build --workspace` in the same profile, or give --leakcheck",
            leakcheck.display()
        )
        .into());
    }
    fs::create_dir_all(&arguments.work)?;
    let work = arguments.work.canonicalize()?;
    let sources = source::fetch(&suites, &work)?;

    println!("{}", Outcome::HEAD);
    let mut silent = true;
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for (suite, source) in suites.iter().zip(&sources) {
        let outcome = test(suite, source, &leakcheck, &work, arguments.timeout)?;
        println!("{}", outcome.row(suite));
        silent &= outcome.is_silent();
        for (kind, count) in &outcome.kinds {
            *kinds.entry(kind.clone()).or_default() += count;
        }
    }
    for suite in &suites {
        for known in suite.known {
            println!(
                "known: {} {} {}: {}",
                suite.name, known.binary, known.test, known.reason
            );
        }
    }
    println!("\nreports: {}", work.join("reports").display());
    for (kind, count) in kinds {
        println!("{count:6} {kind}");
    }
    Ok(silent)
}

/// Runs one crate's tests and reads what came out.
fn test(
    suite: &Suite,
    source: &Path,
    leakcheck: &Path,
    work: &Path,
    timeout: u64,
) -> Result<Outcome, Box<dyn Error>> {
    let reports = work.join("reports");
    fs::create_dir_all(&reports)?;
    let machine = reports.join(suite.name).with_extension("ndjson");
    let human = reports.join(suite.name).with_extension("txt");
    eprintln!("testing {} {}", suite.name, suite.version);
    let begun = Instant::now();
    let status = Command::new(leakcheck)
        .arg("test")
        .arg("--manifest-path")
        .arg(source.join("Cargo.toml"))
        .args(["--message-format", "json", "--target-dir"])
        .arg(work.join("target"))
        .arg("--timeout")
        .arg(timeout.to_string())
        .args(suite.arguments)
        .stdin(Stdio::null())
        .stdout(File::create(&machine)?)
        .stderr(File::create(&human)?)
        .status()?;
    let text = fs::read_to_string(&machine)?;
    Outcome::read(suite, &text, status, begun.elapsed())
}

/// The suites of the given names, or all.
fn choose(names: &[String], track: bool) -> Result<Vec<&'static Suite>, String> {
    let more = if track { list::TRACKED } else { &[] };
    let all: Vec<&Suite> = list::ALL.iter().chain(more).collect();
    if names.is_empty() {
        return Ok(all);
    }
    names
        .iter()
        .map(|wanted| {
            let known = all.iter().copied().find(|suite| suite.name == wanted);
            known.ok_or_else(|| {
                let all: Vec<&str> = all.iter().map(|suite| suite.name).collect();
                format!("no crate `{wanted}`; there are {}", all.join(", "))
            })
        })
        .collect()
}
