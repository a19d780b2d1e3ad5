//! `leakcheck run`.

use crate::args::RunArgs;
use crate::driver::env::Environment;
use crate::driver::execute::command;
use crate::driver::teller::Telling;
use crate::driver::watch::{Settings, watch};
use crate::driver::{cargo, scratch};
use crate::error::Error;
use crate::gate::Gate;
use crate::gate::load::Options;
use crate::outcome::Outcome;
use crate::plan::Project;
use crate::render::{github, outputs};

pub(super) fn run(args: &RunArgs) -> Result<Outcome, Error> {
    let user = Environment::of_user()?;
    super::set_color(args.build.color);
    let metadata = Project::metadata(&args.build, &user)?;
    let options = Options {
        gate: &args.gate,
        detection: &args.detection,
        runner: None,
        filter: None,
    };
    let gate = Gate::load(&options, &user, &metadata)?;
    outputs::check(&gate.settings.outputs)?;
    let plan = super::plan(&args.build)?;
    let scratch = scratch::create(&plan.target_dir)?;
    let (calls, built) = cargo::record_program(&plan, args, scratch.path())?;
    let Some(call) = calls.first() else {
        return Ok(Outcome::NoTests);
    };
    let mut command = command(call, &call.args, &plan.runner);
    let settings = Settings {
        telling: Telling::new(&args.detection, true),
        grace: gate.settings.typed.grace,
        task_races: !args.detection.no_task_races,
        gate,
        snapshot_signal: Some(args.snapshot_signal),
        gaps: built.unseen(&plan),
        annotations: github::wanted(args.gate.annotations, &user),
    };
    watch(&mut command, &call.program, built.sources, settings)
}
