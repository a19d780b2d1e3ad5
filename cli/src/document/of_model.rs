//! From the model of this process to the lines of a document.

use leakcheck::report::kind::Level;

use super::finding::{
    AwaitLine, ExcuseLine, FindingLine, FrameLine, LegLine, LockLine, MemoryLine, PlaceLine,
    SaidLine, SpawnLine, StateLine, TaskLine, WaitLine, WokenLine,
};
use super::summary::{FindingCounts, GapLine, SummaryLine, TestCounts};
use super::test::{CrashLine, LaneLine, TestLine};
use super::{SCHEMA, snippet};
use crate::model::{
    Await, Crash, Finding, Frame, FrameClass, Gap, HeldBy, HeldLock, Lane, Leg, Memory, Place,
    Role, Said, Stack, Standing, Task, TestId, Wait, executor_name,
};
use crate::render::human::{self, HumanOptions, marks};

/// The line of a finding.
pub fn finding(finding: &Finding, options: &HumanOptions) -> FindingLine {
    let plain = HumanOptions {
        color: false,
        ..*options
    };
    FindingLine {
        schema: SCHEMA,
        code: finding.code().to_owned(),
        kind: finding.kind.info().name.to_owned(),
        level: finding.level,
        certainty: finding.certainty,
        title: finding.title.clone(),
        fingerprint: finding.fingerprint.as_str().to_owned(),
        state: state(&finding.standing),
        excuse: finding.standing.excuse().map(|excuse| ExcuseLine {
            source: excuse.source.clone(),
            reason: excuse.reason.clone(),
        }),
        test: finding.seen.tests.first().cloned(),
        tests: finding.seen.tests.clone(),
        count: finding.seen.count,
        legs: (0..finding.legs.len()).map(|at| leg(finding, at)).collect(),
        memory: finding.memory.as_ref().map(memory),
        said: finding.said.as_ref().map(said),
        reason: finding.by_design.clone(),
        help: finding.help.clone(),
        at_us: finding.moment,
        snippets: snippet::snippets(finding),
        rendered: human::render(finding, &plain),
    }
}

/// The line of a test; `outcome` is how it ended, in the words of
/// `docs/json.md`.
pub fn test(
    test: &TestId,
    outcome: &str,
    seconds: f64,
    findings: &[Finding],
    crash: Option<&Crash>,
    options: &HumanOptions,
) -> TestLine {
    let plain = HumanOptions {
        color: false,
        ..*options
    };
    TestLine {
        findings: findings
            .iter()
            .map(|finding| finding.fingerprint.as_str().to_owned())
            .collect(),
        crash: crash.map(|crash| CrashLine {
            title: crash.title.clone(),
            thread: crash.thread.label.name(),
            primary: primary(&crash.stack),
            stack: stack(&crash.stack),
            rendered: human::render_crash(crash, &plain),
        }),
        ..TestLine::new(test.clone(), outcome, seconds)
    }
}

/// The row of a thread in the timeline.
pub fn lane(lane: &Lane) -> LaneLine {
    LaneLine {
        id: lane.id.as_str().to_owned(),
        kind: lane.kind.name().to_owned(),
        name: lane.name.clone(),
        parent: lane
            .parent
            .as_ref()
            .map(|parent| parent.as_str().to_owned()),
        spawned: lane.spawned.as_ref().map(crate::model::Place::text),
        started_us: lane.started_us,
        ended_us: lane.ended_us,
    }
}

/// The last line.
pub fn summary(
    exit_code: u8,
    seconds: f64,
    tests: TestCounts,
    findings: &[Finding],
    gaps: &[Gap],
) -> SummaryLine {
    let mut counts = FindingCounts::default();
    for finding in findings {
        counts.add(state(&finding.standing), finding.level);
    }
    SummaryLine {
        exit_code,
        seconds,
        tests,
        findings: counts,
        gaps: gaps.iter().map(gap).collect(),
        ..SummaryLine::empty()
    }
}

/// Something that was not seen.
pub fn gap(gap: &Gap) -> GapLine {
    GapLine {
        gap: gap.reason.name().to_owned(),
        detail: gap.detail.clone(),
        count: gap.count,
        text: gap.text(),
    }
}

const fn state(standing: &Standing) -> StateLine {
    match standing {
        Standing::New => StateLine::New,
        Standing::Baseline(_) => StateLine::Baseline,
        Standing::Suppressed(_) => StateLine::Suppressed,
    }
}

fn leg(finding: &Finding, at: usize) -> LegLine {
    let leg: &Leg = &finding.legs[at];
    let during = match leg.role {
        Role::Access(access) => access.during,
        Role::Leaked | Role::Stuck => None,
    };
    LegLine {
        role: leg.role.name().to_owned(),
        thread: leg.thread.label.name(),
        lane: if finding.level == Level::Note {
            String::new()
        } else {
            leg.lane.as_str().to_owned()
        },
        from_us: during.map(|during| during.from_us),
        until_us: during.and_then(|during| during.until_us),
        label: marks::leg_label(finding, at, leg),
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

fn task(task: &Task) -> TaskLine {
    TaskLine {
        future: task.future.clone(),
        executor: executor_name(task.executor).to_owned(),
        state: task.state,
        proof: task.proof,
        moment: task.moment,
        polls: task.polls,
        polls_since: task.polls_since,
        age_milliseconds: task.age_ms,
        idle_milliseconds: task.idle_ms,
        join_handle: task.handle,
        references: task.references,
        held_by: held_by(&task.held_by),
        awaits: task.awaits.iter().map(await_line).collect(),
        branches: task.branches.iter().map(stack).collect(),
        woken: task.woken.as_ref().map(|woken| WokenLine {
            by: woken.by.name(),
            milliseconds_ago: woken.ago_ms,
            stack: stack(&woken.at),
        }),
    }
}

fn await_line(call: &Await) -> AwaitLine {
    AwaitLine {
        place: place_of(call.place.as_ref(), &call.function),
        milliseconds: call.for_ms,
        inner: call.inner.iter().map(await_line).collect(),
    }
}

fn lock(lock: &HeldLock) -> LockLine {
    LockLine {
        lock: lock.name.text(),
        shared: lock.shared,
        acquired: primary(&lock.acquired),
    }
}

fn wait(wait: &Wait) -> WaitLine {
    WaitLine {
        on: wait.what.name().to_owned(),
        milliseconds: wait.for_ms,
        timed: wait.timed,
        lock: wait.lock.as_ref().map(|lock| lock.text()),
        owner: wait.owner.as_ref().map(|owner| owner.name()),
        acquired: primary(&wait.acquired),
    }
}

fn said(said: &Said) -> SaidLine {
    let name = said.name();
    match said {
        Said::Variable { .. } => SaidLine {
            name,
            owner: None,
            field: None,
        },
        Said::Field { owner, field, .. } => SaidLine {
            name,
            owner: Some(owner.clone()),
            field: Some(field.clone()),
        },
    }
}

fn memory(memory: &Memory) -> MemoryLine {
    match memory {
        Memory::Static { name, ty, .. } => MemoryLine::Static {
            name: name.clone(),
            ty: ty.clone(),
        },
        Memory::Heap {
            ty,
            offset,
            size,
            thread,
            allocated,
        } => MemoryLine::Heap {
            ty: ty.clone(),
            offset: *offset,
            size: *size,
            thread: thread.name(),
            allocated: stack(allocated),
        },
        Memory::Stack { thread, function } => MemoryLine::Stack {
            thread: thread.name(),
            function: function.clone(),
        },
        Memory::ThreadLocal { thread, name } => MemoryLine::ThreadLocal {
            thread: thread.name(),
            name: name.clone(),
        },
        Memory::Mapped => MemoryLine::Mapped,
        Memory::Unknown => MemoryLine::Unknown,
    }
}

fn primary(stack: &Stack) -> PlaceLine {
    stack.primary().map(place).unwrap_or_default()
}

fn place(frame: &Frame) -> PlaceLine {
    place_of(frame.place.as_ref(), frame.function.full())
}

fn place_of(place: Option<&Place>, function: &str) -> PlaceLine {
    PlaceLine {
        file: place.map(|place| place.shown.clone()),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column).filter(|column| *column > 0),
        function: Some(function.to_owned()),
    }
}

fn stack(stack: &Stack) -> Vec<FrameLine> {
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
            }
            .to_owned(),
            inlined: frame.inlined,
        })
        .collect()
}

/// Who keeps what a task waits on, in words.
fn held_by(by: &HeldBy) -> Vec<String> {
    let itself = by.itself.then(|| "itself".to_owned());
    let others = by.others.iter().map(|other| other.label.text());
    let variable = by.variable.as_ref().map(|name| format!("static `{name}`"));
    let leaked = by.leaked.then(|| "leaked memory".to_owned());
    itself
        .into_iter()
        .chain(others)
        .chain(variable)
        .chain(leaked)
        .collect()
}
