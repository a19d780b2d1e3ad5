//! What `leakcheck init` writes: every key, with what it is if nothing is
//! said.

/// The commented configuration.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The JSON schema of the configuration.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(super::ConfigFile)
}

/// The schema as text.
///
/// # Errors
/// Never for these types; serde's interface has the error.
pub fn schema_text() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&schema())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{TEMPLATE, schema_text};
    use crate::config::ConfigFile;
    use crate::config::read::parse_toml;

    #[test]
    fn the_template_changes_nothing() {
        let file: ConfigFile = parse_toml(TEMPLATE, Path::new("t")).unwrap();
        assert!(file.profile.is_empty() && file.ignore.is_empty());
    }

    /// With the comment signs taken away before keys and tables, it is valid
    /// and by the schema.
    #[test]
    fn what_it_comments_out_is_valid() {
        let text: String = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix("#:").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(text.contains("\n[profile.ci]"));
        let file: ConfigFile = parse_toml(&text, Path::new("t")).unwrap();
        assert_eq!(file.profile.len(), 2);
        assert_eq!(file.ignore.len(), 1);
        // JSON has no days; editors check them as strings.
        let quoted = text.replace("2027-12-31", "\"2027-12-31\"");
        let value: toml::Value = toml::from_str(&quoted).unwrap();
        let instance = serde_json::to_value(value).unwrap();
        let schema = serde_json::to_value(super::schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    /// To bless a change: `leakcheck init --schema > docs/leakcheck.schema.json`.
    #[test]
    fn the_schema_in_the_documentation_is_this_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/leakcheck.schema.json");
        let published = std::fs::read_to_string(path).unwrap();
        assert_eq!(published, schema_text().unwrap());
    }

    #[test]
    fn the_schema_refuses_what_the_reader_refuses() {
        let schema = serde_json::to_value(super::schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (wrong, text) in [
            (true, "[profile.ci]\ngraze = \"1s\"\n"),
            (true, "[[ignore]]\ncode = \"LC0001\"\n"),
            (true, "[profile.ci]\ntimeout = \"soon\"\n"),
            (true, "[profile.ci]\nlevels = { LC0001 = \"forbid\" }\n"),
            (false, "[profile.ci]\nlevels = { LC0001 = \"warn\" }\n"),
        ] {
            let value: toml::Value = toml::from_str(text).unwrap();
            let instance = serde_json::to_value(value).unwrap();
            assert_eq!(validator.is_valid(&instance), !wrong, "{text}");
            assert_eq!(
                parse_toml::<ConfigFile>(text, Path::new("t")).is_ok(),
                !wrong,
                "{text}"
            );
        }
    }
}
