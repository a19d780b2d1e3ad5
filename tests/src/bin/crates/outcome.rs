//! What `leakcheck test` said about one crate.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use crate::list::Suite;

/// The numbers of one row of the table.
pub struct Outcome {
    tests: u64,
    failed: u64,
    gaps: usize,
    levels: BTreeMap<String, u64>,
    /// Findings by level and kind.
    pub kinds: BTreeMap<String, u64>,
    status: ExitStatus,
    seconds: f64,
}

impl Outcome {
    /// The head of the table.
    pub const HEAD: &str =
        "crate                      tests  failed  errors  warnings  notes  gaps  exit  seconds";

    /// Reads the machine-readable report.
    pub fn read(text: &str, status: ExitStatus, took: Duration) -> Result<Self, Box<dyn Error>> {
        let mut outcome = Self {
            tests: 0,
            failed: 0,
            gaps: 0,
            levels: BTreeMap::new(),
            kinds: BTreeMap::new(),
            status,
            seconds: took.as_secs_f64(),
        };
        for line in text.lines() {
            let line: Value = serde_json::from_str(line)?;
            match line["type"].as_str() {
                Some("summary") => {
                    let count = |name: &str| line["tests"][name].as_u64().unwrap_or_default();
                    outcome.tests = count("run");
                    outcome.failed = count("failed");
                    outcome.gaps = line["gaps"].as_array().map_or(0, Vec::len);
                }
                Some("finding") => {
                    let level = line["level"].as_str().unwrap_or("unknown");
                    let kind = line["kind"].as_str().unwrap_or("unknown");
                    *outcome.levels.entry(level.to_owned()).or_default() += 1;
                    *outcome.kinds.entry(format!("{level} {kind}")).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(outcome)
    }

    /// Whether all tests passed without any error.
    pub fn is_silent(&self) -> bool {
        self.status.success()
    }

    /// The row of the table.
    pub fn row(&self, suite: &Suite) -> String {
        let level = |name: &str| self.levels.get(name).copied().unwrap_or_default();
        let exit = self
            .status
            .code()
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        format!(
            "{:24} {:7} {:7} {:7} {:9} {:6} {:5} {:>5} {:8.1}",
            format!("{} {}", suite.name, suite.version),
            self.tests,
            self.failed,
            level("error"),
            level("warning"),
            level("note"),
            self.gaps,
            exit,
            self.seconds,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn findings_are_counted_by_level() {
        let report = concat!(
            r#"{"type":"finding","schema":1,"level":"error","kind":"data-race"}"#,
            "\n",
            r#"{"type":"finding","schema":1,"level":"note","kind":"leaked-thread"}"#,
            "\n",
            r#"{"type":"summary","schema":1,"tests":{"run":2,"failed":1},"gaps":["x"]}"#,
        );
        let status = ExitStatus::from_raw(66 << 8);
        let outcome = Outcome::read(report, status, Duration::from_secs(2)).unwrap();
        assert_eq!((outcome.tests, outcome.failed, outcome.gaps), (2, 1, 1));
        assert_eq!(outcome.levels["error"], 1);
        assert_eq!(outcome.kinds["note leaked-thread"], 1);
        assert!(!outcome.is_silent());
    }
}
