//! Suppression files of ThreadSanitizer: one `type:pattern` a line.
//!
//! `race` and `race_top` match the functions, files and the variable of a
//! race, `thread` those of a leaked thread, `mutex` and `deadlock` those of a
//! deadlock. `signal` and `called_from_lib` are about what leakcheck does not
//! report, so they match nothing and are not told.

use std::path::Path;

use leakcheck::report::kind::Kind;

use super::glob::Glob;
use super::rule::{Matcher, Rule};
use crate::config::Selector;
use crate::config::read::ConfigError;

/// Reads a file.
///
/// # Errors
/// If it cannot be read, or names the line that is no suppression.
pub fn read(path: &Path, shown: &str) -> Result<Vec<Rule>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path, shown)
}

fn parse(text: &str, path: &Path, shown: &str) -> Result<Vec<Rule>, ConfigError> {
    let mut rules = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: &str| ConfigError::Value {
            path: path.to_owned(),
            what: format!("line {}: `{line}`", number + 1),
            reason: reason.to_owned(),
        };
        let Some((kind, pattern)) = line.split_once(':') else {
            return Err(wrong(
                "not a suppression: write `type:pattern`, such as `race:my_crate::*`",
            ));
        };
        if pattern.is_empty() {
            return Err(wrong("the pattern is empty: it would match everything"));
        }
        let glob = Some(Glob::part(pattern));
        let races = || {
            vec![
                Selector::Kind(Kind::DataRace),
                Selector::Kind(Kind::RaceWithFree),
                Selector::Kind(Kind::RaceWithReturn),
                Selector::Kind(Kind::VolatileRace),
            ]
        };
        let matcher = match kind {
            "race" => Matcher {
                kinds: Some(races()),
                anything: glob,
                ..Matcher::default()
            },
            "race_top" => Matcher {
                kinds: Some(races()),
                top: glob,
                ..Matcher::default()
            },
            "thread" => Matcher {
                kinds: Some(vec![Selector::Kind(Kind::LeakedThread)]),
                anything: glob,
                ..Matcher::default()
            },
            "mutex" | "deadlock" => Matcher {
                kinds: Some(vec![Selector::Kind(Kind::Deadlock)]),
                anything: glob,
                ..Matcher::default()
            },
            "signal" | "called_from_lib" => continue,
            _ => {
                return Err(wrong(
                    "no such type; there are `race`, `race_top`, `thread`, `mutex`, `deadlock`, \
                     `signal` and `called_from_lib`",
                ));
            }
        };
        rules.push(Rule {
            source: shown.to_owned(),
            entry: format!("`{line}`"),
            reason: format!("suppressed by `{line}`"),
            expires: None,
            told_when_unmatched: true,
            matcher,
        });
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    fn of(text: &str) -> Result<Vec<String>, String> {
        parse(text, Path::new("tsan.supp"), "tsan.supp")
            .map(|rules| rules.into_iter().map(|rule| rule.entry).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn lines() {
        let text = "# ours\nrace:bank::*\n\nthread:^poll$\nsignal:x\n deadlock:a*b \n";
        assert_eq!(
            of(text).unwrap(),
            ["`race:bank::*`", "`thread:^poll$`", "`deadlock:a*b`"]
        );
    }

    #[test]
    fn malformed_lines_are_named() {
        for text in ["\nrace\n", "races:x\n", "race:\n"] {
            let error = of(text).unwrap_err();
            assert!(
                error.contains("tsan.supp") && error.contains("line "),
                "{error}"
            );
        }
    }
}
