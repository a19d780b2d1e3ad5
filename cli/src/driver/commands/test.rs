//! `leakcheck test`.

use std::num::NonZero;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use crate::args::{MessageFormat, TestArgs};
use crate::document::Document;
use crate::driver::env::Environment;
use crate::driver::execute::{Conditions, OutputMode, command};
use crate::driver::explore::Exploration;
use crate::driver::libtest::BinaryArgs;
use crate::driver::process::Stop;
use crate::driver::record::What;
use crate::driver::reporter::Reporter;
use crate::driver::signals::Handler;
use crate::driver::suite::Suite;
use crate::driver::teller::Telling;
use crate::driver::{cargo, doctest, progress, runner, scratch};
use crate::error::Error;
use crate::gate::load::Options;
use crate::gate::{Extent, Gate};
use crate::model::{Gap, GapReason, TestId};
use crate::outcome::Outcome;
use crate::plan::{Plan, Project};
use crate::render::{github, outputs};

pub(super) fn test(args: &TestArgs) -> Result<Outcome, Error> {
    run(args).map(|(outcome, _)| outcome)
}

/// The outcome, and what there is to say of it if tests were run.
pub(super) fn run(args: &TestArgs) -> Result<(Outcome, Option<Document>), Error> {
    let user = Environment::of_user()?;
    super::set_color(args.build.color);
    let metadata = Project::metadata(&args.build, &user)?;
    let options = Options {
        gate: &args.gate,
        detection: &args.detection,
        runner: Some(&args.runner),
        filter: Some(&args.filters),
    };
    let gate = Gate::load(&options, &user, &metadata)?;
    outputs::check(&gate.settings.outputs)?;
    let plan = super::plan(&args.build)?;
    let built = cargo::build_tests(&plan, args)?;
    if args.no_run {
        return Ok((Outcome::Clean, None));
    }
    let scratch = scratch::create(&plan.target_dir)?;
    let notes = scratch.path().join("notes");
    std::fs::create_dir(&notes).map_err(|source| Error::Write {
        path: notes.clone(),
        source,
    })?;
    let calls = cargo::record_tests(&plan, args, &built, &notes)?;

    let binary_args = BinaryArgs::parse(args.filter.as_deref(), &args.binary_args);
    if binary_args.question {
        return Ok((ask(&plan, &calls)?, None));
    }
    let no_capture = args.runner.no_capture || binary_args.no_capture;
    let deadline = gate
        .settings
        .run_limit()
        .map(|limit| Instant::now() + limit);
    let stop = Arc::new(Stop::new(deadline)?);
    let handler = Handler::install(&stop)?;
    let mut conditions = Conditions {
        runner: &plan.runner,
        guards_stay: built.guards_stay,
        exploration: args
            .runner
            .explore
            .map(|runs| Exploration::new(runs, args.runner.seed)),
        grace: gate.grace(&NO_TEST),
        task_races: !args.detection.no_task_races,
        limit: gate.limit(&NO_TEST),
        stop: &stop,
        output: OutputMode::Captured,
    };

    let mut suite = Suite::list(
        calls,
        &built.origins,
        &binary_args,
        scratch.path(),
        &conditions,
    )?;
    let extent = if is_complete(args, &binary_args) && gate.covers(suite.packages()) {
        match args.filters.partition {
            None => Extent::Whole,
            Some(_) => Extent::Part,
        }
    } else {
        Extent::Selection
    };
    suite.select(&gate, args.filters.partition);
    let threads_in_force = gate.settings.test_threads();
    let telling = Telling::with(&args.detection, args.build.verbosity, &user);
    let unreadable = gate.unreadable().to_vec();
    let unseen = built.unseen(&plan);
    let mut reporter = Reporter::new(telling, built.sources, gate);
    reporter.extent = extent;
    reporter.partition = args.filters.partition;
    reporter.annotations = github::wanted(args.gate.annotations, &user);
    for gap in unreadable {
        reporter.gap(gap);
    }
    for binary in suite
        .binaries()
        .iter()
        .filter(|binary| !binary.traits.instrumented)
    {
        reporter.gap(Gap {
            reason: GapReason::UninstrumentedProgram,
            detail: Some(format!("{}::{}", binary.package, binary.name)),
            count: 1,
        });
    }
    for gap in unseen {
        reporter.gap(gap);
    }
    reporter.starting(&suite, conditions.exploration)?;

    let mut threads = threads_in_force
        .or(binary_args.threads)
        .or_else(|| threads_of_environment(&plan));
    if no_capture {
        conditions.output = match args.detection.message_format {
            MessageFormat::Human => OutputMode::Live,
            MessageFormat::Json => OutputMode::LiveOnStderr,
        };
        threads = threads.or(Some(1));
    }
    let threads = match threads {
        Some(threads) => usize::try_from(threads).unwrap_or(usize::MAX),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    // Output that is let through would be torn by it.
    let cases = if no_capture { 0 } else { suite.cases.len() };
    let progress = progress::begin(&user, cases);
    runner::run(
        &suite,
        &binary_args,
        threads,
        scratch.path(),
        &conditions,
        |finished| {
            let next = reporter.finished(&suite, &finished, &conditions)?;
            remove(&finished.dir)?;
            Ok(next)
        },
    )?;

    drop(progress);

    for (number, call) in suite.doctests.iter().enumerate() {
        if stop.reason().is_some() {
            break;
        }
        let own = scratch.path().join(format!("doctests-{number}"));
        let doctests = doctest::run(call, &own, &conditions, plan.environment())?;
        let package = call
            .environment
            .get("CARGO_PKG_NAME")
            .map(|name| name.to_string_lossy());
        reporter.doctests(&package.unwrap_or_default(), &doctests, no_capture)?;
        remove(&own)?;
    }
    drop(handler);
    let (outcome, document) = reporter.finish(suite.cases.len(), stop.reason())?;
    Ok((outcome, Some(document)))
}

/// Where the limits of all tests that nobody has set apart are asked for.
const NO_TEST: TestId = TestId {
    package: String::new(),
    binary: String::new(),
    name: String::new(),
};

/// Whether nothing was left out by name: only then can an ignore that matches
/// nothing be called stale.
fn is_complete(args: &TestArgs, binary_args: &BinaryArgs) -> bool {
    let selection = args.selection.to_cargo();
    let everything = selection
        .iter()
        .all(|word| word == "--workspace" || word == "--all");
    everything && args.filters.filterset.is_empty() && binary_args.listing.is_empty()
}

/// libtest's own variable.
fn threads_of_environment(plan: &Plan) -> Option<u32> {
    let threads = plan.user.get("RUST_TEST_THREADS")?.to_str()?.parse().ok()?;
    (threads > 0).then_some(threads)
}

/// Lets the binaries answer `--list` or `--help` themselves.
fn ask(plan: &Plan, calls: &[crate::driver::record::Call]) -> Result<Outcome, Error> {
    for call in calls.iter().filter(|call| call.what == What::Binary) {
        let mut command = command(call, &call.args, &plan.runner);
        command.stdin(Stdio::null());
        let status = command.status().map_err(|source| Error::Spawn {
            program: call.program.clone(),
            source,
        })?;
        if !status.success() {
            return Err(Error::List {
                binary: call.program.clone(),
                status,
                said: String::new(),
            });
        }
    }
    Ok(Outcome::Clean)
}

fn remove(dir: &Path) -> Result<(), Error> {
    std::fs::remove_dir_all(dir).map_err(|source| Error::Write {
        path: dir.to_owned(),
        source,
    })
}
