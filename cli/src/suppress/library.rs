//! Marks that a library ships for its own threads and tasks, in its
//! `Cargo.toml`:
//!
//! ```toml
//! [[package.metadata.leakcheck.daemon]]
//! thread = "my-lib-timer"
//! reason = "one timer for the process, by design"
//! ```
//!
//! A library can speak for itself alone: a mark matches leaked threads and
//! tasks that the library's own crate has spawned, and nothing else.

use std::path::Path;

use cargo_metadata::Package;
use leakcheck::report::kind::Kind;
use serde::Deserialize;

use super::glob::Glob;
use super::rule::{Matcher, Rule};
use crate::config::Selector;
use crate::config::read::ConfigError;

#[derive(Debug, Default, Deserialize)]
struct PackageMetadata {
    #[serde(default)]
    leakcheck: Option<Marks>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Marks {
    #[serde(default)]
    daemon: Vec<Daemon>,
}

/// A thread or task that stays by design.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Daemon {
    /// Its name; `*` matches anything.
    thread: Option<String>,
    /// A function on its stack or on that of its spawner.
    function: Option<String>,
    /// Why it stays.
    reason: String,
}

/// The rules of all packages.
///
/// # Errors
/// Names the manifest whose marks are not valid, if it is one of the
/// workspace: what others ship cannot be mended here and is left out.
pub fn rules(packages: &[Package]) -> Result<Vec<Rule>, ConfigError> {
    let mut rules = Vec::new();
    for package in packages {
        let own = package.source.is_none();
        match serde_json::from_value::<Option<PackageMetadata>>(package.metadata.clone()) {
            Ok(metadata) => {
                let marks = metadata.and_then(|metadata| metadata.leakcheck);
                for daemon in marks.unwrap_or_default().daemon {
                    rules.push(rule(package, daemon));
                }
            }
            Err(_) if !own => {}
            Err(error) => {
                return Err(ConfigError::Value {
                    path: Path::new(package.manifest_path.as_str()).to_owned(),
                    what: "[package.metadata.leakcheck]".to_owned(),
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(rules)
}

fn rule(package: &Package, daemon: Daemon) -> Rule {
    let what = daemon
        .thread
        .as_deref()
        .or(daemon.function.as_deref())
        .unwrap_or("*");
    Rule {
        source: format!("the manifest of {} {}", package.name, package.version),
        entry: format!("daemon `{what}`"),
        reason: daemon.reason,
        expires: None,
        told_when_unmatched: false,
        matcher: Matcher {
            kinds: Some(vec![Selector::Kind(Kind::LeakedThread)]),
            thread: daemon.thread.as_deref().map(Glob::whole),
            function: daemon.function.as_deref().map(Glob::whole),
            own_crate: Some(package.name.replace('-', "_")),
            ..Matcher::default()
        },
    }
}
