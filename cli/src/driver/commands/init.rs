//! `leakcheck init`.

use std::io::Write as _;

use crate::args::InitArgs;
use crate::config::CONFIG_FILE;
use crate::config::template::{TEMPLATE, schema_text};
use crate::driver::env::Environment;
use crate::driver::status;
use crate::driver::teller::say;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::plan::Project;
use crate::render::outputs::replace;

pub(super) fn init(args: &InitArgs) -> Result<Outcome, Error> {
    super::set_color(args.build.color);
    if args.schema {
        let schema = schema_text().map_err(Error::Encode)?;
        write!(std::io::stdout(), "{schema}").map_err(Error::Output)?;
        return Ok(Outcome::Clean);
    }
    let project = Project::find(&args.build, &Environment::of_user()?)?;
    let path = project.sources.workspace_root.join(CONFIG_FILE);
    if path.exists() && !args.force {
        return Err(Error::Option {
            reason: format!(
                "`{}` is there already\nhelp: `--force` overwrites it",
                path.display()
            ),
        });
    }
    replace(&path, TEMPLATE.as_bytes())?;
    say(&format!(
        "{} {}",
        status::label("Wrote", status::good()),
        path.display()
    ))?;
    Ok(Outcome::Clean)
}
