//! `leakcheck nextest`.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser;
use leakcheck::report::wire::NO_TASK_RACES_ENV;
use rustix::process::Pid;

use crate::args::{BuildOptions, MessageFormat, NextestArgs, Partition};
use crate::collect::CollectOptions;
use crate::document::merge::merge;
use crate::document::{Document, SummaryLine, TestCounts, TestLine, of_model};
use crate::driver::env::{self, Environment};
use crate::driver::nextest::killed::recover;
use crate::driver::nextest::{self, Fragment, Setting};
use crate::driver::process::{Cause, Group, Stop, supervise};
use crate::driver::scratch;
use crate::driver::signals::Handler;
use crate::driver::target_runner::exit_code;
use crate::driver::teller::tell;
use crate::error::Error;
use crate::gate::load::Options;
use crate::gate::{Extent, Gate};
use crate::model::{Gap, GapReason};
use crate::outcome::Outcome;
use crate::plan::{Project, SourceDirectories};
use crate::render::{github, outputs};

/// How long nextest may take to end its tests after SIGTERM: it gives each of
/// them ten seconds, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

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
    if args.detection.no_task_races {
        command.env(NO_TASK_RACES_ENV, "1");
    }

    let stop = Arc::new(Stop::new(None)?.with_patience(PATIENCE));
    let started = std::time::Instant::now();
    let child = spawn(&mut command)?;
    // nextest has the terminal, and ends its tests in good order.
    let (handler, interrupted) = Handler::install_for_runner(&stop, Pid::from_child(&child))?;
    let ended = supervise(child, Group::Ours, None, &stop, None)?;
    drop(handler);

    let (mut fragments, killed) = nextest::fragments(scratch.path())?;
    let mut lost = gate.unreadable().to_vec();
    if !killed.is_empty() {
        let sources = environment
            .get(env::PROJECT)
            .ok_or(Error::WrapperOutsideRun { name: env::PROJECT })?;
        let sources: CollectOptions = SourceDirectories::load(Path::new(sources))?.into();
        for started in &killed {
            match recover(started, &sources, &mut gate) {
                Ok(fragment) => fragments.push(fragment),
                // The others are told all the same.
                Err(error) => lost.push(Gap {
                    reason: GapReason::KilledTest,
                    detail: Some(format!("{}: {error}", started.test)),
                    count: 1,
                }),
            }
        }
    }
    if !fragments.is_empty() {
        lost.extend(plan.unseen_of_project());
    }
    let code = exit_code(ended.status);
    let mut document = join(&mut gate, &fragments, &lost);
    document.summary.seconds = started.elapsed().as_secs_f64();
    document.summary.partition = partition(&args.args);
    let stopped = ended.cause != Cause::Itself || interrupted.load(Ordering::SeqCst);
    document.summary.stopped = stopped;
    let outcome = if stopped {
        Outcome::Interrupted
    } else {
        outcome(code, &document)
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
fn join(gate: &mut Gate, fragments: &[Fragment], lost: &[Gap]) -> Document {
    for fragment in fragments {
        gate.recall(&fragment.matched, &fragment.test.findings);
        gate.ran(&fragment.test.test);
    }
    let parts = fragments.iter().map(|fragment| Document {
        tests: Vec::new(),
        findings: fragment.findings.clone(),
        summary: SummaryLine {
            gaps: fragment.gaps.clone(),
            ..SummaryLine::empty()
        },
    });
    let mut document = merge(parts.collect()).unwrap_or_else(|| Document {
        tests: Vec::new(),
        findings: Vec::new(),
        summary: SummaryLine::empty(),
    });
    document.tests = nextest::tests(fragments);
    let summary = &mut document.summary;
    summary.tests = counts(&document.tests);
    // Which tests there are, nextest alone knows.
    let staleness = gate.staleness(Extent::Part);
    summary.stale = staleness.stale;
    summary.unmatched = staleness.unmatched;
    summary.matched = staleness.matched;
    summary.deny_stale = gate.settings.deny_stale;
    summary.gaps.extend(lost.iter().map(of_model::gap));
    document
}

/// The value of nextest's `--partition`, where it is one that we know too.
fn partition(args: &[OsString]) -> Option<String> {
    let mut args = args.iter().map(|arg| arg.to_string_lossy());
    let value = args.find_map(|arg| match arg.split_once('=') {
        Some(("--partition", value)) => Some(Some(value.to_owned())),
        _ => (arg == "--partition").then_some(None),
    })?;
    let value = value.or_else(|| args.next().map(|arg| arg.into_owned()))?;
    let partition: Partition = value.parse().ok()?;
    Some(partition.to_string())
}

fn counts(tests: &[TestLine]) -> TestCounts {
    let of = |words: &[&str]| {
        let outcomes = tests.iter().map(|test| test.outcome.as_str());
        outcomes.filter(|outcome| words.contains(outcome)).count() as u64
    };
    TestCounts {
        run: tests.len() as u64,
        passed: of(&["pass"]),
        failed: of(FAILED),
        with_findings: of(&["race", "leak", "deadlock"]),
        ignored: 0,
        not_run: 0,
    }
}

/// Words of tests that failed by themselves.
const FAILED: &[&str] = &["fail", "crash", "exit", "timeout"];

/// nextest calls a test failed in which something was found: whether any
/// failed by itself, the fragments tell.
fn outcome(code: u8, document: &Document) -> Outcome {
    let summary = &document.summary;
    let lost = summary
        .gaps
        .iter()
        .any(|gap| gap.gap == GapReason::KilledTest.name());
    let failed = lost || summary.tests.failed > 0;
    let stale = summary.deny_stale && !summary.stale.is_empty();
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
