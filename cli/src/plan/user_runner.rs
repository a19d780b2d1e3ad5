//! The user's own target runner, which ours calls in turn.
//!
//! cargo takes the first of: `target.<triple>.runner` of a `--config` argument,
//! of the environment, of a configuration file; then, in the same order,
//! `target.'cfg(…)'.runner`. What `cfg(…)` holds is left to the crate
//! `cargo-config2`, which reads configuration files: the tables of the
//! arguments are written into one for it.

use std::path::Path;

use cargo_config2::{Config, ResolveOptions, de};

use super::ConfigArguments;
use crate::driver::env::{self, Environment};
use crate::error::Error;

/// A program and its arguments; empty if there is none.
pub(super) fn user_runner(
    arguments: &ConfigArguments,
    config: &Config,
    here: &Path,
    user: &Environment,
    host: &str,
) -> Result<Vec<String>, Error> {
    if let Some(runner) = arguments.runner(host) {
        return Ok(runner);
    }
    if let Some(tables) = arguments.runners_by_cfg()
        && !has_runner_of_triple(here, user, host)?
        && let Some(runner) = of_tables(&tables, host)?
    {
        return Ok(runner);
    }
    runner_of(config, host)
}

fn runner_of(config: &Config, host: &str) -> Result<Vec<String>, Error> {
    let runner = config.runner(host).map_err(Error::Config)?;
    let words = runner.into_iter().flat_map(|runner| {
        std::iter::once(runner.path.into_os_string())
            .chain(runner.args)
            .map(|word| word.to_string_lossy().into_owned())
    });
    Ok(words.collect())
}

/// True if the environment or a file names a runner for the triple itself.
fn has_runner_of_triple(here: &Path, user: &Environment, host: &str) -> Result<bool, Error> {
    if user.get(&env::runner_variable(host)).is_some() {
        return Ok(true);
    }
    let files = de::Config::load_with_cwd(here).map_err(Error::Config)?;
    Ok(files
        .target
        .get(host)
        .is_some_and(|target| target.runner.is_some()))
}

fn of_tables(tables: &toml::Table, host: &str) -> Result<Option<Vec<String>>, Error> {
    let dir = tempfile::tempdir().map_err(|source| Error::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    let file = dir.path().join(".cargo/config.toml");
    let written = std::fs::create_dir(dir.path().join(".cargo"))
        .and_then(|()| std::fs::write(&file, tables.to_string()));
    written.map_err(|source| Error::Write { path: file, source })?;
    let nothing: [(&str, &str); 0] = [];
    let options = ResolveOptions::default().env(nothing).cargo_home(None);
    let config = Config::load_with_options(dir.path(), options).map_err(Error::Config)?;
    let runner = runner_of(&config, host)?;
    Ok((!runner.is_empty()).then_some(runner))
}
