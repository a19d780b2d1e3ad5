//! One program under watch, with our own terminal: `leakcheck run`, and any
//! program that another runner starts in the environment of `show-env`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use leakcheck::report::wire::{GRACE_ENV, NO_TASK_RACES_ENV, SNAPSHOT_ENV, WIRE_DIR_ENV};

use super::execute::spawn;
use super::process::{Group, Stop, supervise};
use super::reporter::Reporter;
use super::scratch;
use super::signals::{self, Handler};
use super::snapshots::{Snapshots, Watcher};
use super::target_runner::exit_code;
use super::teller::Telling;
use crate::args::{Backtrace, MessageFormat};
use crate::error::Error;
use crate::gate::Gate;
use crate::model::{Gap, TestId};
use crate::outcome::Outcome;
use crate::plan::SourceDirectories;
use crate::render::github;

/// How to watch.
#[derive(Debug)]
pub struct Settings {
    /// How to tell.
    pub telling: Telling,
    /// For `--grace`.
    pub grace: Option<u64>,
    /// Not with `--no-task-races`.
    pub task_races: bool,
    /// What counts.
    pub gate: Gate,
    /// The signal that asks for a snapshot.
    pub snapshot_signal: Option<i32>,
    /// What is known to go unseen.
    pub gaps: Vec<Gap>,
    /// Where GitHub wants to be told, if it does.
    pub annotations: Option<github::Place>,
}

impl Default for Settings {
    fn default() -> Self {
        let telling = Telling {
            format: MessageFormat::Human,
            backtrace: Backtrace::Short,
            quiet: true,
            verbose: false,
        };
        Self {
            telling,
            grace: None,
            task_races: true,
            gate: Gate::default(),
            snapshot_signal: None,
            gaps: Vec::new(),
            annotations: None,
        }
    }
}

/// Runs `command` and reports what was found in it. The program's own failure
/// counts more than a finding.
///
/// # Errors
/// If it cannot be run, or what was found cannot be read.
pub fn watch(
    command: &mut Command,
    program: &Path,
    sources: SourceDirectories,
    settings: Settings,
) -> Result<Outcome, Error> {
    let scratch = scratch::create(&std::env::temp_dir())?;
    let wire_dir = scratch.path().join("wire");
    std::fs::create_dir(&wire_dir).map_err(|source| Error::Write {
        path: wire_dir.clone(),
        source,
    })?;
    command.env(WIRE_DIR_ENV, &wire_dir);
    if let Some(grace) = settings.grace {
        command.env(GRACE_ENV, grace.to_string());
    }
    if !settings.task_races {
        command.env(NO_TASK_RACES_ENV, "1");
    }
    if let Some(signal) = settings.snapshot_signal {
        command.env(SNAPSHOT_ENV, signal.to_string());
    }
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let id = TestId {
        package: name.clone(),
        binary: name,
        name: String::new(),
    };
    let snapshots = Snapshots::new(&id, &sources, settings.telling.backtrace);
    let stop = Arc::new(Stop::new(None)?);
    let handler = Handler::install_for_program(&stop)?;
    // It may come from our terminal, for the program.
    if let Some(signal) = settings.snapshot_signal {
        signals::leave_to_the_program(signal)?;
    }
    let watcher = Watcher::start(&wire_dir, snapshots)?;
    let child = spawn(command)?;
    let ended = supervise(child, Group::Ours, None, &stop, None)?;
    drop(handler);
    watcher.finish()?;

    let mut reporter = Reporter::new(settings.telling, sources, settings.gate);
    for gap in settings.gaps {
        reporter.gap(gap);
    }
    reporter.annotations = settings.annotations;
    reporter.program(&id, &wire_dir, exit_code(ended.status))
}
