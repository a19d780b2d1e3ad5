//! The file: TOML by fingerprint, sorted, so that a change is one entry in a
//! diff. There is no line and no address in it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SCHEMA;
use crate::config::Day;
use crate::config::read::{ConfigError, parse_toml};

/// A baseline.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    /// Where it is.
    pub path: PathBuf,
    /// How it is called in a report.
    pub shown: String,
    /// What it lists.
    pub entries: Vec<Entry>,
}

/// A finding that was there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// Its stable name.
    pub fingerprint: String,
    /// Its code, for people.
    #[serde(default)]
    pub code: String,
    /// Its title, for people.
    #[serde(default)]
    pub summary: String,
    /// A test in which it was seen.
    #[serde(default)]
    pub test: String,
    /// Why it is still there.
    #[serde(default)]
    pub reason: String,
    /// The last day on which it is left alone.
    pub expires: Option<Day>,
}

/// The file, leniently, to tell a later schema from a broken file.
#[derive(Deserialize)]
struct Version {
    schema: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "checked before")]
    schema: i64,
    #[serde(default)]
    finding: Vec<Entry>,
}

impl Baseline {
    /// Reads a file; none if there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, is not valid, or is of a later schema.
    pub fn read(path: &Path, shown: &str) -> Result<Option<Self>, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path, shown).map(Some),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads text; `path` names it in errors.
    ///
    /// # Errors
    /// If it is not valid, or of a later schema.
    pub fn parse(text: &str, path: &Path, shown: &str) -> Result<Self, ConfigError> {
        let version: Version = parse_toml(text, path)?;
        match version.schema {
            Some(SCHEMA) => {}
            Some(found) => {
                return Err(ConfigError::Schema {
                    path: path.to_owned(),
                    found,
                    known: SCHEMA,
                });
            }
            None => {
                return Err(ConfigError::Value {
                    path: path.to_owned(),
                    what: "schema".to_owned(),
                    reason: "it is missing: a baseline begins with `schema = 1`; write it anew \
                             with `leakcheck baseline write`"
                        .to_owned(),
                });
            }
        }
        let file: File = parse_toml(text, path)?;
        let mut seen = std::collections::BTreeSet::new();
        for entry in &file.finding {
            if !seen.insert(&entry.fingerprint) {
                return Err(ConfigError::Value {
                    path: path.to_owned(),
                    what: entry.fingerprint.clone(),
                    reason: "it is listed twice: was a merge resolved by keeping both sides?"
                        .to_owned(),
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            shown: shown.to_owned(),
            entries: file.finding,
        })
    }

    /// Whether the entries are in order.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.entries
            .is_sorted_by(|a, b| a.fingerprint <= b.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Baseline;

    fn error(text: &str) -> String {
        Baseline::parse(text, Path::new("b.toml"), "b.toml")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_later_schema_is_told_as_that() {
        let error = error("schema = 2\n[[findings]]\nnew = 1\n");
        assert!(
            error.contains("schema 2") && error.contains("update leakcheck"),
            "{error}"
        );
    }

    #[test]
    fn what_is_broken_is_named() {
        assert!(error("schema = 1\n[[finding]]\n").contains("fingerprint"));
        assert!(error("<<<<<<< HEAD\n").contains("b.toml"));
        assert!(error("").contains("schema"));
        let twice = "[[finding]]\nfingerprint = \"lc1:1\"\n".repeat(2);
        assert!(error(&format!("schema = 1\n{twice}")).contains("listed twice"));
    }

    #[test]
    fn it_is_read() {
        let text = "schema = 1\n[[finding]]\nfingerprint = \"lc1:1\"\nexpires = 2027-01-01\n";
        let baseline = Baseline::parse(text, Path::new("b.toml"), "b.toml").unwrap();
        assert_eq!(baseline.entries.len(), 1);
        assert!(baseline.entries[0].expires.is_some());
        assert!(baseline.is_sorted());
    }
}
