//! TOML from disk, with errors that name the file and the line, and for an
//! unknown key what was probably meant.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::file::ConfigFile;

/// Why the configuration, a baseline or a suppression cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read `{path}`: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("`{path}` is not valid: {}{}", reason.trim_end(), help(suggestion.as_deref()))]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why, with the line.
        reason: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A value in it means nothing.
    #[error("`{path}`: {what}: {reason}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which value.
        what: String,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// A later leakcheck is asked for.
    #[error(
        "`{path}` needs leakcheck {required}, this is {}\nhelp: update leakcheck",
        env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it asks for.
        required: String,
    },
    /// A later leakcheck wrote it.
    #[error(
        "`{path}` has schema {found}, this leakcheck reads {known}\n\
         help: update leakcheck, or write the file anew with this one"
    )]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// No such profile.
    #[error(
        "there is no profile `{name}`\nhelp: `{path}` has {}",
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    )]
    Profile {
        /// As asked for.
        name: String,
        /// The file.
        path: PathBuf,
        /// Those there are.
        known: Vec<String>,
    },
    /// Profiles inherit each other.
    #[error("`{path}`: the profile `{name}` inherits itself: {chain}")]
    Inherits {
        /// The file.
        path: PathBuf,
        /// The profile.
        name: String,
        /// The way round.
        chain: String,
    },
}

fn help(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |meant| {
        format!("\nhelp: did you mean `{meant}`?")
    })
}

/// Reads a TOML file; none if there is no such file.
///
/// # Errors
/// If it cannot be read or is not valid.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse_toml(&text, path).map(Some),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads TOML; `path` names it in errors.
///
/// # Errors
/// If it is not valid.
pub fn parse_toml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        suggestion: meant(error.message()),
        reason: error.to_string(),
    })
}

/// What was probably meant, from ``unknown field `graze`, expected one of
/// `grace`, `timeout` ``.
fn meant(message: &str) -> Option<String> {
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let typed = words.next()?;
    words
        .map(|word| (strsim::jaro_winkler(typed, word), word))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word.to_owned())
}

/// Reads a configuration file.
///
/// # Errors
/// If it cannot be read or is not valid, or is for a later leakcheck.
pub fn read_config(path: &Path, must_exist: bool) -> Result<ConfigFile, ConfigError> {
    let Some(file) = read_toml::<ConfigFile>(path)? else {
        if must_exist {
            return Err(ConfigError::Read {
                path: path.to_owned(),
                source: std::io::ErrorKind::NotFound.into(),
            });
        }
        return Ok(ConfigFile::default());
    };
    check_version(&file, path)?;
    Ok(file)
}

fn check_version(file: &ConfigFile, path: &Path) -> Result<(), ConfigError> {
    let Some(required) = &file.required_version else {
        return Ok(());
    };
    let parts = |text: &str| -> Option<Vec<u64>> {
        let numbers = text.split('.').map(|part| part.parse().ok());
        numbers
            .collect::<Option<Vec<u64>>>()
            .filter(|v| v.len() <= 3)
    };
    let ours = parts(env!("CARGO_PKG_VERSION")).unwrap_or_default();
    match parts(required) {
        Some(wanted) if wanted <= ours => Ok(()),
        Some(_) => Err(ConfigError::Version {
            path: path.to_owned(),
            required: required.clone(),
        }),
        None => Err(ConfigError::Value {
            path: path.to_owned(),
            what: format!("required-version = \"{required}\""),
            reason: "not a version: write it as `0.1`".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ConfigFile, check_version, parse_toml};

    fn error(text: &str) -> String {
        let path = Path::new(".config/leakcheck.toml");
        match parse_toml::<ConfigFile>(text, path) {
            Ok(file) => check_version(&file, path).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn unknown_keys_are_errors_with_a_suggestion() {
        insta::assert_snapshot!(error("[profile.ci]\ngraze = \"1s\"\n"));
    }

    #[test]
    fn a_reason_must_be_given() {
        insta::assert_snapshot!(error("[[ignore]]\ncode = \"LC0001\"\n"));
    }

    #[test]
    fn wrong_values_are_named() {
        insta::assert_snapshot!(error("[profile.default]\ntimeout = \"soon\"\n"));
        insta::assert_snapshot!(error("[profile.default.levels]\nLC0001 = \"forbid\"\n"));
        insta::assert_snapshot!(error("required-version = \"99.0\"\n"));
        insta::assert_snapshot!(error("required-version = \"new\"\n"));
    }
}
