//! From the command line, the environment and the files to what is in force.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use super::Gate;
use super::settings::{Override, Settings, Typed};
use crate::args::{
    self, DetectionOptions, FilterOptions, GateOptions, OutputFormat, RunnerOptions,
};
use crate::baseline::Baseline;
use crate::config::profile::{self, Profile};
use crate::config::read::{ConfigError, read_config};
use crate::config::{BASELINE_FILE, CONFIG_FILE, ConfigFile, Levels};
use crate::driver::env::Environment;
use crate::error::Error;
use crate::filter::{FilterError, Packages};
use crate::suppress::code::SourceTree;
use crate::suppress::{configured, library, tsan};

/// The options of a command that the gate reads; commands without a runner
/// or a selection leave those out.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Gate options.
    pub gate: &'a GateOptions,
    /// Detection options.
    pub detection: &'a DetectionOptions,
    /// Runner options.
    pub runner: Option<&'a RunnerOptions>,
    /// `-E`.
    pub filter: Option<&'a FilterOptions>,
}

impl Gate {
    /// Reads all files. `metadata` is the answer of `cargo metadata`, with
    /// dependencies.
    ///
    /// # Errors
    /// If a file, a variable or an option is not valid.
    pub fn load(
        options: &Options<'_>,
        user: &Environment,
        metadata_json: &str,
    ) -> Result<Self, Error> {
        let metadata = MetadataCommand::parse(metadata_json).map_err(Error::MetadataAnswer)?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let here = std::env::current_dir().map_err(Error::CurrentDir)?;
        let gate = options.gate;

        let config = config_file(gate, user, &root, &here)?;
        let name = profile_name(gate, user, &config.file);
        // A profile that only CI uses is found broken here too.
        for other in config.file.profile.keys() {
            Profile::resolve(&config.file, other, &config.path)?;
        }
        let profile = Profile::resolve(&config.file, &name, &config.path)?;

        // Only filtersets need to know the packages.
        let packages = if uses_filters(options, &config.file, &profile) {
            Some(Packages::parse(metadata_json).map_err(Error::Filter)?)
        } else {
            None
        };
        let mut rules = rules(&config, &profile, gate, packages.as_ref(), &root, &here)?;
        let shipped = library::rules(&metadata)?;
        rules.extend(shipped.rules);
        let overrides = overrides(&config, &profile, packages.as_ref())?;
        let typed_filters = options.filter.iter().flat_map(|filter| &filter.filterset);
        let filters = typed_filters
            .zip(packages.iter().cycle())
            .map(|(text, packages)| packages.filter(text, "").map_err(Error::Filter))
            .collect::<Result<_, _>>()?;
        let default_filter = profile
            .default_filter
            .as_deref()
            .zip(packages.as_ref())
            .map(|(text, packages)| {
                packages
                    .filter(text, "`default-filter`")
                    .map_err(|error| in_config(&config.path, "default-filter", &error))
            })
            .transpose()?;

        let baseline_path = match &gate.baseline {
            Some(path) => here.join(path),
            None => root.join(BASELINE_FILE),
        };
        let baseline = if gate.no_baseline {
            None
        } else {
            Baseline::read(&baseline_path, &shown(&baseline_path, &root))?
        };
        if let (None, Some(path), false) = (&baseline, &gate.baseline, gate.no_baseline) {
            return Err(ConfigError::Read {
                path: path.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            }
            .into());
        }

        let settings = Settings {
            typed: typed(options, user)?,
            levels: Levels::from_arguments(&gate.allow, &gate.warn, &gate.deny)
                .map_err(|reason| Error::Option { reason })?,
            overrides,
            filters,
            default_filter,
            deny_stale: gate.deny_stale
                || flag(user, "LEAKCHECK_DENY_STALE")
                    .unwrap_or_else(|| profile.deny_stale.unwrap_or(false)),
            outputs: outputs(gate, &profile, &root, &here),
            shown_config: config.shown.clone(),
            profile,
        };
        Ok(Self {
            settings,
            packages,
            rules,
            baseline,
            tree: SourceTree::new(&root, metadata.workspace_packages().into_iter()),
            tested: metadata
                .workspace_packages()
                .into_iter()
                .filter(|package| package.targets.iter().any(|target| target.test))
                .map(|package| package.name.to_string())
                .collect(),
            unreadable: shipped.unreadable,
            ..Self::default()
        })
    }
}

/// Whether a filterset is written anywhere.
fn uses_filters(options: &Options<'_>, file: &ConfigFile, profile: &Profile) -> bool {
    let typed = options
        .filter
        .is_some_and(|filter| !filter.filterset.is_empty());
    let mut ignores = profile.ignore.iter().chain(&file.ignore);
    typed
        || profile.default_filter.is_some()
        || !profile.overrides.is_empty()
        || ignores.any(|entry| entry.test.is_some())
}

/// The configuration file and how it is called.
struct Config {
    file: ConfigFile,
    path: PathBuf,
    shown: String,
}

fn config_file(
    gate: &GateOptions,
    user: &Environment,
    root: &Path,
    here: &Path,
) -> Result<Config, Error> {
    let typed = gate.config_file.clone().or_else(|| {
        user.get("LEAKCHECK_CONFIG_FILE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    let path = match &typed {
        Some(path) => here.join(path),
        None => root.join(CONFIG_FILE),
    };
    let file = if gate.no_config {
        ConfigFile::default()
    } else {
        read_config(&path, typed.is_some())?
    };
    Ok(Config {
        file,
        shown: if gate.no_config || !path.exists() {
            "the built-in configuration".to_owned()
        } else {
            shown(&path, root)
        },
        path,
    })
}

/// As typed, else of the environment, else `ci` on a CI machine.
fn profile_name(gate: &GateOptions, user: &Environment, file: &ConfigFile) -> String {
    let of_environment = || {
        let name = user.get("LEAKCHECK_PROFILE")?.to_str()?.to_owned();
        (!name.is_empty()).then_some(name)
    };
    let ci = || {
        let on_ci = flag(user, "CI").unwrap_or(false);
        (on_ci && file.profile.contains_key("ci")).then(|| "ci".to_owned())
    };
    gate.leakcheck_profile
        .clone()
        .or_else(of_environment)
        .or_else(ci)
        .unwrap_or_else(|| profile::DEFAULT.to_owned())
}

/// A path as a report shows it.
pub fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn in_config(path: &Path, what: &str, error: &FilterError) -> Error {
    ConfigError::Value {
        path: path.to_owned(),
        what: what.to_owned(),
        reason: error.to_string(),
    }
    .into()
}

fn rules(
    config: &Config,
    profile: &Profile,
    gate: &GateOptions,
    packages: Option<&Packages>,
    root: &Path,
    here: &Path,
) -> Result<Vec<crate::suppress::Rule>, Error> {
    let mut rules = Vec::new();
    for entry in profile.ignore.iter().chain(&config.file.ignore) {
        rules.push(configured::rule(
            entry,
            &config.path,
            &config.shown,
            packages,
        )?);
    }
    let of_config = config.file.suppressions.iter().map(|path| root.join(path));
    let typed = gate.suppressions.iter().map(|path| here.join(path));
    for path in of_config.chain(typed) {
        rules.extend(tsan::read(&path, &shown(&path, root))?);
    }
    Ok(rules)
}

fn overrides(
    config: &Config,
    profile: &Profile,
    packages: Option<&Packages>,
) -> Result<Vec<Override>, Error> {
    let mut overrides = Vec::new();
    let Some(packages) = packages else {
        return Ok(overrides);
    };
    for entry in &profile.overrides {
        let what = format!("overrides with the filter `{}`", entry.filter);
        let filter = packages
            .filter(&entry.filter, "")
            .map_err(|error| in_config(&config.path, &what, &error))?;
        let levels = Levels::from_table(&entry.levels).map_err(|reason| ConfigError::Value {
            path: config.path.clone(),
            what,
            reason,
        })?;
        overrides.push(Override::new(entry, filter, levels));
    }
    Ok(overrides)
}

fn typed(options: &Options<'_>, user: &Environment) -> Result<Typed, Error> {
    let limit = |name| variable(user, name, args::seconds);
    let grace = variable(user, "LEAKCHECK_GRACE", args::milliseconds)?;
    let threads = variable(user, "LEAKCHECK_TEST_THREADS", |text| {
        let number: Result<NonZero<u32>, _> = text.parse();
        number.map_err(|error| error.to_string())
    })?;
    let runner = options.runner;
    Ok(Typed {
        grace: options.detection.grace.or(grace),
        timeout: runner
            .and_then(|runner| runner.timeout)
            .or(limit("LEAKCHECK_TIMEOUT")?),
        run_timeout: runner
            .and_then(|runner| runner.run_timeout)
            .or(limit("LEAKCHECK_RUN_TIMEOUT")?),
        test_threads: runner
            .and_then(|runner| runner.test_threads)
            .or(threads.map(NonZero::get)),
    })
}

/// A variable that is read as an option is.
fn variable<T>(
    user: &Environment,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let Some(text) = user.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    parse(&text.to_string_lossy())
        .map(Some)
        .map_err(|reason| Error::Option {
            reason: format!("the environment variable `{name}`: {reason}"),
        })
}

/// A variable that is on or off, if it is set.
pub fn flag(user: &Environment, name: &str) -> Option<bool> {
    let text = user.get(name)?.to_string_lossy().to_ascii_lowercase();
    Some(!matches!(text.as_str(), "" | "0" | "false" | "no"))
}

/// Those of the command line, and of the profile for other formats.
fn outputs(
    gate: &GateOptions,
    profile: &Profile,
    root: &Path,
    here: &Path,
) -> Vec<(OutputFormat, PathBuf)> {
    let typed: Vec<(OutputFormat, PathBuf)> = gate
        .output
        .iter()
        .map(|output| (output.format, here.join(&output.path)))
        .collect();
    let of_profile = profile
        .output
        .iter()
        .filter(|(format, _)| typed.iter().all(|(other, _)| other != *format))
        .map(|(format, path)| (*format, root.join(path)));
    let mut all: Vec<(OutputFormat, PathBuf)> = of_profile.collect();
    all.extend(typed);
    all
}
