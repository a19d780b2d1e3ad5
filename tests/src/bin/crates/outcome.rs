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
    /// Errors that are right.
    known: u64,
    levels: BTreeMap<String, u64>,
    /// Findings by level and kind.
    pub kinds: BTreeMap<String, u64>,
    status: ExitStatus,
    seconds: f64,
}

impl Outcome {
    /// The head of the table.
    pub const HEAD: &str = "crate                      tests  failed  errors  known  warnings  notes  gaps  exit  seconds";

    /// Reads the machine-readable report.
    pub fn read(
        suite: &Suite,
        text: &str,
        status: ExitStatus,
        took: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let mut outcome = Self {
            tests: 0,
            failed: 0,
            gaps: 0,
            known: 0,
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
                    if suite.knows(&line) {
                        outcome.known += 1;
                        continue;
                    }
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

    /// Whether all tests passed without any error but the known ones.
    pub fn is_silent(&self) -> bool {
        let ended_well = match self.status.code() {
            Some(66) => self.known > 0,
            code => code == Some(0),
        };
        ended_well && self.failed == 0 && !self.levels.contains_key("error")
    }

    /// The row of the table.
    pub fn row(&self, suite: &Suite) -> String {
        let level = |name: &str| self.levels.get(name).copied().unwrap_or_default();
        let exit = self
            .status
            .code()
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        format!(
            "{:24} {:7} {:7} {:7} {:6} {:9} {:6} {:5} {:>5} {:8.1}",
            format!("{} {}", suite.name, suite.version),
            self.tests,
            self.failed,
            level("error"),
            self.known,
            level("warning"),
            level("note"),
            self.gaps,
            exit,
            self.seconds,
        )
    }
}

impl Suite {
    /// Whether a finding is one of those that are right.
    fn knows(&self, finding: &Value) -> bool {
        self.known.iter().any(|known| {
            finding["kind"] == known.kind
                && finding["test"]["binary"] == known.binary
                && finding["test"]["name"] == known.test
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::list::Known;

    const SUITE: &Suite = &Suite {
        name: "x",
        version: "1.0.0",
        arguments: &[],
        known: &[Known {
            kind: "leaked-thread",
            binary: "golang",
            test: "main",
            reason: "as in Go",
        }],
    };

    fn read(report: &str, code: i32) -> Outcome {
        let status = ExitStatus::from_raw(code << 8);
        Outcome::read(SUITE, report, status, Duration::from_secs(2)).unwrap()
    }

    #[test]
    fn findings_are_counted_by_level() {
        let report = concat!(
            r#"{"type":"finding","schema":1,"level":"error","kind":"data-race"}"#,
            "\n",
            r#"{"type":"finding","schema":1,"level":"note","kind":"leaked-thread"}"#,
            "\n",
            r#"{"type":"summary","schema":1,"tests":{"run":2,"failed":1},"gaps":["x"]}"#,
        );
        let outcome = read(report, 66);
        assert_eq!((outcome.tests, outcome.failed, outcome.gaps), (2, 1, 1));
        assert_eq!(outcome.levels["error"], 1);
        assert_eq!(outcome.kinds["note leaked-thread"], 1);
        assert!(!outcome.is_silent());
    }

    #[test]
    fn known_findings_do_not_count() {
        let leak = r#"{"type":"finding","level":"error","kind":"leaked-thread","test":{"binary":"golang","name":"main"}}"#;
        let outcome = read(leak, 66);
        assert_eq!(outcome.known, 1);
        assert!(outcome.is_silent());
        assert!(!read(&leak.replace("main", "other"), 66).is_silent());
        assert!(!read(leak, 100).is_silent());
    }
}
