//! `leakcheck nextest`.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::Parser;

use crate::args::{BuildOptions, MessageFormat, NextestArgs};
use crate::document::merge::merge;
use crate::document::{Document, FindingCounts, SCHEMA, SummaryLine, TestCounts, TestLine};
use crate::driver::env::{self, Environment};
use crate::driver::nextest::{self, Fragment, Setting};
use crate::driver::process::{Cause, Group, Stop, StopReason, supervise};
use crate::driver::scratch;
use crate::driver::signals::Handler;
use crate::driver::target_runner::exit_code;
use crate::driver::teller::tell;
use crate::error::Error;
use crate::gate::Gate;
use crate::gate::load::Options;
use crate::model::{Gap, GapReason};
use crate::outcome::Outcome;
use crate::plan::Project;
use crate::render::{github, outputs};

/// The options of nextest that we have to know as well.
#[derive(Debug, Parser)]
struct Shared {
    #[command(flatten)]
    build: BuildOptions,
}

pub(super) fn nextest(args: &NextestArgs) -> Result<Outcome, Error> {
    let build = shared(&args.args);
    super::set_color(build.color);
    let user = Environment::of_user()?;
    let metadata = Project::metadata(&build, &user)?;
    let options = Options {
        gate: &args.gate,
        detection: &args.detection,
        runner: None,
        filter: None,
    };
    let mut gate = Gate::load(&options, &user, &metadata)?;
    outputs::check(&gate.settings.outputs)?;
    let plan = super::plan(&build)?;
    let environment = plan.shell_environment()?;
    installed(plan.cargo())?;

    let mut command = plan.cargo();
    environment.apply(&mut command);
    command.arg("nextest").args(&args.args);
    // `list`, `archive` and the others build with instrumentation, no more.
    let runs = args
        .args
        .first()
        .is_some_and(|word| word == "run" || word == "r");
    if !runs {
        return status(&mut command);
    }
    let scratch = scratch::create(&plan.target_dir)?;
    let here = std::env::current_dir().map_err(Error::CurrentDir)?;
    let setting = Setting::new(&args.gate, args.detection.grace, &here);
    nextest::prepare(scratch.path(), &setting, &metadata)?;
    command.env(env::NEXTEST_DIR, scratch.path());

    let stop = Arc::new(Stop::new(None)?);
    // nextest has the terminal, and ends its tests in good order.
    let handler = Handler::install_for_program(&stop)?;
    let started = std::time::Instant::now();
    let child = spawn(&mut command)?;
    let ended = supervise(child, Group::Ours, None, &stop, None)?;
    drop(handler);

    let (fragments, killed) = nextest::fragments(scratch.path())?;
    let code = exit_code(ended.status);
    let mut document = join(&mut gate, &fragments, &killed);
    document.summary.seconds = started.elapsed().as_secs_f64();
    let stopped = ended.cause != Cause::Itself || code == Outcome::Interrupted.code();
    document.summary.stopped = stopped;
    let denied = gate.settings.deny_stale && !document.summary.stale.is_empty();
    let outcome = match ended.cause {
        Cause::Stopped(StopReason::Signal) => Outcome::Interrupted,
        Cause::Stopped(StopReason::RunTimeout) => Outcome::RunTimeout,
        Cause::Itself | Cause::TimeLimit => outcome(code, &document, !killed.is_empty(), denied),
    };
    document.summary.exit_code = outcome.code();
    super::report::show(&document)?;
    if args.detection.message_format == MessageFormat::Json {
        for line in document.lines() {
            tell(&line)?;
        }
    }
    outputs::write(&gate.settings.outputs, &document)?;
    if let Some(place) = github::wanted(args.gate.annotations, &user) {
        github::tell(&place, &document)?;
    }
    Ok(outcome)
}

/// Options of nextest's that say which project and how cargo is called; the
/// others are nextest's alone.
fn shared(args: &[OsString]) -> BuildOptions {
    const WITH_VALUE: [&str; 3] = ["--manifest-path", "--config", "--color"];
    const FLAGS: [&str; 3] = ["--locked", "--offline", "--frozen"];
    let mut words: Vec<OsString> = vec!["nextest".into()];
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            break;
        }
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        if FLAGS.contains(&name) {
            words.push(arg.clone());
        } else if WITH_VALUE.contains(&name) {
            words.push(arg.clone());
            if name == text {
                words.extend(args.next().cloned());
            }
        }
    }
    // What these options do not allow, nextest tells itself.
    Shared::try_parse_from(&words)
        .or_else(|_| Shared::try_parse_from(["nextest"]))
        .map(|shared| shared.build)
        .unwrap_or_else(|error| error.exit())
}

fn installed(mut cargo: Command) -> Result<(), Error> {
    cargo
        .args(["nextest", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let works = cargo.status().is_ok_and(|status| status.success());
    if works {
        return Ok(());
    }
    Err(Error::Option {
        reason: "cargo-nextest is not installed\n\
                 help: `cargo install --locked cargo-nextest`, or see https://nexte.st"
            .to_owned(),
    })
}

fn spawn(command: &mut Command) -> Result<std::process::Child, Error> {
    command.spawn().map_err(|source| Error::Spawn {
        program: command.get_program().into(),
        source,
    })
}

fn status(command: &mut Command) -> Result<Outcome, Error> {
    let status = spawn(command)?.wait().map_err(Error::Wait)?;
    Ok(Outcome::Program(exit_code(status)))
}

/// All fragments as one document.
fn join(gate: &mut Gate, fragments: &[Fragment], killed: &[String]) -> Document {
    for fragment in fragments {
        gate.recall(&fragment.matched, &fragment.test.findings);
        gate.ran(&fragment.test.test);
    }
    let parts = fragments.iter().map(|fragment| Document {
        tests: Vec::new(),
        findings: fragment.findings.clone(),
        summary: SummaryLine {
            gaps: fragment.gaps.clone(),
            ..summary()
        },
    });
    let mut document = merge(parts.collect()).unwrap_or_else(|| Document {
        tests: Vec::new(),
        findings: Vec::new(),
        summary: summary(),
    });
    document.tests = nextest::tests(fragments);
    document.summary.tests = counts(&document.tests, killed.len() as u64);
    document.summary.stale = gate.stale(false);
    for name in killed {
        document
            .summary
            .gaps
            .push(crate::document::of_model::gap(&Gap {
                reason: GapReason::KilledTest,
                detail: Some(name.clone()),
                count: 1,
            }));
    }
    document
}

fn summary() -> SummaryLine {
    SummaryLine {
        schema: SCHEMA,
        exit_code: 0,
        seconds: 0.0,
        tests: TestCounts::default(),
        findings: FindingCounts::default(),
        gaps: Vec::new(),
        stale: Vec::new(),
        partition: None,
        stopped: false,
    }
}

fn counts(tests: &[TestLine], killed: u64) -> TestCounts {
    let of = |words: &[&str]| {
        let outcomes = tests.iter().map(|test| test.outcome.as_str());
        outcomes.filter(|outcome| words.contains(outcome)).count() as u64
    };
    TestCounts {
        run: tests.len() as u64 + killed,
        passed: of(&["pass"]),
        failed: of(FAILED) + killed,
        with_findings: of(&["race", "leak", "deadlock"]),
        ignored: 0,
        not_run: 0,
    }
}

/// Words of tests that failed by themselves.
const FAILED: &[&str] = &["fail", "crash", "exit", "timeout"];

/// nextest calls a test failed in which something was found: whether any
/// failed by itself, the fragments tell.
fn outcome(code: u8, document: &Document, killed: bool, stale: bool) -> Outcome {
    let failed = killed || document.summary.tests.failed > 0;
    match Outcome::of_code(code) {
        Outcome::TestsFailed if failed => Outcome::TestsFailed,
        Outcome::Clean | Outcome::TestsFailed if document.failing().next().is_some() => {
            Outcome::Findings
        }
        Outcome::Clean if stale => Outcome::Stale,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::shared;

    #[test]
    fn the_options_that_both_must_know() {
        let words: Vec<OsString> = [
            "run",
            "--release",
            "--manifest-path",
            "a/Cargo.toml",
            "-E",
            "test(x)",
            "--offline",
            "--config=a.b=1",
            "--",
            "--manifest-path",
            "no",
        ]
        .map(OsString::from)
        .into();
        let build = shared(&words);
        assert_eq!(
            build.manifest_path.as_deref(),
            Some("a/Cargo.toml".as_ref())
        );
        assert!(build.offline && !build.release);
        assert_eq!(build.config, ["a.b=1"]);
    }
}
