//! The line of a finding.

use leakcheck::report::kind::{Certainty, Level};
use leakcheck::report::wire::{Moment, Proof, TaskState};
use serde::{Deserialize, Serialize};

use super::snippet::SnippetLine;
use crate::model::TestId;

/// Something found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindingLine {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// `LC0001` …
    pub code: String,
    /// `data-race` …
    pub kind: String,
    /// How it counts.
    pub level: Level,
    /// How sure it is.
    pub certainty: Certainty,
    /// One sentence without its end.
    pub title: String,
    /// Its stable name.
    pub fingerprint: String,
    /// Whether it counts.
    #[serde(default)]
    pub state: StateLine,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excuse: Option<ExcuseLine>,
    /// The first test it was found in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
    /// All of them.
    pub tests: Vec<TestId>,
    /// How often.
    pub count: u64,
    /// Its sides.
    pub legs: Vec<LegLine>,
    /// What the memory of a race is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryLine>,
    /// What tracked code says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<SaidLine>,
    /// Why it is less than an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do.
    pub help: Vec<String>,
    /// When it was found: microseconds of the clock that the lanes of its
    /// first test have too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// The source, with what happened where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snippets: Vec<SnippetLine>,
    /// The human report without colours.
    pub rendered: String,
}

impl FindingLine {
    /// Whether it makes the run fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.level == Level::Error && self.state == StateLine::New
    }

    /// The place a person looks for first.
    #[must_use]
    pub fn primary(&self) -> Option<&PlaceLine> {
        let leg = |leg: &&LegLine| leg.primary.file.is_some();
        self.legs.iter().find(leg).map(|leg| &leg.primary)
    }

    /// What is one finding, in this run or in another shard of it: the
    /// fingerprint and, since all closures of a function have one name, where
    /// a leaked thread was spawned.
    #[must_use]
    pub fn key(&self) -> (String, Option<PlaceLine>) {
        let leaked = self.legs.iter().find(|leg| leg.role == "leaked");
        let spawned = leaked
            .filter(|_| self.level != Level::Note)
            .and_then(|leg| leg.spawned.first())
            .and_then(SpawnLine::primary);
        (self.fingerprint.clone(), spawned.cloned())
    }
}

/// Whether a finding counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateLine {
    /// It counts.
    #[default]
    New,
    /// The baseline lists it.
    Baseline,
    /// Somebody has said why it need not be shown.
    Suppressed,
}

impl StateLine {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Baseline => "baseline",
            Self::Suppressed => "suppressed",
        }
    }
}

/// Why a finding does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcuseLine {
    /// Where that is said.
    pub source: String,
    /// The reason given there.
    pub reason: String,
}

/// A side of a finding. `file`, `line`, `column` and `function` are those of
/// the frame that a person looks for first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LegLine {
    /// What it does.
    pub role: String,
    /// The thread.
    pub thread: String,
    /// Its row in the timeline of the first test.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lane: String,
    /// For the earlier access of a race: not before this, in microseconds of
    /// the clock that the lanes have too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_us: Option<u64>,
    /// Not after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
    /// What it does, as a phrase.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Where.
    #[serde(flatten)]
    pub primary: PlaceLine,
    /// All frames, innermost first.
    pub stack: Vec<FrameLine>,
    /// The chain of spawners, nearest first.
    pub spawned: Vec<SpawnLine>,
    /// The locks held there.
    pub locks: Vec<LockLine>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitLine>,
    /// How a task is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskLine>,
}

/// How a task is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskLine {
    /// Type of its future.
    pub future: String,
    /// Whose it is.
    pub executor: String,
    /// What it does.
    pub state: TaskState,
    /// Why it can never run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// When it was looked at.
    pub moment: Moment,
    /// How often it was polled.
    pub polls: u64,
    /// How often since it last left its waker somewhere.
    pub polls_since: u64,
    /// Since it was spawned.
    pub age_milliseconds: u64,
    /// Since its last poll.
    pub idle_milliseconds: u64,
    /// Its join handle is alive.
    pub join_handle: bool,
    /// Wakers, and handles that could abort it.
    pub references: u64,
    /// What keeps what it waits on: tasks that nothing wakes either, itself
    /// included, and `leaked memory`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    /// What it awaits, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<AwaitLine>,
    /// What else it awaited.
    pub branches: Vec<Vec<FrameLine>>,
    /// Who woke it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken: Option<WokenLine>,
}

/// A call of what a task awaits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AwaitLine {
    /// The function, and where it awaits what is inside.
    #[serde(flatten)]
    pub place: PlaceLine,
    /// For how long the task has been there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// What it awaits: a branch each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<Self>,
}

/// Who woke a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WokenLine {
    /// Who.
    pub by: String,
    /// How long ago.
    pub milliseconds_ago: u64,
    /// Where.
    pub stack: Vec<FrameLine>,
}

/// A place in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlaceLine {
    /// The file, relative to the workspace.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// In bytes, from 1.
    pub column: Option<u32>,
    /// The function.
    pub function: Option<String>,
}

impl PlaceLine {
    /// `src/lib.rs:12:5`, as far as it is known.
    #[must_use]
    pub fn text(&self) -> String {
        let file = self.file.as_deref().unwrap_or("unknown");
        match (self.line.unwrap_or(0), self.column) {
            (0, _) => file.to_owned(),
            (line, None) => format!("{file}:{line}"),
            (line, Some(column)) => format!("{file}:{line}:{column}"),
        }
    }
}

/// A frame of a stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrameLine {
    /// Where.
    #[serde(flatten)]
    pub place: PlaceLine,
    /// `user`, `dependency`, `std`, `runtime`.
    pub class: String,
    /// Inlined into the next.
    pub inlined: bool,
}

/// A step up the chain of spawners.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SpawnLine {
    /// Who spawned.
    pub by: String,
    /// Where.
    pub stack: Vec<FrameLine>,
}

impl SpawnLine {
    /// The frame a person looks for first.
    #[must_use]
    pub fn primary(&self) -> Option<&PlaceLine> {
        let of = |class: &str| {
            self.stack
                .iter()
                .find(|frame| frame.class == class && frame.place.file.is_some())
        };
        of("user")
            .or_else(|| of("dependency"))
            .or_else(|| of("std"))
            .map(|frame| &frame.place)
    }
}

/// A lock that is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LockLine {
    /// Its name in this finding.
    pub lock: String,
    /// For reading only.
    pub shared: bool,
    /// Where.
    pub acquired: PlaceLine,
}

/// What a thread waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaitLine {
    /// On what.
    pub on: String,
    /// Since how long.
    pub milliseconds: u64,
    /// Ends by itself.
    pub timed: bool,
    /// The lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// Who must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where that one acquired it.
    pub acquired: PlaceLine,
}

/// What tracked code says of the memory of a race.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SaidLine {
    /// The name that the attribute gives: of the variable, or of the struct
    /// and the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The type whose field it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// What the memory of a race is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum MemoryLine {
    /// A static.
    Static {
        /// Its path.
        name: String,
        /// Its type.
        #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
        ty: Option<String>,
    },
    /// A heap block.
    Heap {
        /// What was allocated.
        #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
        ty: Option<String>,
        /// Where in it.
        offset: u64,
        /// Its size.
        size: u64,
        /// Who allocated it.
        thread: String,
        /// Where.
        allocated: Vec<FrameLine>,
    },
    /// On a stack.
    Stack {
        /// Whose.
        thread: String,
        /// In which function.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<String>,
    },
    /// A thread-local.
    ThreadLocal {
        /// Whose.
        thread: String,
        /// Its path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Mapped by `mmap`.
    Mapped,
    /// Not known.
    Unknown,
}
