//! The configuration file as it is written. Its JSON schema is made of these
//! types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::date::Day;
use super::levels::Setting;
use super::time::Span;
use crate::args::OutputFormat;

/// `.config/leakcheck.toml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "leakcheck configuration")]
pub struct ConfigFile {
    /// The oldest leakcheck that reads this file: `0.1`.
    pub required_version: Option<String>,
    /// Profiles by name; `default` is what all others inherit in the end.
    #[serde(default)]
    pub profile: BTreeMap<String, ProfileEntry>,
    /// Findings that do not count, in all profiles.
    #[serde(default)]
    pub ignore: Vec<IgnoreEntry>,
    /// Suppression files in the format of ThreadSanitizer, relative to the
    /// root of the workspace.
    #[serde(default)]
    pub suppressions: Vec<String>,
}

/// A profile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProfileEntry {
    /// The profile that gives what this one does not say.
    pub inherits: Option<String>,
    /// How long a thread may take to end after its test, where no event tells
    /// sooner.
    pub grace: Option<Span>,
    /// How long one test may take; `0s` is without limit.
    pub timeout: Option<Span>,
    /// How long all tests together may take; `0s` is without limit.
    pub run_timeout: Option<Span>,
    /// How many tests run at a time.
    pub test_threads: Option<std::num::NonZeroU32>,
    /// Which tests run when the command line does not say: a filterset.
    pub default_filter: Option<String>,
    /// Fail if an entry of the baseline or a suppression matches nothing.
    pub deny_stale: Option<bool>,
    /// How findings count, by code (`LC0001`), kind (`data-race`) or `all`.
    #[serde(default)]
    pub levels: BTreeMap<String, Setting>,
    /// Files to write, by format, relative to the root of the workspace.
    #[serde(default)]
    pub output: BTreeMap<OutputFormat, String>,
    /// What is different for some tests; the first that matches and says
    /// something about a value decides it.
    #[serde(default)]
    pub overrides: Vec<OverrideEntry>,
    /// Findings that do not count.
    #[serde(default)]
    pub ignore: Vec<IgnoreEntry>,
}

/// What is different for some tests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OverrideEntry {
    /// Which tests: a filterset.
    pub filter: String,
    /// As in the profile.
    pub grace: Option<Span>,
    /// As in the profile.
    pub timeout: Option<Span>,
    /// As in the profile.
    #[serde(default)]
    pub levels: BTreeMap<String, Setting>,
}

/// Findings that do not count: those that match everything that is said.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IgnoreEntry {
    /// Code, kind, or `all`.
    pub code: Option<String>,
    /// Fingerprint, as a report shows it.
    pub fingerprint: Option<String>,
    /// Path of a function on any stack of the finding; `*` matches anything.
    pub function: Option<String>,
    /// Path of a function on the stack that spawned the thread or task.
    pub spawned_in: Option<String>,
    /// Name of a thread or task; `*` matches anything.
    pub thread: Option<String>,
    /// Path of a source file of any stack; `*` matches anything.
    pub file: Option<String>,
    /// Which tests: a filterset.
    pub test: Option<String>,
    /// Why it does not count. There must be a reason.
    pub reason: String,
    /// The last day on which this holds.
    pub expires: Option<Day>,
}

impl IgnoreEntry {
    /// Whether it says what to ignore at all.
    #[must_use]
    pub const fn says_nothing(&self) -> bool {
        self.code.is_none()
            && self.fingerprint.is_none()
            && self.function.is_none()
            && self.spawned_in.is_none()
            && self.thread.is_none()
            && self.file.is_none()
            && self.test.is_none()
    }
}
