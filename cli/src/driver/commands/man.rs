//! `leakcheck man`.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::args::{Cli, ManArgs};
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn man(args: &ManArgs) -> Result<Outcome, Error> {
    match &args.dir {
        Some(dir) => {
            let write = |source| Error::Write {
                path: dir.clone(),
                source,
            };
            std::fs::create_dir_all(dir).map_err(write)?;
            clap_mangen::generate_to(Cli::command(), dir).map_err(write)?;
        }
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut text)
                .and_then(|()| std::io::stdout().write_all(&text))
                .map_err(Error::Output)?;
        }
    }
    Ok(Outcome::Clean)
}
