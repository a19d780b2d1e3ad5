//! What the command says to machines, as `docs/json.md` has it.
//!
//! Only the fields that the tests look at are here; the others are checked as
//! JSON by the test of the schema.

use serde::Deserialize;

/// A line of standard output.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// Something found.
    Finding(Box<Finding>),
    /// A test that has ended.
    Test(TestLine),
    /// The last line.
    Summary(Summary),
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    /// If it is not a message.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// Which test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Test {
    /// Its package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    /// Its path in there.
    pub name: String,
}

/// Something found.
#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    /// `LC0001` …
    pub code: String,
    /// `data-race` …
    pub kind: String,
    /// `error`, `warning`, `note`.
    pub level: String,
    /// `proved`, `observed`, `potential`.
    pub certainty: String,
    /// One sentence.
    pub title: String,
    /// In which test it was seen first.
    pub test: Test,
    /// In which tests it was seen.
    pub tests: Vec<Test>,
    /// Its stable name.
    pub fingerprint: String,
    /// `new`, `baseline`, `suppressed`.
    pub state: String,
    /// Why it does not count.
    pub excuse: Option<Excuse>,
    /// Its sides.
    pub legs: Vec<Leg>,
    /// As a person reads it.
    pub rendered: String,
}

impl Finding {
    /// True if it was seen in a test of this name.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        self.tests.iter().any(|test| test.name == name)
    }
}

/// Why a finding does not count.
#[derive(Debug, Clone, Deserialize)]
pub struct Excuse {
    /// Where that is said.
    pub source: String,
    /// The reason given there.
    pub reason: String,
}

/// One side of a finding.
#[derive(Debug, Clone, Deserialize)]
pub struct Leg {
    /// `read`, `write`, `leaked` …
    pub role: String,
    /// The thread, by name.
    pub thread: String,
    /// The file of its primary frame.
    pub file: Option<String>,
    /// The line there, from 1.
    pub line: Option<usize>,
    /// The function there.
    pub function: Option<String>,
}

/// A test that has ended.
#[derive(Debug, Clone, Deserialize)]
pub struct TestLine {
    /// Which.
    pub test: Test,
    /// How: `pass`, `race`, `fail` …
    pub outcome: String,
    /// Wall time of all its runs.
    pub seconds: f64,
    /// With `--explore`: which run it was, or how many there were.
    pub runs: Option<u32>,
    /// With `--explore`: the seed of the run that was not silent.
    pub seed: Option<u64>,
}

/// The last line.
#[derive(Debug, Clone, Deserialize)]
pub struct Summary {
    /// The exit code that follows.
    pub exit_code: i32,
    /// What was not seen.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// Entries that match nothing any more.
    #[serde(default)]
    pub stale: Vec<Stale>,
}

/// What was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Gap {
    /// `unseen-tasks` …
    pub gap: String,
    /// As a person reads it.
    pub text: String,
}

/// An entry that matches nothing any more.
#[derive(Debug, Clone, Deserialize)]
pub struct Stale {
    /// Where it is.
    pub source: String,
    /// What it says.
    pub entry: String,
    /// `unmatched`, `expired`.
    pub why: String,
}
