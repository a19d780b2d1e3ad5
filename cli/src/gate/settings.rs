//! What is in force for a run.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Limit, OutputFormat};
use crate::config::levels::Levels;
use crate::config::time::Span;
use crate::config::{OverrideEntry, Profile};
use crate::filter::Filter;

/// How long a test may take if nobody says.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(180);

/// What is in force for a run.
#[derive(Debug, Default)]
pub struct Settings {
    /// The profile.
    pub profile: Profile,
    /// How the configuration file is called.
    pub shown_config: String,
    /// What the command line or the environment says.
    pub typed: Typed,
    /// `-A`, `-W`, `-D`.
    pub levels: Levels,
    /// What is different for some tests.
    pub overrides: Vec<Override>,
    /// `-E`.
    pub filters: Vec<Filter>,
    /// `default-filter` of the profile.
    pub default_filter: Option<Filter>,
    /// Fail if an entry matches nothing.
    pub deny_stale: bool,
    /// Files to write.
    pub outputs: Vec<(OutputFormat, PathBuf)>,
}

/// What the command line says, or else the environment.
#[derive(Debug, Default)]
pub struct Typed {
    /// Milliseconds.
    pub grace: Option<u64>,
    /// For one test.
    pub timeout: Option<Limit>,
    /// For all.
    pub run_timeout: Option<Limit>,
    /// Tests at a time.
    pub test_threads: Option<u32>,
}

/// What is different for some tests.
#[derive(Debug)]
pub struct Override {
    /// Which.
    pub filter: Filter,
    /// As in the configuration.
    pub grace: Option<Span>,
    /// As in the configuration.
    pub timeout: Option<Span>,
    /// As in the configuration.
    pub levels: Levels,
}

impl Override {
    /// From the configuration.
    #[must_use]
    pub fn new(entry: &OverrideEntry, filter: Filter, levels: Levels) -> Self {
        Self {
            filter,
            grace: entry.grace,
            timeout: entry.timeout,
            levels,
        }
    }
}

impl Settings {
    /// How long all tests together may take.
    #[must_use]
    pub fn run_limit(&self) -> Option<Duration> {
        match self.typed.run_timeout {
            Some(limit) => limit.0,
            None => self.profile.run_timeout.and_then(Span::limit),
        }
    }

    /// How many tests run at a time, if anybody says.
    #[must_use]
    pub fn test_threads(&self) -> Option<u32> {
        self.typed.test_threads.or(self.profile.test_threads)
    }
}
