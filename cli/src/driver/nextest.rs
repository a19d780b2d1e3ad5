//! Tests that cargo-nextest starts: each runs through us as target runner,
//! which leaves a fragment of the report, and `leakcheck nextest` joins them.
//!
//! The fragment is made where the test ran, since an archive's executables
//! are gone when nextest ends. A test in which something counts fails with
//! our code for findings, so that nextest shows it; nextest may try it again,
//! and what was found in the first attempt still counts.
//!
//! A test that nextest kills together with its runner leaves none: see
//! [`killed`].

pub mod killed;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use leakcheck::report::wire::{GRACE_ENV, WIRE_DIR_ENV};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use self::killed::Started;
use super::execute::spawn;
use super::process::{Cause, Ended, Group, Stop, supervise};
use super::signals::Handler;
use super::target_runner::exit_code;
use super::verdict::{Verdict, Word, errors};
use crate::args::{Annotations, DetectionOptions, GateOptions};
use crate::collect::Collector;
use crate::document::{EntryLine, FindingLine, GapLine, TestLine, of_model};
use crate::driver::env::Environment;
use crate::error::Error;
use crate::gate::Gate;
use crate::gate::load::Options;
use crate::model::{TestId, TestReport};
use crate::outcome::Outcome;
use crate::plan::SourceDirectories;
use crate::render::human::{self, HumanOptions};
use crate::render::outputs::replace;

/// What the runner of each test has to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setting {
    /// What counts; paths are absolute.
    pub gate: GateOptions,
    /// For `--grace`.
    pub grace: Option<u64>,
}

/// What one attempt at a test has to say.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fragment {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The test.
    pub test: TestLine,
    /// What was found in it.
    pub findings: Vec<FindingLine>,
    /// What was not seen.
    pub gaps: Vec<GapLine>,
    /// The suppressions that matched.
    pub matched: Vec<EntryLine>,
}

/// File with the [`Setting`].
const SETTING: &str = "setting.json";
/// File with the answer of `cargo metadata`.
const METADATA: &str = "metadata.json";
/// Extension of the note of an attempt that has begun.
const STARTED: &str = "started";
/// Directory of the fragments.
const FRAGMENTS: &str = "fragments";

/// Prepares the directory for the runners.
///
/// # Errors
/// If it cannot be written.
pub fn prepare(dir: &Path, setting: &Setting, metadata: &str) -> Result<(), Error> {
    let setting = serde_json::to_string(setting).map_err(Error::Encode)?;
    replace(&dir.join(SETTING), setting.as_bytes())?;
    replace(&dir.join(METADATA), metadata.as_bytes())?;
    let fragments = dir.join(FRAGMENTS);
    std::fs::create_dir_all(&fragments).map_err(|source| Error::Write {
        path: fragments,
        source,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    serde_json::from_str(&read(path)?).map_err(|source| Error::BadRecord {
        path: path.to_owned(),
        source,
    })
}

/// What is in force, from what [`prepare`] left.
fn gate(dir: &Path) -> Result<Gate, Error> {
    let setting: Setting = parse(&dir.join(SETTING))?;
    let detection = DetectionOptions {
        no_task_races: false,
        task_races: false,
        backtrace: crate::args::Backtrace::Short,
        grace: setting.grace,
        message_format: crate::args::MessageFormat::Human,
    };
    let options = Options {
        gate: &setting.gate,
        detection: &detection,
        runner: None,
        filter: None,
    };
    Gate::load(
        &options,
        &Environment::of_user()?,
        &read(&dir.join(METADATA))?,
    )
}

/// Runs one attempt at a test, or lets a binary list its tests.
///
/// # Errors
/// If it cannot be run, or what was found cannot be read or kept.
pub fn run_test(
    command: &mut Command,
    program: &Path,
    sources: SourceDirectories,
    dir: &Path,
) -> Result<Outcome, Error> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let attempt = variable("NEXTEST_ATTEMPT").parse().unwrap_or(1);
    let own = tempfile::tempdir_in(dir).map_err(|source| Error::Write {
        path: dir.to_owned(),
        source,
    })?;
    command.env(WIRE_DIR_ENV, own.path());
    let stop = Arc::new(Stop::new(None)?);
    if variable("NEXTEST_TEST_PHASE") == "list" {
        let ended = supervise(spawn(command)?, Group::Ours, None, &stop, None)?;
        return Ok(Outcome::Program(exit_code(ended.status)));
    }
    let id = TestId {
        package: variable("CARGO_PKG_NAME"),
        binary: binary(&variable("NEXTEST_BINARY_ID"), program),
        name: variable("NEXTEST_TEST_NAME"),
    };
    // libtest then runs the one test on its main thread, which otherwise waits
    // for it with a time limit: a deadlock is proved at once.
    command.env("RUST_TEST_THREADS", "1");
    let mut gate = gate(dir)?;
    if let Some(grace) = gate.grace(&id) {
        command.env(GRACE_ENV, grace.to_string());
    }
    let started = Started {
        test: id.clone(),
        attempt,
        wire_dir: own.path().to_owned(),
        program: program.to_owned(),
        kept: killed::keep(program, dir)?,
    };
    // The name of the directory is nobody else's.
    let name = own.path().file_name().unwrap_or_default();
    let fragment = dir.join(FRAGMENTS).join(name).with_extension("json");
    let note = fragment.with_extension(STARTED);
    put(&note, &started)?;
    let handler = Handler::install_for_program(&stop)?;
    let ended = supervise(spawn(command)?, Group::Ours, None, &stop, None)?;
    drop(handler);

    let mut collector = Collector::new(sources.into());
    let mut report = collector
        .look(&id, own.path())
        .map_err(|source| Error::Wire {
            path: own.path().to_owned(),
            reason: source.to_string(),
        })?;
    for finding in &mut report.findings {
        gate.judge(finding, &id);
    }
    tell(&report)?;
    put(&fragment, &of_attempt(&id, attempt, &ended, &report, &gate))?;
    std::fs::remove_file(&note).map_err(|source| Error::Write { path: note, source })?;
    Ok(
        match (exit_code(ended.status), errors(&report.findings).next()) {
            (0, Some(_)) => Outcome::Findings,
            // It was ended because of a finding that does not count.
            (_, None) if report.stuck => Outcome::Clean,
            (code, _) => Outcome::Program(code),
        },
    )
}

fn put<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(Error::Encode)?;
    replace(path, text.as_bytes())
}

/// nextest ends what takes too long by SIGTERM, and everything by SIGINT if it
/// is interrupted; it sends them to us and to the test.
fn verdict(ended: &Ended, stuck: bool) -> Verdict {
    match (ended.cause, ended.status.signal()) {
        (_, Some(SIGINT)) => Verdict::Stopped,
        (Cause::Stopped(_), _) | (_, Some(SIGTERM)) => Verdict::TimedOut {
            limit: ended.elapsed,
        },
        (Cause::Itself | Cause::TimeLimit, _) => Verdict::new(ended, None, None, stuck),
    }
}

fn of_attempt(
    id: &TestId,
    attempt: u32,
    ended: &Ended,
    report: &TestReport,
    gate: &Gate,
) -> Fragment {
    let verdict = verdict(ended, report.stuck);
    let word = Word::of(verdict, Some(report)).text().to_ascii_lowercase();
    let mut fragment = of_report(id, attempt, &word, ended.elapsed.as_secs_f64(), report);
    fragment.test.reason = match verdict {
        Verdict::TimedOut { limit } => Some(format!(
            "ended by nextest after {:.1} s",
            limit.as_secs_f64()
        )),
        Verdict::Passed
        | Verdict::Failed { .. }
        | Verdict::Crashed { .. }
        | Verdict::LeftEarly { .. }
        | Verdict::Stuck
        | Verdict::Stopped => verdict.reason(),
    };
    fragment.matched = gate.matched();
    fragment
}

/// What was found in an attempt that ended in the way of `word`.
fn of_report(id: &TestId, attempt: u32, word: &str, seconds: f64, report: &TestReport) -> Fragment {
    let options = HumanOptions::default();
    let crash = report.crash.as_ref();
    let mut test = of_model::test(id, word, seconds, &report.findings, crash, &options);
    if !report.findings.is_empty() {
        test.lanes = report.lanes.iter().map(of_model::lane).collect();
    }
    Fragment {
        attempt,
        test,
        findings: report
            .findings
            .iter()
            .map(|finding| of_model::finding(finding, &options))
            .collect(),
        gaps: report.gaps.iter().map(of_model::gap).collect(),
        matched: Vec::new(),
    }
}

/// What counts, into the output that nextest keeps of the test.
fn tell(report: &TestReport) -> Result<(), Error> {
    for finding in errors(&report.findings) {
        super::teller::say(&format!(
            "\n{}",
            human::render(finding, &HumanOptions::default())
        ))?;
    }
    Ok(())
}

/// `package::name` is an integration test, `package::bin/name` a program, and
/// `package` alone the library, which is called as the crate is.
fn binary(id: &str, program: &Path) -> String {
    if let Some((_, name)) = id.split_once("::") {
        return name.to_owned();
    }
    let stem = program.file_stem().unwrap_or_default().to_string_lossy();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        Some(_) | None => stem.into_owned(),
    }
}

/// All fragments, and the attempts that left none.
///
/// # Errors
/// If a fragment cannot be read.
pub fn fragments(dir: &Path) -> Result<(Vec<Fragment>, Vec<Started>), Error> {
    let dir = dir.join(FRAGMENTS);
    let list = |source| Error::Read {
        path: dir.clone(),
        source,
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir)
        .map_err(list)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(list)?;
    paths.sort();
    let (mut fragments, mut killed) = (Vec::new(), Vec::new());
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => fragments.push(parse(&path)?),
            // One that was told and then killed before it took its note away.
            Some(STARTED) if path.with_extension("json").exists() => {}
            Some(STARTED) => killed.push(parse(&path)?),
            Some(_) | None => {}
        }
    }
    Ok((fragments, killed))
}

/// One line for each test: its last attempt, unless something that counts was
/// found in an earlier one.
#[must_use]
pub fn tests(fragments: &[Fragment]) -> Vec<TestLine> {
    let mut tests: BTreeMap<&TestId, Vec<&Fragment>> = BTreeMap::new();
    for fragment in fragments {
        tests.entry(&fragment.test.test).or_default().push(fragment);
    }
    tests
        .into_values()
        .filter_map(|mut attempts| {
            attempts.sort_by_key(|fragment| fragment.attempt);
            let counts = |fragment: &&&Fragment| fragment.findings.iter().any(FindingLine::fails);
            let found = attempts.iter().find(counts).or(attempts.last())?;
            let mut line = found.test.clone();
            for other in &attempts {
                for fingerprint in &other.test.findings {
                    if !line.findings.contains(fingerprint) {
                        line.findings.push(fingerprint.clone());
                    }
                }
            }
            Some(line)
        })
        .collect()
}

impl Setting {
    /// With paths that hold in every directory.
    #[must_use]
    pub fn new(gate: &GateOptions, grace: Option<u64>, here: &Path) -> Self {
        let absolute = |path: &PathBuf| here.join(path);
        Self {
            gate: GateOptions {
                config_file: gate.config_file.as_ref().map(absolute),
                baseline: gate.baseline.as_ref().map(absolute),
                suppressions: gate.suppressions.iter().map(absolute).collect(),
                output: Vec::new(),
                annotations: Annotations::None,
                ..gate.clone()
            },
            grace,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Fragment, TestLine, binary, tests};
    use crate::model::TestId;

    #[test]
    fn names_of_binaries() {
        let of = |id: &str| binary(id, Path::new("/t/deps/my_lib-0123456789abcdef"));
        assert_eq!(of("my-lib"), "my_lib");
        assert_eq!(of("my-lib::api"), "api");
        assert_eq!(of("my-lib::bin/tool"), "bin/tool");
    }

    #[test]
    fn the_last_attempt_is_the_test() {
        let fragment = |attempt, outcome: &str| {
            let id = TestId {
                package: "p".to_owned(),
                binary: "p".to_owned(),
                name: "t".to_owned(),
            };
            let mut test = TestLine::new(id, outcome, 0.1);
            test.findings = vec![format!("lc1:{attempt}")];
            Fragment {
                attempt,
                test,
                findings: Vec::new(),
                gaps: Vec::new(),
                matched: Vec::new(),
            }
        };
        let lines = tests(&[fragment(2, "pass"), fragment(1, "fail")]);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].outcome, "pass");
        assert_eq!(lines[0].findings, ["lc1:2", "lc1:1"], "of all attempts");
    }
}
