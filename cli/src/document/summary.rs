//! The last line of a run.

use leakcheck::report::kind::Level;
use serde::{Deserialize, Serialize};

use super::SCHEMA;
use super::finding::{FindingLine, StateLine};

/// The last line of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SummaryLine {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the command.
    pub exit_code: u8,
    /// Wall time.
    pub seconds: f64,
    /// How many ended how.
    pub tests: TestCounts,
    /// Distinct findings.
    pub findings: FindingCounts,
    /// What was not seen.
    pub gaps: Vec<GapLine>,
    /// Entries of the baseline and suppressions that match nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<StaleLine>,
    /// The part of the tests that was run, as `--partition` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// True if the run was stopped before its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// True if everything was tested, or all of the part that `partition`
    /// names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// True if a stale entry makes the run fail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deny_stale: bool,
    /// Entries that matched something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<EntryLine>,
    /// Entries that matched nothing in what was tested, of which only a run of
    /// all tests can tell whether they are stale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<EntryLine>,
}

impl SummaryLine {
    /// The end of a run in which nothing happened.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA,
            exit_code: 0,
            seconds: 0.0,
            tests: TestCounts::default(),
            findings: FindingCounts::default(),
            gaps: Vec::new(),
            stale: Vec::new(),
            partition: None,
            stopped: false,
            complete: false,
            deny_stale: false,
            matched: Vec::new(),
            unmatched: Vec::new(),
        }
    }
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Started.
    pub run: u64,
    /// Passed, and nothing was found in them that is an error.
    pub passed: u64,
    /// Failed, crashed, timed out.
    pub failed: u64,
    /// Did not fail, but an error was found in them.
    pub with_findings: u64,
    /// Marked `#[ignore]`.
    pub ignored: u64,
    /// Not started because the run was stopped.
    pub not_run: u64,
}

impl std::ops::AddAssign for TestCounts {
    fn add_assign(&mut self, other: Self) {
        self.run += other.run;
        self.passed += other.passed;
        self.failed += other.failed;
        self.with_findings += other.with_findings;
        self.ignored += other.ignored;
        self.not_run += other.not_run;
    }
}

/// Distinct findings by level; those that do not count are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCounts {
    /// Those that fail the run.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
    /// In the baseline.
    #[serde(default)]
    pub baseline: usize,
    /// Suppressed.
    #[serde(default)]
    pub suppressed: usize,
}

impl FindingCounts {
    /// Counts them.
    #[must_use]
    pub fn of<'a>(findings: impl Iterator<Item = &'a FindingLine>) -> Self {
        findings.fold(Self::default(), |mut counts, finding| {
            counts.add(finding.state, finding.level);
            counts
        })
    }

    /// Counts one.
    pub const fn add(&mut self, state: StateLine, level: Level) {
        let count = match (state, level) {
            (StateLine::Baseline, _) => &mut self.baseline,
            (StateLine::Suppressed, _) => &mut self.suppressed,
            (StateLine::New, Level::Error) => &mut self.errors,
            (StateLine::New, Level::Warning) => &mut self.warnings,
            (StateLine::New, Level::Note) => &mut self.notes,
        };
        *count += 1;
    }
}

/// Something that was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapLine {
    /// Which.
    pub gap: String,
    /// A path or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many.
    pub count: u64,
    /// A sentence.
    pub text: String,
}

/// An entry of the baseline, or a suppression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryLine {
    /// The file that it is in.
    pub source: String,
    /// What it says.
    pub entry: String,
}

impl EntryLine {
    /// The same entry, found stale.
    #[must_use]
    pub fn stale(self, why: &str) -> StaleLine {
        StaleLine {
            source: self.source,
            entry: self.entry,
            why: why.to_owned(),
        }
    }
}

/// An entry that matches nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StaleLine {
    /// The file that it is in.
    pub source: String,
    /// What it says.
    pub entry: String,
    /// Why it is stale: `unmatched`, `expired`.
    pub why: String,
}

impl StaleLine {
    /// One line for the summary.
    #[must_use]
    pub fn text(&self) -> String {
        match self.why.as_str() {
            "expired" => format!("{} in {} has expired", self.entry, self.source),
            _ => format!("{} in {} matches nothing any more", self.entry, self.source),
        }
    }
}
