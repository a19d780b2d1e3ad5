//! A duration as people write it: `500ms`, `30s`, `5m`, `1h`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "SpanText")]
pub struct Span(pub Duration);

/// What the schema says of it.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct SpanText(#[schemars(regex(pattern = r"^\d+(\.\d+)?(ms|s|m|h)$"))] String);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no duration: write `500ms`, `30s`, `5m` or `1h`");
        let unit = text
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit);
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return Err(wrong()),
        };
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| wrong())
    }
}

impl Span {
    /// As a limit: none for zero.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        Some(self.0).filter(|limit| !limit.is_zero())
    }

    /// In milliseconds.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn durations() {
        let of = |text: &str| text.parse::<Span>().map(Span::milliseconds).ok();
        assert_eq!(of("500ms"), Some(500));
        assert_eq!(of("1.5s"), Some(1500));
        assert_eq!(of("2m"), Some(120_000));
        assert_eq!(of("1h"), Some(3_600_000));
        for wrong in ["", "5", "s", "-1s", "1 day", "1d"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
