//! `[[ignore]]` of the configuration.

use std::path::Path;

use super::glob::Glob;
use super::rule::{Matcher, Rule};
use crate::config::read::ConfigError;
use crate::config::{IgnoreEntry, Selector};
use crate::filter::Packages;

/// The rule of an entry; `shown` is how the file is called.
///
/// # Errors
/// If the entry says nothing, gives no reason, or a value means nothing.
pub fn rule(
    entry: &IgnoreEntry,
    path: &Path,
    shown: &str,
    packages: Option<&Packages>,
) -> Result<Rule, ConfigError> {
    let name = describe(entry);
    let wrong = |reason: String| ConfigError::Value {
        path: path.to_owned(),
        what: name.clone(),
        reason,
    };
    if entry.says_nothing() {
        return Err(wrong(
            "it would ignore everything: say which `code`, `function`, `thread` or `fingerprint`"
                .to_owned(),
        ));
    }
    if entry.reason.trim().is_empty() {
        return Err(wrong("`reason` is empty: say why".to_owned()));
    }
    let kinds = match &entry.code {
        None => None,
        Some(code) => Some(vec![Selector::parse(code).map_err(wrong)?]),
    };
    let test = match (&entry.test, packages) {
        (Some(text), Some(packages)) => Some(
            packages
                .filter(text, &format!("{name} in `{shown}`"))
                .map_err(|error| wrong(error.to_string()))?,
        ),
        (Some(_), None) | (None, _) => None,
    };
    let glob = |text: &Option<String>| text.as_deref().map(Glob::whole);
    Ok(Rule {
        source: shown.to_owned(),
        reason: entry.reason.trim().to_owned(),
        expires: entry.expires,
        told_when_unmatched: true,
        matcher: Matcher {
            kinds,
            fingerprint: entry.fingerprint.clone(),
            function: glob(&entry.function),
            spawned_in: glob(&entry.spawned_in),
            thread: glob(&entry.thread),
            file: glob(&entry.file),
            test,
            ..Matcher::default()
        },
        entry: name,
    })
}

/// How an entry is called in a message.
fn describe(entry: &IgnoreEntry) -> String {
    let parts: Vec<String> = [
        ("code", &entry.code),
        ("fingerprint", &entry.fingerprint),
        ("function", &entry.function),
        ("spawned-in", &entry.spawned_in),
        ("thread", &entry.thread),
        ("file", &entry.file),
        ("test", &entry.test),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} = \"{}\"", value.as_ref()?)))
    .collect();
    format!("[[ignore]] {}", parts.join(", "))
        .trim_end()
        .to_owned()
}
