//! A profile with what it inherits.

use std::collections::BTreeMap;
use std::path::Path;

use super::file::{ConfigFile, IgnoreEntry, OverrideEntry, ProfileEntry};
use super::levels::Levels;
use super::read::ConfigError;
use super::time::Span;
use crate::args::OutputFormat;

/// The profile that all others inherit in the end.
pub const DEFAULT: &str = "default";

/// A profile, with everything that it inherits.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// As in [`ProfileEntry`].
    pub grace: Option<Span>,
    /// As in [`ProfileEntry`].
    pub timeout: Option<Span>,
    /// As in [`ProfileEntry`].
    pub run_timeout: Option<Span>,
    /// As in [`ProfileEntry`].
    pub test_threads: Option<u32>,
    /// As in [`ProfileEntry`].
    pub default_filter: Option<String>,
    /// As in [`ProfileEntry`].
    pub deny_stale: Option<bool>,
    /// Levels, nearest profile first.
    pub levels: Vec<Levels>,
    /// Files to write.
    pub output: BTreeMap<OutputFormat, String>,
    /// Overrides, nearest profile first.
    pub overrides: Vec<OverrideEntry>,
    /// Ignores of all these profiles.
    pub ignore: Vec<IgnoreEntry>,
}

impl Profile {
    /// The profile `name` of a file.
    ///
    /// # Errors
    /// If there is none, it inherits itself, or a level is for no code.
    pub fn resolve(file: &ConfigFile, name: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut profile = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut chain: Vec<&str> = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next {
            if chain.contains(&name) {
                chain.push(name);
                return Err(ConfigError::Inherits {
                    path: path.to_owned(),
                    name: name.to_owned(),
                    chain: chain.join(" → "),
                });
            }
            chain.push(name);
            next = match file.profile.get(name) {
                Some(entry) => {
                    profile.take(name, entry, path)?;
                    entry
                        .inherits
                        .as_deref()
                        .or_else(|| (name != DEFAULT).then_some(DEFAULT))
                }
                None if name == DEFAULT => None,
                None => {
                    return Err(ConfigError::Profile {
                        name: name.to_owned(),
                        path: path.to_owned(),
                        known: file.profile.keys().cloned().collect(),
                    });
                }
            };
        }
        Ok(profile)
    }

    /// Takes what is not said yet.
    fn take(&mut self, name: &str, entry: &ProfileEntry, path: &Path) -> Result<(), ConfigError> {
        let levels = Levels::from_table(&entry.levels).map_err(|reason| ConfigError::Value {
            path: path.to_owned(),
            what: format!("[profile.{name}.levels]"),
            reason,
        })?;
        self.levels.push(levels);
        self.grace = self.grace.or(entry.grace);
        self.timeout = self.timeout.or(entry.timeout);
        self.run_timeout = self.run_timeout.or(entry.run_timeout);
        self.test_threads = self.test_threads.or(entry.test_threads.map(Into::into));
        if self.default_filter.is_none() {
            self.default_filter.clone_from(&entry.default_filter);
        }
        self.deny_stale = self.deny_stale.or(entry.deny_stale);
        for (format, path) in &entry.output {
            self.output.entry(*format).or_insert_with(|| path.clone());
        }
        self.overrides.extend(entry.overrides.iter().cloned());
        self.ignore.extend(entry.ignore.iter().cloned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use leakcheck::report::kind::Kind;

    use super::Profile;
    use crate::config::levels::Setting;
    use crate::config::read::parse_toml;

    fn resolve(text: &str, name: &str) -> Result<Profile, String> {
        let path = Path::new("leakcheck.toml");
        let file = parse_toml(text, path).map_err(|error| error.to_string())?;
        Profile::resolve(&file, name, path).map_err(|error| error.to_string())
    }

    const TEXT: &str = r#"
        [profile.default]
        timeout = "10s"
        grace = "1s"
        levels = { LC0006 = "allow" }
        [profile.ci]
        timeout = "60s"
        levels = { data-race = "warn" }
        output = { sarif = "a.sarif" }
        [profile.nightly]
        inherits = "ci"
        test-threads = 1
    "#;

    #[test]
    fn values_are_inherited() {
        let nightly = resolve(TEXT, "nightly").unwrap();
        assert_eq!(nightly.timeout.unwrap().milliseconds(), 60_000);
        assert_eq!(nightly.grace.unwrap().milliseconds(), 1000);
        assert_eq!(nightly.test_threads, Some(1));
        assert_eq!(nightly.output.len(), 1);
        let of = |kind| nightly.levels.iter().find_map(|levels| levels.of(kind));
        assert_eq!(of(Kind::DataRace), Some(Setting::Warn));
        assert_eq!(
            of(Kind::VolatileRace),
            Some(Setting::Warn),
            "the nearer profile decides"
        );
        assert_eq!(of(Kind::Deadlock), None);
    }

    #[test]
    fn an_empty_file_has_the_default_profile() {
        assert_eq!(resolve("", "default").unwrap().timeout, None);
        let error = resolve(TEXT, "no").unwrap_err();
        assert!(
            error.contains("`no`") && error.contains("nightly"),
            "{error}"
        );
    }

    #[test]
    fn a_circle_is_told() {
        let text = "[profile.a]\ninherits = \"b\"\n[profile.b]\ninherits = \"a\"\n";
        let error = resolve(text, "a").unwrap_err();
        assert!(error.contains("a → b → a"), "{error}");
    }
}
