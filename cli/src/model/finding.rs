//! What was found, in names and places.

use std::fmt;

use leakcheck::report::kind::{Certainty, Kind, Level};
use leakcheck::report::wire::{AccessOp, Period, ThreadId};

use super::frame::{Frame, Place, Stack};
use super::run::TestId;
use super::task::Task;
use super::wait::Wait;
use crate::symbolize::function::short_type;

/// Stable name of a finding: the same bug has the same one after lines moved,
/// on another machine and in another test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// From its text, `lc1:` and hexadecimal digits.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How it counts.
    pub level: Level,
    /// How sure it is.
    pub certainty: Certainty,
    /// One sentence without its end.
    pub title: String,
    /// The accesses of a race (the later first), the leaked thread, the
    /// threads of a cycle (each waits for the next, the last for the first).
    pub legs: Vec<Leg>,
    /// How the threads of a deadlock wait.
    pub shape: Option<Shape>,
    /// What the memory of a race is.
    pub memory: Option<Memory>,
    /// What tracked code says of it.
    pub said: Option<Said>,
    /// Why it is less than an error, where a named rule says so.
    pub by_design: Option<String>,
    /// What to do next.
    pub help: Vec<String>,
    /// Its stable name.
    pub fingerprint: Fingerprint,
    /// How often, and where.
    pub seen: Seen,
    /// Whether it counts.
    pub standing: Standing,
    /// When it was found: microseconds of the monotonic clock.
    pub moment: Option<u64>,
    /// True when all threads of the process were stuck and it was ended.
    pub fatal: bool,
}

/// Whether a finding counts against the run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Standing {
    /// It counts.
    #[default]
    New,
    /// It was there before: the baseline lists it.
    Baseline(Excuse),
    /// Somebody has said why it need not be shown.
    Suppressed(Excuse),
}

impl Standing {
    /// Whether it counts.
    pub const fn counts(&self) -> bool {
        match self {
            Self::New => true,
            Self::Baseline(_) | Self::Suppressed(_) => false,
        }
    }

    /// Why it does not count.
    pub const fn excuse(&self) -> Option<&Excuse> {
        match self {
            Self::New => None,
            Self::Baseline(excuse) | Self::Suppressed(excuse) => Some(excuse),
        }
    }

    /// The `state` of the JSON output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Baseline(_) => "baseline",
            Self::Suppressed(_) => "suppressed",
        }
    }
}

/// Why a finding does not count, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excuse {
    /// The file that says so, and where in it.
    pub source: String,
    /// The reason given there.
    pub reason: String,
}

/// A row of the timeline: a thread, or whatever else runs on its own.
/// Unique within a test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(String);

impl LaneId {
    /// Of a thread of the test's nth process.
    pub fn thread(process: usize, thread: ThreadId) -> Self {
        Self(format!("p{process}t{}", thread.0))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// When a thread lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its row.
    pub id: LaneId,
    /// What runs there.
    pub kind: LaneKind,
    /// How it is called.
    pub name: String,
    /// Who spawned it.
    pub parent: Option<LaneId>,
    /// Where.
    pub spawned: Option<Place>,
    /// When it was created: microseconds of the monotonic clock.
    pub started_us: u64,
    /// When it ended, if it has.
    pub ended_us: Option<u64>,
}

/// What runs on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    /// A thread.
    Thread,
    /// An asynchronous task.
    Task,
}

impl LaneKind {
    /// The `kind` of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Task => "task",
        }
    }
}

/// How the threads of a deadlock wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One thread waits for what it holds itself.
    Own,
    /// Each waits for the next, the last for the first.
    Cycle,
    /// Nobody is left to wake them.
    Stuck,
}

/// How often a finding was seen, and in which tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// How often in all.
    pub count: u64,
    /// In which tests, in the order they came, each once.
    pub tests: Vec<TestId>,
}

/// One side of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// What it does.
    pub role: Role,
    /// The thread.
    pub thread: Thread,
    /// Its row in the timeline of the first test.
    pub lane: LaneId,
    /// Where; empty if the history no longer had it.
    pub stack: Stack,
    /// The locks held there.
    pub locks: Vec<HeldLock>,
    /// What it waits for, if it waits.
    pub wait: Option<Wait>,
    /// How it is, if it is a task that is leaked or stuck.
    pub task: Option<Task>,
}

impl Leg {
    /// The frame that a person looks for first; for a task that waits in no
    /// code of the user's, the one that spawned it.
    pub fn primary(&self) -> Option<&Frame> {
        let spawned = self.thread.spawned.first().map(|step| &step.at);
        let stack = match spawned {
            Some(spawned) if self.task.is_some() && !self.stack.has_user_frame() => spawned,
            Some(_) | None => &self.stack,
        };
        stack.primary()
    }
}

/// What a leg does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accesses memory.
    Access(Access),
    /// Is still alive.
    Leaked,
    /// Waits in a cycle, or for ever.
    Stuck,
}

/// How memory is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Read, write …
    pub op: AccessOp,
    /// True for an atomic access.
    pub atomic: bool,
    /// Bytes.
    pub size: u64,
    /// When it was, for the earlier access of a race.
    pub during: Option<Period>,
}

impl Role {
    /// The `role` of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access(Access {
                op: AccessOp::Read,
                atomic: false,
                ..
            }) => "read",
            Self::Access(Access {
                op: AccessOp::Read,
                atomic: true,
                ..
            }) => "atomic-read",
            Self::Access(Access {
                op: AccessOp::Write,
                atomic: false,
                ..
            }) => "write",
            Self::Access(Access {
                op: AccessOp::Write,
                atomic: true,
                ..
            }) => "atomic-write",
            Self::Access(Access {
                op: AccessOp::Free, ..
            }) => "free",
            Self::Access(Access {
                op: AccessOp::Return,
                ..
            }) => "return",
            Self::Leaked => "leaked",
            Self::Stuck => "waits",
        }
    }
}

/// How a thread is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThreadLabel {
    /// The main thread of the program.
    Main,
    /// The thread that runs the test's body.
    Test,
    /// A thread with a name.
    Named(String),
    /// A thread with a name that another thread of the finding has too.
    Namesake(String, ThreadId),
    /// A thread without a name.
    Unnamed(ThreadId),
    /// A task of an executor.
    Task(String),
    /// A task that is called as another one of the finding.
    TaskNamesake(String, ThreadId),
}

impl ThreadLabel {
    /// In a sentence: ``the main thread``, ``thread `poller` ``.
    pub fn text(&self) -> String {
        match self {
            Self::Main => "the main thread".to_owned(),
            Self::Test => "the test's thread".to_owned(),
            Self::Named(name) => format!("thread `{name}`"),
            Self::Namesake(name, id) => format!("thread `{name}` #{}", id.0),
            Self::Unnamed(id) => format!("thread {} (unnamed)", id.0),
            Self::Task(name) => format!("task `{name}`"),
            Self::TaskNamesake(name, id) => format!("task `{name}` #{}", id.0),
        }
    }

    /// Alone, as the JSON output has it.
    pub fn name(&self) -> String {
        match self {
            Self::Main => "main".to_owned(),
            Self::Test => "test".to_owned(),
            Self::Named(name) | Self::Task(name) => name.clone(),
            Self::Namesake(name, id) | Self::TaskNamesake(name, id) => {
                format!("{name} #{}", id.0)
            }
            Self::Unnamed(id) => format!("thread {} (unnamed)", id.0),
        }
    }
}

/// A thread of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// How it is called.
    pub label: ThreadLabel,
    /// Who spawned it, who spawned that one …; ends before the thread that
    /// runs the test and before the main thread.
    pub spawned: Vec<SpawnStep>,
    /// True once it has ended.
    pub finished: bool,
}

/// One step up the chain of spawners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnStep {
    /// Who spawned.
    pub by: ThreadLabel,
    /// Where.
    pub at: Stack,
}

/// A lock that a leg holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// How it is called in this finding: its static's name, else a letter.
    pub name: LockName,
    /// Where it was acquired.
    pub acquired: Stack,
    /// Held for reading only.
    pub shared: bool,
}

/// How a lock is called; equal names in one finding are one lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockName {
    /// The lock is in this static.
    Static(String),
    /// A, B … in the order of appearance.
    Letter(char),
}

impl LockName {
    /// In a sentence: ``lock A``, ``lock `bank::TOTAL` ``.
    pub fn text(&self) -> String {
        match self {
            Self::Static(name) => format!("lock `{name}`"),
            Self::Letter(letter) => format!("lock {letter}"),
        }
    }
}

/// What a piece of memory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// A static variable.
    Static {
        /// Its path.
        name: String,
        /// Its type, where debug information has it.
        ty: Option<String>,
        /// Where in it the access is, if not at all of it: first byte, size.
        part: Option<(u64, u64)>,
    },
    /// A heap block.
    Heap {
        /// What was allocated: `Arc<Slot>`, where it is known.
        ty: Option<String>,
        /// Where in it the access is.
        offset: u64,
        /// Its size.
        size: u64,
        /// Who allocated it.
        thread: ThreadLabel,
        /// Where.
        allocated: Stack,
    },
    /// On the stack of a thread.
    Stack {
        /// Whose.
        thread: ThreadLabel,
        /// In which function, where it is known.
        function: Option<String>,
    },
    /// A thread-local variable.
    ThreadLocal {
        /// Whose.
        thread: ThreadLabel,
        /// Its path, where it is known.
        name: Option<String>,
    },
    /// Mapped by `mmap`.
    Mapped,
    /// Not known.
    Unknown,
}

/// What tracked code says of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The name that the attribute gives to a static variable.
    Variable {
        /// The name.
        name: String,
    },
    /// It is a field.
    Field {
        /// The type that has it.
        owner: String,
        /// The name that the attribute gives to that type.
        name: Option<String>,
        /// The field.
        field: String,
    },
}

impl Said {
    /// As it was named: `hit counter`, `slot table.used`.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Variable { name } => Some(name.clone()),
            Self::Field { name, field, .. } => name.as_ref().map(|name| format!("{name}.{field}")),
        }
    }

    /// For a title: ``field `used` of `Slots` ``.
    pub fn text(&self) -> String {
        match (self.name(), self) {
            (Some(name), _) => format!("`{name}`"),
            (None, Self::Field { owner, field, .. }) => {
                format!("field `{field}` of `{}`", short_type(owner))
            }
            (None, Self::Variable { name }) => format!("`{name}`"),
        }
    }
}

impl Memory {
    /// For a title: ``static `bank::TOTAL` ``.
    pub fn text(&self) -> String {
        match self {
            Self::Static { name, .. } => format!("static `{name}`"),
            Self::Heap { ty: Some(ty), .. } => format!("heap memory of `{ty}`"),
            Self::Heap { ty: None, .. } => "heap memory".to_owned(),
            Self::Stack {
                function: Some(function),
                ..
            } => {
                format!("a local variable of `{function}`")
            }
            Self::Stack {
                thread,
                function: None,
            } => {
                format!("a local variable of {}", thread.text())
            }
            Self::ThreadLocal { thread, name: None } => {
                format!("a thread-local of {}", thread.text())
            }
            Self::ThreadLocal {
                thread,
                name: Some(name),
            } => format!("thread-local `{name}` of {}", thread.text()),
            Self::Mapped => "mapped memory".to_owned(),
            Self::Unknown => "memory".to_owned(),
        }
    }
}

impl Finding {
    /// Its code: `LC0001`.
    pub const fn code(&self) -> &'static str {
        self.kind.info().code
    }

    /// Whether it makes the run fail: an error that nothing excuses.
    pub fn fails(&self) -> bool {
        self.level == Level::Error && self.standing.counts()
    }

    /// The frame that the report points to first.
    pub fn primary(&self) -> Option<&Frame> {
        self.legs.iter().find_map(Leg::primary)
    }
}
