//! How each code counts.

use std::collections::BTreeMap;

use leakcheck::report::kind::{Kind, Level};
use schemars::JsonSchema;
use serde::Deserialize;

/// How a code counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// Not shown.
    Allow,
    /// Shown, does not fail the run.
    Warn,
    /// Fails the run.
    Deny,
}

/// What a level is set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// Everything.
    All,
    /// One kind, as its code says.
    Kind(Kind),
    /// All kinds of this name.
    Name(&'static str),
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Kind(kind) => kind.info().code,
            Self::Name(name) => name,
        })
    }
}

impl Selector {
    /// From a code, a name or `all`.
    ///
    /// # Errors
    /// Says what there is.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let info = |kind: &Kind| kind.info();
        if let Some(kind) = Kind::ALL
            .iter()
            .find(|kind| info(kind).code.eq_ignore_ascii_case(text))
        {
            return Ok(Self::Kind(*kind));
        }
        Kind::ALL
            .iter()
            .map(info)
            .find(|info| info.name == text)
            .map(|info| Self::Name(info.name))
            .ok_or_else(|| {
                let mut names: Vec<&str> = Kind::ALL
                    .iter()
                    .map(info)
                    .flat_map(|info| [info.code, info.name])
                    .chain(["all"])
                    .collect();
                names.sort_unstable();
                names.dedup();
                format!(
                    "there is no code or kind `{text}`; there are {}",
                    names.join(", ")
                )
            })
    }

    /// Whether it is about this kind.
    #[must_use]
    pub fn matches(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Kind(of) => of == kind,
            Self::Name(name) => kind.info().name == name,
        }
    }

    /// The narrower decides.
    const fn breadth(self) -> u8 {
        match self {
            Self::Kind(_) => 0,
            Self::Name(_) => 1,
            Self::All => 2,
        }
    }
}

/// Levels, from one place where they are set.
#[derive(Debug, Clone, Default)]
pub struct Levels(Vec<(Selector, Setting)>);

impl Levels {
    /// From a table of the configuration.
    ///
    /// # Errors
    /// Names the key that is no code.
    pub fn from_table(table: &BTreeMap<String, Setting>) -> Result<Self, String> {
        table
            .iter()
            .map(|(key, setting)| Ok((Selector::parse(key)?, *setting)))
            .collect::<Result<Vec<_>, String>>()
            .map(Self)
    }

    /// From `-A`, `-W`, `-D`.
    ///
    /// # Errors
    /// Names the argument that is no code.
    pub fn from_arguments(
        allow: &[String],
        warn: &[String],
        deny: &[String],
    ) -> Result<Self, String> {
        let of = |names: &[String], setting| {
            names
                .iter()
                .map(|name| Ok((Selector::parse(name)?, setting)))
                .collect::<Result<Vec<_>, String>>()
        };
        let mut all = of(allow, Setting::Allow)?;
        all.extend(of(warn, Setting::Warn)?);
        all.extend(of(deny, Setting::Deny)?);
        Ok(Self(all))
    }

    /// What is set for a kind: the narrowest selector decides, of equal ones
    /// the last. `all` hides notes, but makes no more of them: they are for
    /// those who ask for them by name.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<Setting> {
        self.0
            .iter()
            .rev()
            .filter(|(selector, _)| selector.matches(kind))
            .min_by_key(|(selector, _)| selector.breadth())
            .filter(|(selector, setting)| {
                *selector != Selector::All
                    || *setting == Setting::Allow
                    || kind.info().level != Level::Note
            })
            .map(|(_, setting)| *setting)
    }
}

/// The level of a finding that is set to something; none if it is not shown.
/// What is a note although its kind is none stays one: an idle pool is no leak,
/// and neither is a task that something could have woken.
#[must_use]
pub fn apply(setting: Setting, kind: Kind, level: Level) -> Option<Level> {
    match (setting, level) {
        (Setting::Allow, _) => None,
        (Setting::Warn | Setting::Deny, Level::Note) if kind.info().level != Level::Note => {
            Some(Level::Note)
        }
        (Setting::Warn, Level::Error | Level::Warning | Level::Note) => Some(Level::Warning),
        (Setting::Deny, Level::Error | Level::Warning | Level::Note) => Some(Level::Error),
    }
}

#[cfg(test)]
mod tests {
    use leakcheck::report::kind::{Kind, Level};

    use super::{Levels, Selector, Setting, apply};

    #[test]
    fn a_note_is_denied_by_its_name() {
        let denied = |name: &str| {
            let levels = Levels::from_arguments(&[], &[], &[name.to_owned()]).unwrap();
            let setting = levels.of(Kind::AbortedTask)?;
            apply(setting, Kind::AbortedTask, Level::Note)
        };
        assert_eq!(denied("aborted-task"), Some(Level::Error));
        assert_eq!(denied("lc0011"), Some(Level::Error));
        assert_eq!(denied("all"), None, "it stays as it is");
        // An idle pool.
        let pool = apply(Setting::Deny, Kind::LeakedThread, Level::Note);
        assert_eq!(pool, Some(Level::Note));
    }

    #[test]
    fn the_narrowest_decides() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let levels = Levels::from_arguments(
            &words(&["LC0006"]),
            &words(&["all"]),
            &words(&["data-race"]),
        )
        .unwrap();
        assert_eq!(levels.of(Kind::VolatileRace), Some(Setting::Allow));
        assert_eq!(levels.of(Kind::DataRace), Some(Setting::Deny));
        assert_eq!(levels.of(Kind::Deadlock), Some(Setting::Warn));
        assert_eq!(Levels::default().of(Kind::Deadlock), None);
    }

    #[test]
    fn unknown_codes_are_named() {
        let error = Selector::parse("LC9999").unwrap_err();
        assert!(
            error.contains("LC9999") && error.contains("LC0001"),
            "{error}"
        );
        assert_eq!(
            Selector::parse("lc0001"),
            Ok(Selector::Kind(Kind::DataRace))
        );
    }
}
