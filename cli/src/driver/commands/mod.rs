//! The subcommands, each from its arguments to its outcome.

mod baseline;
mod clean;
mod completions;
mod doctor;
mod explain;
mod init;
mod man;
mod nextest;
mod report;
mod run;
mod show_env;
mod test;

use clap::ValueEnum as _;

use crate::args::{BuildOptions, Cli, Color, Command};
use crate::driver::status;
use crate::driver::teller::say;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::plan::Plan;

/// Does what was asked for.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn dispatch(cli: Cli) -> Result<Outcome, Error> {
    match cli.command {
        Command::Test(args) => test::test(&args),
        Command::Run(args) => run::run(&args),
        Command::ShowEnv(args) => show_env::show_env(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Clean(args) => clean::clean(&args),
        Command::Nextest(args) => nextest::nextest(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Baseline(args) => baseline::baseline(&args),
        Command::Report(args) => report::report(&args),
        Command::Init(args) => init::init(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}

fn plan(build: &BuildOptions) -> Result<Plan, Error> {
    set_color(build.color);
    Plan::resolve(build, &mut |text| {
        // The work goes on where nobody reads of it.
        let _ = say(&format!(
            "{} {text}",
            status::label("leakcheck", status::good())
        ));
    })
}

/// `--color`, else cargo's own variable.
fn set_color(color: Option<Color>) {
    let variable = std::env::var("CARGO_TERM_COLOR").ok();
    let of_cargo = variable.and_then(|text| Color::from_str(&text, true).ok());
    let choice = match color.or(of_cargo).unwrap_or(Color::Auto) {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}
