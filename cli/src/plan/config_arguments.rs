//! What the `--config` arguments say, where leakcheck must know it.
//!
//! cargo itself reads them for everything else; the files and environment
//! variables of cargo's configuration are read by the crate `cargo-config2`.
//!
//! What it misses: `--config FILE` whose file has `include`.

use std::path::Path;

use toml::{Table, Value};

use crate::error::Error;

/// The tables of all `--config` arguments, in order.
#[derive(Debug, Default)]
pub(super) struct ConfigArguments(Vec<Table>);

impl ConfigArguments {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Error> {
        let mut tables = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let error = |reason: String| Error::ConfigArgument {
                argument: argument.clone(),
                reason,
            };
            let text = if Path::new(argument).exists() {
                std::fs::read_to_string(argument).map_err(|e| error(e.to_string()))?
            } else {
                argument.clone()
            };
            tables.push(
                text.parse::<Table>()
                    .map_err(|e| error(e.message().to_owned()))?,
            );
        }
        Ok(Self(tables))
    }

    /// `build.target`.
    pub(super) fn targets(&self) -> Option<Vec<String>> {
        self.last(&["build", "target"]).map(words)
    }

    /// `build.rustc-wrapper`.
    pub(super) fn wrapper(&self) -> Option<String> {
        self.last(&["build", "rustc-wrapper"])?
            .as_str()
            .map(str::to_owned)
    }

    /// `target.<triple>.runner`.
    pub(super) fn runner(&self, triple: &str) -> Option<Vec<String>> {
        match self.last(&["target", triple, "runner"])? {
            Value::String(line) => Some(line.split_whitespace().map(str::to_owned).collect()),
            other => Some(words(other)),
        }
    }

    /// The tables `target.'cfg(…)'` with a runner, the later ones in the place
    /// of earlier ones; none if there is none.
    pub(super) fn runners_by_cfg(&self) -> Option<Table> {
        let targets = self
            .0
            .iter()
            .filter_map(|table| table.get("target")?.as_table());
        let runners: Table = targets
            .flatten()
            .filter(|(name, _)| name.starts_with("cfg("))
            .filter_map(|(name, target)| {
                let runner = target.get("runner")?.clone();
                let target = Table::from_iter([("runner".to_owned(), runner)]);
                Some((name.clone(), Value::Table(target)))
            })
            .collect();
        (!runners.is_empty())
            .then(|| Table::from_iter([("target".to_owned(), Value::Table(runners))]))
    }

    /// `runner` in the place of a runner that is given here, as one more
    /// argument: these win over the environment. cargo wants it of the same
    /// type as what it replaces.
    pub(super) fn replace_runner(&self, triple: &str, runner: &str) -> Option<String> {
        let runner = Value::String(runner.to_owned());
        let value = match self.last(&["target", triple, "runner"])? {
            Value::Array(_) => Value::Array(vec![runner]),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Table(_) => runner,
        };
        Some(format!("target.{triple}.runner={value}"))
    }

    fn last(&self, path: &[&str]) -> Option<&Value> {
        self.0.iter().rev().find_map(|table| {
            let (first, rest) = path.split_first()?;
            rest.iter()
                .try_fold(table.get(*first)?, |value, key| value.get(key))
        })
    }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(word) => vec![word.clone()],
        Value::Array(words) => words
            .iter()
            .filter_map(|w| w.as_str().map(str::to_owned))
            .collect(),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::ConfigArguments;

    fn parse(arguments: &[&str]) -> ConfigArguments {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        ConfigArguments::parse(&arguments).unwrap()
    }

    #[test]
    fn the_last_one_wins() {
        let config = parse(&[
            "build.target='a'",
            "net.offline=true",
            "build.target=['b','c']",
        ]);
        assert_eq!(config.targets().unwrap(), ["b", "c"]);
        assert_eq!(config.wrapper(), None);
    }

    #[test]
    fn runners_are_lines_or_lists() {
        let config = parse(&["target.x86_64-unknown-linux-gnu.runner='env A=1'"]);
        assert_eq!(
            config.runner("x86_64-unknown-linux-gnu").unwrap(),
            ["env", "A=1"]
        );
        let config = parse(&["target.t.runner=['a b','c']"]);
        assert_eq!(config.runner("t").unwrap(), ["a b", "c"]);
    }

    #[test]
    fn runners_are_replaced_by_their_own_type() {
        let config = parse(&["target.t.runner='env A=1'"]);
        assert_eq!(
            config.replace_runner("t", "/ours").unwrap(),
            "target.t.runner=\"/ours\""
        );
        let config = parse(&["target.t.runner=['env','A=1']"]);
        assert_eq!(
            config.replace_runner("t", "/ours").unwrap(),
            "target.t.runner=[\"/ours\"]"
        );
        assert_eq!(
            parse(&["net.offline=true"]).replace_runner("t", "/ours"),
            None
        );
    }

    #[test]
    fn runners_by_cfg_are_collected() {
        let config = parse(&[
            "target.'cfg(unix)'.runner='a'",
            "target.'cfg(unix)'.runner=['b']",
            "target.'cfg(windows)'.rustflags=['c']",
            "target.t.runner='d'",
        ]);
        let table = config.runners_by_cfg().unwrap();
        assert_eq!(
            table.to_string(),
            "[target.\"cfg(unix)\"]\nrunner = [\"b\"]\n"
        );
        assert!(parse(&["target.t.runner='d'"]).runners_by_cfg().is_none());
    }

    #[test]
    fn files_are_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[build]\nrustc-wrapper = 'sccache'\n")
            .unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        assert_eq!(parse(&[&path]).wrapper().as_deref(), Some("sccache"));
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(ConfigArguments::parse(&["no such file".to_owned()]).is_err());
    }
}
