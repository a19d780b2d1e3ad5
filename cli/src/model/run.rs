//! Tests, crashes, and what was not seen.

use std::fmt;

use leakcheck::report::wire::GapKind;

use super::finding::{Finding, Lane, Thread};
use super::frame::Stack;

/// A test, as `package::binary$name` in other runners.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct TestId {
    /// The package.
    pub package: String,
    /// The test binary: the crate's name for unit tests, the file's for
    /// integration tests.
    pub binary: String,
    /// The test's path in its binary; empty for a binary that is one test.
    pub name: String,
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        if self.binary != self.package
            && self.binary.replace('-', "_") != self.package.replace('-', "_")
        {
            write!(f, "::{}", self.binary)?;
        }
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        Ok(())
    }
}

/// One run of a test of which there are several, with `--explore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Which run it was, or how many there were, from 1.
    pub run: u32,
    /// Its seed, if it did not pass in silence.
    pub seed: Option<u64>,
}

/// What one test did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// What was found in it, worst first; equal findings merged.
    pub findings: Vec<Finding>,
    /// The signal it died of.
    pub crash: Option<Crash>,
    /// What was not seen.
    pub gaps: Vec<Gap>,
    /// True if all its threads were stuck and the runtime ended it.
    pub stuck: bool,
    /// True if a process of it did not end in good order: killed, or crashed.
    pub missing_end: bool,
    /// Processes that wrote a wire file.
    pub processes: usize,
    /// When its threads lived, if something was found in it.
    pub lanes: Vec<Lane>,
}

/// What a run did: all tests merged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunReport {
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// What was not seen.
    pub gaps: Vec<Gap>,
}

/// A process that died of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// One sentence without its end.
    pub title: String,
    /// The thread.
    pub thread: Thread,
    /// Where.
    pub stack: Stack,
    /// What to do next.
    pub help: Option<String>,
}

/// Something that was not seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gap {
    /// What.
    pub reason: GapReason,
    /// A path or name, where there is one.
    pub detail: Option<String>,
    /// How many.
    pub count: u64,
}

/// Why something was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapReason {
    /// The process said so.
    Runtime(GapKind),
    /// A process ended without its last record.
    MissingEnd,
    /// A record that could not be read.
    UnreadableRecord,
    /// A module whose symbols could not be read.
    NoSymbols,
    /// A process left without the check for leaked threads.
    AbruptExit,
    /// A test binary that was built for the host, such as a proc-macro's own
    /// unit tests, or doctests that ran without the runtime.
    UninstrumentedProgram,
    /// An executor that could not be patched, or not in full.
    UnseenTasks,
    /// A test that another runner ended before it could report.
    KilledTest,
    /// Marks of a dependency in its manifest that say nothing known.
    UnreadableMarks,
}

impl GapReason {
    /// All reasons.
    const ALL: [Self; 15] = [
        Self::Runtime(GapKind::UninstrumentedLibrary),
        Self::Runtime(GapKind::HistoryLost),
        Self::Runtime(GapKind::ForgottenThreads),
        Self::Runtime(GapKind::UnshadowedMemory),
        Self::Runtime(GapKind::FindingsDropped),
        Self::Runtime(GapKind::WireWriteFailed),
        Self::Runtime(GapKind::RacesLeftOut),
        Self::MissingEnd,
        Self::UnreadableRecord,
        Self::NoSymbols,
        Self::AbruptExit,
        Self::UninstrumentedProgram,
        Self::UnseenTasks,
        Self::KilledTest,
        Self::UnreadableMarks,
    ];

    /// The reason with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The `gap` of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runtime(GapKind::UninstrumentedLibrary) => "uninstrumented-library",
            Self::Runtime(GapKind::HistoryLost) => "history-lost",
            Self::Runtime(GapKind::ForgottenThreads) => "forgotten-threads",
            Self::Runtime(GapKind::UnshadowedMemory) => "unshadowed-memory",
            Self::Runtime(GapKind::FindingsDropped) => "findings-dropped",
            Self::Runtime(GapKind::WireWriteFailed) => "wire-write-failed",
            Self::Runtime(GapKind::RacesLeftOut) => "races-left-out",
            Self::MissingEnd => "missing-end",
            Self::UnreadableRecord => "unreadable-record",
            Self::NoSymbols => "no-symbols",
            Self::AbruptExit => "abrupt-exit",
            Self::UninstrumentedProgram => "uninstrumented-program",
            Self::UnseenTasks => "unseen-tasks",
            Self::KilledTest => "killed-test",
            Self::UnreadableMarks => "unreadable-marks",
        }
    }
}

impl Gap {
    /// One line for the summary.
    pub fn text(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or("unknown");
        let many = |one: &str, more: &str| {
            if self.count == 1 {
                format!("1 {one}")
            } else {
                format!("{} {more}", self.count)
            }
        };
        match self.reason {
            GapReason::Runtime(GapKind::UninstrumentedLibrary) => {
                format!("code of `{detail}` is not instrumented: its accesses are not seen")
            }
            GapReason::Runtime(GapKind::HistoryLost) => {
                many("earlier access", "earlier accesses") + " had left the history: no stack"
            }
            GapReason::Runtime(GapKind::ForgottenThreads) => {
                many("ended thread was", "ended threads were")
                    + " forgotten: races with them are not seen"
            }
            GapReason::Runtime(GapKind::UnshadowedMemory) => {
                many("access", "accesses") + " to memory outside the shadow: not checked"
            }
            GapReason::Runtime(GapKind::FindingsDropped) => {
                many("finding", "findings") + " beyond the limit of a process: not shown"
            }
            GapReason::Runtime(GapKind::WireWriteFailed) => {
                many("record", "records") + " could not be written: is the disk full?"
            }
            GapReason::Runtime(GapKind::RacesLeftOut) => {
                "data races were not looked for, as --no-races asks".to_owned()
            }
            GapReason::MissingEnd => {
                many("process", "processes")
                    + " ended without a last record: leaked threads are not known there"
            }
            GapReason::UnreadableRecord => {
                many("record", "records") + " of the runtime could not be read"
            }
            GapReason::NoSymbols => format!("no symbols of `{detail}`: its frames have no names"),
            GapReason::KilledTest => {
                format!("`{detail}` was ended by its runner: what was found in it is not known")
            }
            GapReason::UnreadableMarks => {
                format!("the marks in the manifest of {detail}; they do not count")
            }
            GapReason::UnseenTasks => format!("{detail} cannot be seen in this release of it"),
            GapReason::UninstrumentedProgram => {
                format!("`{detail}` is not instrumented: nothing is seen in it")
            }
            GapReason::AbruptExit => {
                many("process", "processes")
                    + " left by `_exit`: leaked threads are not known there"
            }
        }
    }
}
