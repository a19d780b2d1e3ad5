//! A day, as `expires` has it.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// Today, in UTC.
    #[must_use]
    pub fn today() -> Self {
        let now: chrono::DateTime<chrono::Utc> = std::time::SystemTime::now().into();
        Self(now.date_naive())
    }

    /// Whether something that holds to this day holds no more.
    #[must_use]
    pub fn is_over(self, today: Self) -> bool {
        today > self
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is no day: write it as 2027-12-31"))
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// TOML has days of its own; a string does too.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Day(toml::value::Datetime),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Day(day) => day.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn the_last_day_still_holds() {
        let day: Day = "2027-01-31".parse().unwrap();
        assert!(!day.is_over(day));
        assert!(day.is_over("2027-02-01".parse().unwrap()));
        assert!("soon".parse::<Day>().is_err());
        assert!(Day::today() > "2024-01-01".parse().unwrap());
    }

    #[test]
    fn both_ways_to_write_it() {
        #[derive(serde::Deserialize)]
        struct Entry {
            a: Day,
            b: Day,
        }
        let entry: Entry = toml::from_str("a = 2027-01-31\nb = \"2027-01-31\"").unwrap();
        assert_eq!(entry.a, entry.b);
        assert!(toml::from_str::<Entry>("a = 1\nb = 2").is_err());
    }
}
