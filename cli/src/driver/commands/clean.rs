//! `leakcheck clean`.

use std::io::ErrorKind;

use crate::args::CleanArgs;
use crate::driver::env::Environment;
use crate::driver::status;
use crate::driver::teller::say;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::plan::Project;

pub(super) fn clean(args: &CleanArgs) -> Result<Outcome, Error> {
    super::set_color(args.build.color);
    let project = Project::find(&args.build, &Environment::of_user()?)?;
    let dir = project.leakcheck_dir();
    match std::fs::remove_dir_all(&dir) {
        Ok(()) => {}
        Err(source) if source.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Write { path: dir, source }),
    }
    say(&format!(
        "{} {}",
        status::label("Removed", status::good()),
        dir.display()
    ))?;
    Ok(Outcome::Clean)
}
