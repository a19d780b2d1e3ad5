//! `leakcheck completions`.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::Error;
use crate::outcome::Outcome;

pub(super) fn completions(args: &CompletionsArgs) -> Result<Outcome, Error> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "leakcheck", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text).map_err(Error::Output)?;
    Ok(Outcome::Clean)
}
