//! Which places a report shows in the source, and what it says at each.

use leakcheck::report::kind::Kind;
use leakcheck::report::wire::AccessOp;

use super::snippet::Mark;
use crate::collect::words::{access_phrase, object, wait_phrase_here};
use crate::model::{
    Access, Crash, Finding, HeldLock, Leg, Memory, Place, Role, Shape, Stack, ThreadLabel, Wait,
    WaitFor,
};

/// The marks of a finding, in the order of their numbers.
pub fn marks(finding: &Finding) -> Vec<Mark> {
    match finding.kind {
        Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::TaskRace => race_marks(finding),
        Kind::LeakedThread
        | Kind::LeakedTask
        | Kind::AbortedTask
        | Kind::DetachedTask
        | Kind::PanickedTask => leaked_marks(finding),
        Kind::Deadlock => deadlock_marks(finding),
        Kind::LockOrder => order_marks(finding),
    }
}

/// The mark of a crash.
pub fn crash_marks(crash: &Crash) -> Vec<Mark> {
    let place = place(&crash.stack);
    place
        .map(|place| Mark {
            place,
            label: "it was here".to_owned(),
            primary: true,
        })
        .into_iter()
        .collect()
}

/// The number that a leg of a finding goes by: the accesses of a race in the
/// order of time, the threads of a cycle in the order of the cycle.
pub fn number(finding: &Finding, leg: usize) -> usize {
    match finding.kind {
        Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::TaskRace => finding.legs.len() - leg,
        Kind::LeakedThread
        | Kind::LeakedTask
        | Kind::AbortedTask
        | Kind::DetachedTask
        | Kind::PanickedTask
        | Kind::Deadlock
        | Kind::LockOrder => leg + 1,
    }
}

fn place(stack: &Stack) -> Option<Place> {
    stack.primary()?.place.clone()
}

fn mark(stack: &Stack, label: String, primary: bool) -> Option<Mark> {
    Some(Mark {
        place: place(stack)?,
        label,
        primary,
    })
}

/// What a leg of a race does.
pub fn race_label(finding: &Finding, at: usize, leg: &Leg) -> String {
    let number = number(finding, at);
    let Role::Access(access) = leg.role else {
        return format!("({number}) {}", leg.thread.label.text());
    };
    let what = match (access.op, leg.stack.frames().first()) {
        (AccessOp::Return, Some(frame)) => {
            let function = frame
                .function
                .path()
                .rsplit("::")
                .next()
                .unwrap_or_default();
            format!("`{function}` returns in {}", leg.thread.label.text())
        }
        (AccessOp::Return | AccessOp::Read | AccessOp::Write | AccessOp::Free, _) => {
            access_phrase(access, &leg.thread.label, sizes_differ(finding))
        }
    };
    let through = through(&leg.stack);
    // Only the later one can be said not to come after.
    let order = if at == 0 && finding.legs.len() == 2 {
        ", not ordered after (1)"
    } else {
        ""
    };
    format!("({number}) {what}{through}{order}")
}

/// The dependency that does the access for the user's frame.
fn through(stack: &Stack) -> String {
    if !stack.has_user_frame() {
        return String::new();
    }
    let through = stack
        .dependency_on_top()
        .and_then(|frame| frame.function.rust_crate());
    through
        .map(|krate| format!(" in `{krate}`"))
        .unwrap_or_default()
}

fn sizes_differ(finding: &Finding) -> bool {
    let sizes: Vec<u64> = finding
        .legs
        .iter()
        .filter_map(|leg| match leg.role {
            Role::Access(Access {
                op: AccessOp::Read | AccessOp::Write,
                size,
                ..
            }) => Some(size),
            Role::Access(_) | Role::Leaked | Role::Stuck => None,
        })
        .collect();
    sizes.windows(2).any(|pair| pair[0] != pair[1])
}

/// What a leg does, whatever it does, with its number.
pub fn leg_label(finding: &Finding, at: usize, leg: &Leg) -> String {
    let what = match (leg.role, &leg.wait) {
        (Role::Access(_), _) => return race_label(finding, at, leg),
        (Role::Leaked | Role::Stuck, Some(wait)) => {
            format!("{}{}", wait_phrase_here(wait), since(wait))
        }
        (Role::Leaked | Role::Stuck, None) => "is here".to_owned(),
    };
    let thread = leg.thread.label.text();
    format!("({}) {thread} {what}", number(finding, at))
}

fn race_marks(finding: &Finding) -> Vec<Mark> {
    let earliest_first = finding.legs.iter().enumerate().rev();
    let mut marks: Vec<Mark> = earliest_first
        .filter_map(|(at, leg)| mark(&leg.stack, race_label(finding, at, leg), at == 0))
        .collect();
    if let Some(Memory::Heap {
        thread, allocated, ..
    }) = &finding.memory
        && allocated.has_user_frame()
    {
        let label = format!("allocated here by {}", thread.text());
        marks.extend(mark(allocated, label, false));
    }
    marks
}

fn leaked_marks(finding: &Finding) -> Vec<Mark> {
    let mut marks = Vec::new();
    for leg in &finding.legs {
        let here = if finding.kind == Kind::PanickedTask {
            "it panicked here"
        } else {
            "it is here"
        };
        let what = leg.wait.as_ref().map_or_else(
            || here.to_owned(),
            |wait| format!("it {}{}", wait_phrase_here(wait), since(wait)),
        );
        // Its spawn site tells more than a place inside of std.
        if leg.stack.has_user_frame() {
            marks.extend(mark(&leg.stack, what, true));
        }
        if let Some(step) = leg.thread.spawned.first() {
            let label = format!("spawned here by {}", step.by.text());
            let only = marks.is_empty();
            marks.extend(mark(&step.at, label, only));
        }
        if marks.is_empty() {
            marks.extend(mark(&leg.stack, "it is here".to_owned(), true));
        }
        if let Some(wait) = &leg.wait
            && let Some(owner) = &wait.owner
            && wait.what.is_lock()
        {
            let label = acquired(wait, owner, false);
            marks.extend(mark(&wait.acquired, label, false));
        }
    }
    marks
}

fn deadlock_marks(finding: &Finding) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, leg) in finding.legs.iter().enumerate() {
        let thread = leg.thread.label.text();
        let what = leg
            .wait
            .as_ref()
            .map_or_else(|| "is here".to_owned(), wait_phrase_here);
        let label = if finding.legs.len() == 1 {
            format!("{thread} {what}")
        } else {
            format!("({}) {thread} {what}", number(finding, at))
        };
        marks.extend(mark(&leg.stack, label, true));
    }
    for leg in &finding.legs {
        if let Some(wait) = &leg.wait
            && let Some(owner) = &wait.owner
            && wait.what.is_lock()
        {
            let label = acquired(wait, owner, finding.shape == Some(Shape::Own));
            marks.extend(mark(&wait.acquired, label, false));
        }
    }
    marks
}

/// The lock that a leg of an order takes under another, by name.
pub fn order_locks(leg: &Leg) -> Option<(String, &HeldLock)> {
    let second = leg.wait.as_ref()?.lock.as_ref()?;
    Some((second.text(), leg.locks.first()?))
}

fn order_marks(finding: &Finding) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, leg) in finding.legs.iter().enumerate() {
        let Some((second, first)) = order_locks(leg) else {
            continue;
        };
        let number = number(finding, at);
        let thread = leg.thread.label.text();
        let (had, at_once) = (
            first.name.text(),
            place(&first.acquired) == place(&leg.stack),
        );
        if !at_once {
            let label = format!("({number}) {thread} takes {had} here");
            marks.extend(mark(&first.acquired, label, false));
        }
        let label = format!("({number}) {thread} takes {second} here, while it has {had}");
        marks.extend(mark(&leg.stack, label, true));
    }
    marks
}

/// What an owner did, at the place where it did it.
fn acquired(wait: &Wait, owner: &ThreadLabel, same: bool) -> String {
    let owner = owner.text();
    let object = match &wait.lock {
        _ if same && wait.what == WaitFor::Once => "the same initialisation".to_owned(),
        _ if same => "the same lock".to_owned(),
        Some(name) => object(name, wait.what),
        None => "the lock".to_owned(),
    };
    match wait.what {
        WaitFor::Once => format!("{owner} began {object} here"),
        _ => format!("{owner} acquired {object} here"),
    }
}

/// ` (for 1.2 s)`; nothing for what does not wait or waits since now.
pub fn since(wait: &Wait) -> String {
    if matches!(wait.what, WaitFor::Running | WaitFor::Turn) {
        return String::new();
    }
    seconds(wait.for_ms).unwrap_or_default()
}

/// ` (for 1.2 s)`, of so many milliseconds, if they are worth it.
pub fn seconds(ms: u64) -> Option<String> {
    (ms >= 100).then(|| format!(" (for {}.{} s)", ms / 1000, ms % 1000 / 100))
}
