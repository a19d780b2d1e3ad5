//! The kinds of finding: one table that every renderer reads.

use serde::{Deserialize, Serialize};

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It cannot be otherwise: a wait cycle, a thread nobody can wake.
    Proved,
    /// It happened in this execution: two accesses without happens-before, a
    /// thread still running after the grace period.
    Observed,
    /// It could happen in another execution. Never an error by default.
    Potential,
}

/// How a finding counts. Only errors make the exit code 66.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Fails the run.
    Error,
    /// Shown, does not fail the run.
    Warning,
    /// Shown on request or in short.
    Note,
}

/// What was found. Each variant has one row in [`Kind::info`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Two conflicting accesses without happens-before between them.
    DataRace,
    /// An access to heap memory that another thread frees, unordered.
    RaceWithFree,
    /// An access to a stack slot whose function returns, unordered.
    RaceWithReturn,
    /// A volatile access that races: a seqlock or speculative read by design.
    VolatileRace,
    /// A thread that is still alive when the test is over.
    LeakedThread,
    /// Threads that wait for each other and can never run again.
    Deadlock,
    /// A task that is still there when its executor or the process ends.
    LeakedTask,
    /// Two tasks whose accesses only the thread that polled both ordered.
    TaskRace,
    /// Locks that threads take in different orders, without a deadlock yet.
    LockOrder,
    /// A task that its executor dropped before it was complete.
    AbortedTask,
    /// A task that nobody has the handle of, still there at the end.
    DetachedTask,
    /// A task that panicked, and nobody asked for its outcome.
    PanickedTask,
}

/// The row of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// Stable code, for `leakcheck explain`.
    pub code: &'static str,
    /// The `kind` of the JSON output: `data-race`, `leaked-thread`, `deadlock`.
    pub name: &'static str,
    /// Level by default.
    pub level: Level,
}

impl Kind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::DataRace,
        Self::LeakedThread,
        Self::Deadlock,
        Self::RaceWithFree,
        Self::RaceWithReturn,
        Self::VolatileRace,
        Self::LeakedTask,
        Self::TaskRace,
        Self::LockOrder,
        Self::AbortedTask,
        Self::DetachedTask,
        Self::PanickedTask,
    ];

    /// What a thread or task is told as that stays as long as it can.
    pub const STAYS: [Self; 4] = [
        Self::LeakedThread,
        Self::LeakedTask,
        Self::AbortedTask,
        Self::DetachedTask,
    ];

    /// How a finding counts by default: what is only potential is never an
    /// error, and a task that something could have woken is as a rule meant to be
    /// shut down.
    pub fn level(self, certainty: Certainty) -> Level {
        match (self.info().level, certainty) {
            (_, Certainty::Observed) if self == Self::LeakedTask => Level::Note,
            (Level::Error, Certainty::Potential) => Level::Warning,
            (level, Certainty::Proved | Certainty::Observed | Certainty::Potential) => level,
        }
    }

    /// The row of this kind.
    pub const fn info(self) -> KindInfo {
        match self {
            Self::DataRace => KindInfo {
                code: "LC0001",
                name: "data-race",
                level: Level::Error,
            },
            Self::LeakedThread => KindInfo {
                code: "LC0002",
                name: "leaked-thread",
                level: Level::Error,
            },
            Self::Deadlock => KindInfo {
                code: "LC0003",
                name: "deadlock",
                level: Level::Error,
            },
            Self::RaceWithFree => KindInfo {
                code: "LC0004",
                name: "data-race",
                level: Level::Error,
            },
            Self::RaceWithReturn => KindInfo {
                code: "LC0005",
                name: "data-race",
                level: Level::Error,
            },
            Self::VolatileRace => KindInfo {
                code: "LC0006",
                name: "data-race",
                level: Level::Warning,
            },
            Self::LeakedTask => KindInfo {
                code: "LC0007",
                name: "leaked-task",
                level: Level::Error,
            },
            Self::TaskRace => KindInfo {
                code: "LC0009",
                name: "task-race",
                level: Level::Warning,
            },
            Self::LockOrder => KindInfo {
                code: "LC0010",
                name: "lock-order",
                level: Level::Warning,
            },
            Self::AbortedTask => KindInfo {
                code: "LC0011",
                name: "aborted-task",
                level: Level::Note,
            },
            Self::DetachedTask => KindInfo {
                code: "LC0012",
                name: "detached-task",
                level: Level::Note,
            },
            Self::PanickedTask => KindInfo {
                code: "LC0013",
                name: "panicked-task",
                level: Level::Warning,
            },
        }
    }
}
