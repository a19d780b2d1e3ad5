//! The configuration: `.config/leakcheck.toml` at the root of the workspace.
//!
//! A value is taken from the command line, else from the environment, else
//! from an override for the test, else from the profile, else from the
//! profile that this one inherits, else from what is built in.
//!
//! - [`mod@file`]: the file as it is written; [`read`]: from disk, with errors
//!   that name the line and what was meant;
//! - [`profile`]: profiles with what they inherit;
//! - [`levels`]: how each code counts; [`time`]: durations; [`date`]: days;
//! - [`template`]: what `leakcheck init` writes.

pub mod date;
pub mod file;
pub mod levels;
pub mod profile;
pub mod read;
pub mod template;
pub mod time;

pub use date::Day;
pub use file::{ConfigFile, IgnoreEntry, OverrideEntry};
pub use levels::{Levels, Selector, Setting};
pub use profile::Profile;
pub use read::{ConfigError, parse_toml};

/// Where the configuration is, from the root of the workspace.
pub const CONFIG_FILE: &str = ".config/leakcheck.toml";

/// Where the baseline is, from the root of the workspace.
pub const BASELINE_FILE: &str = ".config/leakcheck-baseline.toml";
