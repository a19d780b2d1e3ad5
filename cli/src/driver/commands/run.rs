//! `leakcheck run`.

use crate::args::RunArgs;
use crate::driver::execute::command;
use crate::driver::teller::Telling;
use crate::driver::watch::{Settings, watch};
use crate::driver::{cargo, scratch};
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn run(args: &RunArgs) -> Result<Outcome, Error> {
    let plan = super::plan(&args.build)?;
    let scratch = scratch::create(&plan.target_dir)?;
    let calls = cargo::record_program(&plan, args, scratch.path())?;
    let Some(call) = calls.first() else {
        return Ok(Outcome::NoTests);
    };
    let mut command = command(call, &call.args, &plan.runner);
    let settings = Settings {
        telling: Telling::new(&args.detection, true),
        grace: args.detection.grace,
    };
    watch(
        &mut command,
        &call.program,
        plan.project.sources.clone(),
        &settings,
    )
}
