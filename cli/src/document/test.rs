//! The line of a test.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::finding::{FrameLine, PlaceLine};
use crate::model::TestId;

/// A test that ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestLine {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which.
    pub test: TestId,
    /// How it ended, in the words of `docs/json.md`.
    pub outcome: String,
    /// Wall time.
    pub seconds: f64,
    /// How often it was run in search of a schedule, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// The seed of the run that was not silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Fingerprints of what was found in it.
    pub findings: Vec<String>,
    /// One sentence about the end, where the word does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How it crashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<CrashLine>,
    /// What it wrote, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// When its threads lived, if something was found in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneLine>,
}

impl TestLine {
    /// A test about which no more is known than how it ended.
    #[must_use]
    pub fn new(test: TestId, outcome: &str, seconds: f64) -> Self {
        Self {
            schema: SCHEMA,
            test,
            outcome: outcome.to_owned(),
            seconds,
            runs: None,
            seed: None,
            findings: Vec::new(),
            reason: None,
            crash: None,
            output: None,
            lanes: Vec::new(),
        }
    }
}

/// How a test crashed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrashLine {
    /// One sentence.
    pub title: String,
    /// The thread.
    pub thread: String,
    /// The first frame to look at.
    #[serde(flatten)]
    pub primary: PlaceLine,
    /// All frames.
    pub stack: Vec<FrameLine>,
    /// The human report.
    pub rendered: String,
}

/// A row of the timeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneLine {
    /// Unique in the test.
    pub id: String,
    /// `thread`, `task`.
    pub kind: String,
    /// How it is called.
    pub name: String,
    /// Who spawned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where: `src/lib.rs:12:5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawned: Option<String>,
    /// When it was created, in microseconds.
    pub started_us: u64,
    /// When it ended; left out while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
}
