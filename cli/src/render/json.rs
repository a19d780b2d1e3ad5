//! Lines for a machine: one JSON object a line, each with its `type` and the
//! `schema`. `docs/json.md` describes them; a field is only ever added within
//! a schema.

use leakcheck::report::kind::{Certainty, Level};
use leakcheck::report::wire::{Moment, Proof, TaskState};
use serde::Serialize;

use super::human::{self, HumanOptions};
use crate::model::{
    Crash, Explored, Finding, Frame, FrameClass, Gap, HeldLock, Leg, Memory, Stack, Task, TestId,
    Wait, executor_name,
};

/// Version of the lines.
pub const SCHEMA: u32 = 1;

/// A line of the output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line<'a> {
    /// Something found.
    Finding(Box<FindingLine<'a>>),
    /// A test that ended.
    Test(TestLine<'a>),
    /// The last line.
    Summary(SummaryLine<'a>),
}

impl Line<'_> {
    /// The line, without its end.
    ///
    /// # Errors
    /// Never for these types; serde's interface has the error.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Something found.
#[derive(Debug, Serialize)]
pub struct FindingLine<'a> {
    schema: u32,
    code: &'static str,
    kind: &'static str,
    level: Level,
    certainty: Certainty,
    title: &'a str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'a TestId>,
    tests: &'a [TestId],
    count: u64,
    legs: Vec<LegLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    help: &'a [String],
    rendered: String,
}

/// A side of a finding. `file`, `line`, `column` and `function` are those of
/// the frame that a person looks for first.
#[derive(Debug, Serialize)]
struct LegLine<'a> {
    role: &'static str,
    thread: String,
    #[serde(flatten)]
    primary: PlaceLine<'a>,
    stack: Vec<FrameLine<'a>>,
    spawned: Vec<SpawnLine<'a>>,
    locks: Vec<LockLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<WaitLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskLine<'a>>,
}

#[derive(Debug, Serialize)]
struct TaskLine<'a> {
    future: &'a str,
    executor: &'static str,
    state: TaskState,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Proof>,
    moment: Moment,
    polls: u64,
    polls_since: u64,
    age_milliseconds: u64,
    idle_milliseconds: u64,
    join_handle: bool,
    references: u64,
    branches: Vec<Vec<FrameLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    woken: Option<WokenLine<'a>>,
}

#[derive(Debug, Serialize)]
struct WokenLine<'a> {
    by: String,
    milliseconds_ago: u64,
    stack: Vec<FrameLine<'a>>,
}

#[derive(Debug, Default, Serialize)]
struct PlaceLine<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    function: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FrameLine<'a> {
    #[serde(flatten)]
    place: PlaceLine<'a>,
    class: &'static str,
    inlined: bool,
}

#[derive(Debug, Serialize)]
struct SpawnLine<'a> {
    by: String,
    stack: Vec<FrameLine<'a>>,
}

#[derive(Debug, Serialize)]
struct LockLine<'a> {
    lock: String,
    shared: bool,
    acquired: PlaceLine<'a>,
}

#[derive(Debug, Serialize)]
struct WaitLine<'a> {
    on: &'static str,
    milliseconds: u64,
    timed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    acquired: PlaceLine<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum MemoryLine<'a> {
    Static {
        name: &'a str,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        ty: Option<&'a str>,
    },
    Heap {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        ty: Option<&'a str>,
        offset: u64,
        size: u64,
        thread: String,
        allocated: Vec<FrameLine<'a>>,
    },
    Stack {
        thread: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        function: Option<&'a str>,
    },
    ThreadLocal {
        thread: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
    },
    Mapped,
    Unknown,
}

/// A test that ended.
#[derive(Debug, Serialize)]
pub struct TestLine<'a> {
    schema: u32,
    test: &'a TestId,
    outcome: &'a str,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    findings: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash: Option<CrashLine<'a>>,
}

#[derive(Debug, Serialize)]
struct CrashLine<'a> {
    title: &'a str,
    thread: String,
    #[serde(flatten)]
    primary: PlaceLine<'a>,
    stack: Vec<FrameLine<'a>>,
    rendered: String,
}

/// The last line of a run.
#[derive(Debug, Serialize)]
pub struct SummaryLine<'a> {
    schema: u32,
    exit_code: u8,
    seconds: f64,
    tests: TestCounts,
    findings: FindingCounts,
    gaps: Vec<GapLine<'a>>,
}

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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

#[derive(Debug, Default, Serialize)]
struct FindingCounts {
    errors: usize,
    warnings: usize,
    notes: usize,
}

#[derive(Debug, Serialize)]
struct GapLine<'a> {
    gap: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    count: u64,
    text: String,
}

/// The line of a finding.
pub fn finding<'a>(finding: &'a Finding, options: &HumanOptions) -> Line<'a> {
    let plain = HumanOptions {
        color: false,
        ..*options
    };
    Line::Finding(Box::new(FindingLine {
        schema: SCHEMA,
        code: finding.code(),
        kind: finding.kind.info().name,
        level: finding.level,
        certainty: finding.certainty,
        title: &finding.title,
        fingerprint: finding.fingerprint.as_str(),
        test: finding.seen.tests.first(),
        tests: &finding.seen.tests,
        count: finding.seen.count,
        legs: finding.legs.iter().map(leg).collect(),
        memory: finding.memory.as_ref().map(memory),
        reason: finding.by_design.as_deref(),
        help: &finding.help,
        rendered: human::render(finding, &plain),
    }))
}

/// The line of a test; `outcome` is how it ended, in the words of
/// `docs/json.md`.
pub fn test<'a>(
    test: &'a TestId,
    outcome: &'a str,
    seconds: f64,
    explored: Option<Explored>,
    findings: &'a [Finding],
    crash: Option<&'a Crash>,
    options: &HumanOptions,
) -> Line<'a> {
    let plain = HumanOptions {
        color: false,
        ..*options
    };
    Line::Test(TestLine {
        schema: SCHEMA,
        test,
        outcome,
        seconds,
        runs: explored.map(|explored| explored.run),
        seed: explored.and_then(|explored| explored.seed),
        findings: findings
            .iter()
            .map(|finding| finding.fingerprint.as_str())
            .collect(),
        crash: crash.map(|crash| CrashLine {
            title: &crash.title,
            thread: crash.thread.label.name(),
            primary: primary(&crash.stack),
            stack: stack(&crash.stack),
            rendered: human::render_crash(crash, &plain),
        }),
    })
}

/// The last line.
pub fn summary<'a>(
    exit_code: u8,
    seconds: f64,
    tests: TestCounts,
    findings: &[Finding],
    gaps: &'a [Gap],
) -> Line<'a> {
    let of = |level: Level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    Line::Summary(SummaryLine {
        schema: SCHEMA,
        exit_code,
        seconds,
        tests,
        findings: FindingCounts {
            errors: of(Level::Error),
            warnings: of(Level::Warning),
            notes: of(Level::Note),
        },
        gaps: gaps
            .iter()
            .map(|gap| GapLine {
                gap: gap.reason.name(),
                detail: gap.detail.as_deref(),
                count: gap.count,
                text: gap.text(),
            })
            .collect(),
    })
}

fn leg(leg: &Leg) -> LegLine<'_> {
    LegLine {
        role: leg.role.name(),
        thread: leg.thread.label.name(),
        primary: leg.primary().map(place).unwrap_or_default(),
        stack: stack(&leg.stack),
        spawned: leg
            .thread
            .spawned
            .iter()
            .map(|step| SpawnLine {
                by: step.by.name(),
                stack: stack(&step.at),
            })
            .collect(),
        locks: leg.locks.iter().map(lock).collect(),
        wait: leg.wait.as_ref().map(wait),
        task: leg.task.as_ref().map(task),
    }
}

fn task(task: &Task) -> TaskLine<'_> {
    TaskLine {
        future: &task.future,
        executor: executor_name(task.executor),
        state: task.state,
        proof: task.proof,
        moment: task.moment,
        polls: task.polls,
        polls_since: task.polls_since,
        age_milliseconds: task.age_ms,
        idle_milliseconds: task.idle_ms,
        join_handle: task.handle,
        references: task.references,
        branches: task.branches.iter().map(stack).collect(),
        woken: task.woken.as_ref().map(|woken| WokenLine {
            by: woken.by.name(),
            milliseconds_ago: woken.ago_ms,
            stack: stack(&woken.at),
        }),
    }
}

fn lock(lock: &HeldLock) -> LockLine<'_> {
    LockLine {
        lock: lock.name.text(),
        shared: lock.shared,
        acquired: primary(&lock.acquired),
    }
}

fn wait(wait: &Wait) -> WaitLine<'_> {
    WaitLine {
        on: wait.what.name(),
        milliseconds: wait.for_ms,
        timed: wait.timed,
        lock: wait.lock.as_ref().map(|lock| lock.text()),
        owner: wait.owner.as_ref().map(|owner| owner.name()),
        acquired: primary(&wait.acquired),
    }
}

fn memory(memory: &Memory) -> MemoryLine<'_> {
    match memory {
        Memory::Static { name, ty, .. } => MemoryLine::Static {
            name,
            ty: ty.as_deref(),
        },
        Memory::Heap {
            ty,
            offset,
            size,
            thread,
            allocated,
        } => MemoryLine::Heap {
            ty: ty.as_deref(),
            offset: *offset,
            size: *size,
            thread: thread.name(),
            allocated: stack(allocated),
        },
        Memory::Stack { thread, function } => MemoryLine::Stack {
            thread: thread.name(),
            function: function.as_deref(),
        },
        Memory::ThreadLocal { thread, name } => MemoryLine::ThreadLocal {
            thread: thread.name(),
            name: name.as_deref(),
        },
        Memory::Mapped => MemoryLine::Mapped,
        Memory::Unknown => MemoryLine::Unknown,
    }
}

fn primary(stack: &Stack) -> PlaceLine<'_> {
    stack.primary().map(place).unwrap_or_default()
}

fn place(frame: &Frame) -> PlaceLine<'_> {
    let place = frame.place.as_ref();
    PlaceLine {
        file: place.map(|place| place.shown.as_str()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column).filter(|column| *column > 0),
        function: Some(frame.function.full()),
    }
}

fn stack(stack: &Stack) -> Vec<FrameLine<'_>> {
    stack
        .frames()
        .iter()
        .map(|frame| FrameLine {
            place: place(frame),
            class: match frame.class {
                FrameClass::User => "user",
                FrameClass::Dependency => "dependency",
                FrameClass::Std => "std",
                FrameClass::Runtime => "runtime",
            },
            inlined: frame.inlined,
        })
        .collect()
}
