//! What a run has to say, as data: the one thing that every output for
//! machines is made of, and what `report merge` reads back.
//!
//! It is written as one JSON object a line, each with its `type` and the
//! `schema`; `docs/json.md` describes them. A field is only ever added within
//! a schema, so what is new since has a default here.
//!
//! - [`finding`]: something found; [`mod@test`]: a test; [`summary`]: the end;
//! - [`of_model`]: from the model of this process; [`snippet`]: the source;
//! - [`read`]: from a file; [`merge`]: several runs as one.

pub mod finding;
pub mod merge;
pub mod of_model;
pub mod read;
pub mod snippet;
pub mod summary;
pub mod test;

use serde::{Deserialize, Serialize};

pub use finding::{
    ExcuseLine, FindingLine, FrameLine, LegLine, LockLine, MemoryLine, PlaceLine, SaidLine,
    SpawnLine, StateLine, TaskLine, WaitLine, WokenLine,
};
pub use read::ReadError;
pub use snippet::{MarkLine, SnippetLine};
pub use summary::{EntryLine, FindingCounts, GapLine, StaleLine, SummaryLine, TestCounts};
pub use test::{CrashLine, LaneLine, TestLine};

/// Version of the lines.
pub const SCHEMA: u32 = 1;

/// A line of the output.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line {
    /// Something found.
    Finding(Box<FindingLine>),
    /// A test that ended.
    Test(Box<TestLine>),
    /// The last line.
    Summary(Box<SummaryLine>),
}

impl Line {
    /// The line, without its end.
    ///
    /// # Errors
    /// Never for these types; serde's interface has the error.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// A whole run.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its tests, in the order in which they ended.
    pub tests: Vec<TestLine>,
    /// What was found, worst first.
    pub findings: Vec<FindingLine>,
    /// Its end.
    pub summary: SummaryLine,
}

impl Document {
    /// As lines.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let tests = self.tests.iter().cloned().map(Box::new).map(Line::Test);
        let findings = self
            .findings
            .iter()
            .cloned()
            .map(Box::new)
            .map(Line::Finding);
        let summary = Line::Summary(Box::new(self.summary.clone()));
        tests.chain(findings).chain([summary])
    }

    /// As text.
    ///
    /// # Errors
    /// Never for these types; serde's interface has the error.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        for line in self.lines() {
            text.push_str(&line.text()?);
            text.push('\n');
        }
        Ok(text)
    }

    /// The findings that make the run fail.
    pub fn failing(&self) -> impl Iterator<Item = &FindingLine> {
        self.findings.iter().filter(|finding| finding.fails())
    }
}
