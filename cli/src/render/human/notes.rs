//! The lines under the source: stacks, spawners, locks, memory, tests.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::Proof;

use super::HumanOptions;
use super::awaits::push_awaits;
use super::marks::{number, order_locks, race_label};
use super::stacks::push_stack;
use crate::collect::words::object;
use crate::model::{
    Crash, Finding, HeldLock, Leg, LockName, Memory, Role, Shape, Stack, Task, Thread, Wait,
    WaitFor, executor_name,
};

/// Tests named at most in a folded report.
const MAX_TESTS: usize = 5;

/// A line under the source, possibly of several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A fact.
    Note(String),
    /// What to do.
    Help(String),
}

/// All notes of a finding.
pub fn notes(finding: &Finding, options: &HumanOptions) -> Vec<Note> {
    let mut notes = Vec::new();
    notes.extend(cycle(finding).map(Note::Note));
    for at in leg_order(finding) {
        notes.push(Note::Note(leg_note(finding, at, options)));
    }
    notes.extend(memory_note(finding, options).map(Note::Note));
    notes.extend(finding.by_design.clone().map(Note::Note));
    notes.push(Note::Note(seen(finding, options)));
    notes.extend(finding.help.iter().cloned().map(Note::Help));
    notes.push(Note::Note(format!(
        "fingerprint {}; `leakcheck explain {}` tells more",
        finding.fingerprint,
        finding.code()
    )));
    notes
}

/// The notes of a crash.
pub fn crash_notes(crash: &Crash, options: &HumanOptions) -> Vec<Note> {
    let mut text = format!("{}:", crash.thread.label.text());
    push_stack(&mut text, &crash.stack, true, options);
    push_spawn(&mut text, &crash.thread, options);
    let mut notes = vec![Note::Note(text)];
    notes.extend(crash.help.clone().map(Note::Help));
    notes
}

/// The legs by their numbers.
fn leg_order(finding: &Finding) -> Vec<usize> {
    let mut order: Vec<usize> = (0..finding.legs.len()).collect();
    order.sort_by_key(|at| number(finding, *at));
    order
}

/// A leg: its thread, stack, spawner, locks.
fn leg_note(finding: &Finding, at: usize, options: &HumanOptions) -> String {
    let leg = &finding.legs[at];
    let head = match leg.role {
        Role::Access(_) | Role::Stuck if finding.legs.len() > 1 => {
            format!("({}) ", number(finding, at))
        }
        Role::Access(_) | Role::Stuck | Role::Leaked => String::new(),
    };
    let mut text = format!("{head}{}", leg.thread.label.text());
    if leg.thread.finished && finding.kind != Kind::AbortedTask {
        text.push_str(", ended since");
    }
    if let Some(task) = &leg.task {
        text.push_str(&task_note(task, leg.stack.is_empty()));
    }
    if leg.stack.is_empty() && leg.task.is_some() {
        text.push_str(match &leg.wait {
            Some(wait) if matches!(wait.what, WaitFor::Turn | WaitFor::Running) => "",
            Some(_) | None => "\n  it left its waker nowhere",
        });
    } else if leg.stack.is_empty() {
        text = match leg.role {
            Role::Access(_) => format!(
                "{}: its stack had left the history",
                race_label(finding, at, leg).trim_end_matches(", not ordered after (1)")
            ),
            Role::Leaked | Role::Stuck => format!("{text}: its stack could not be taken"),
        };
    } else {
        text.push(':');
        match &leg.task {
            Some(task) => push_awaits(&mut text, leg, &task.awaits, options),
            None => push_stack(
                &mut text,
                &leg.stack,
                matches!(leg.role, Role::Access(_)),
                options,
            ),
        }
    }
    if let Some(task) = &leg.task {
        let wait = leg.wait.as_ref().filter(|_| leg.role == Role::Leaked);
        if let Some(kept) = wait.and_then(|wait| keeper(wait, task)) {
            text.push_str(&format!("\n{kept}"));
        }
        push_task(&mut text, task, options);
    }
    if finding.kind == Kind::LockOrder {
        push_first_lock(&mut text, leg, options);
    }
    push_spawn(&mut text, &leg.thread, options);
    push_locks(&mut text, finding, leg);
    text
}

/// The lock that a leg of an order has, and where it took it.
fn push_first_lock(text: &mut String, leg: &Leg, options: &HumanOptions) {
    if let Some((_, first)) = order_locks(leg) {
        let shared = if first.shared { " for reading" } else { "" };
        text.push_str(&format!(
            "\nwhile it has {}{shared}, taken:",
            first.name.text()
        ));
        push_stack(text, &first.acquired, false, options);
    }
}

/// What a task has done so far.
fn task_note(task: &Task, no_chain: bool) -> String {
    let times = match task.polls {
        1 => "once".to_owned(),
        polls => format!("{polls} times"),
    };
    let since = match task.polls_since {
        _ if no_chain => "",
        0 => "",
        _ => "; it was polled since, and may wait for something else by now",
    };
    format!(
        ", a task of {}, polled {times}{since}",
        executor_name(task.executor)
    )
}

/// Who has what a task waits for, and where those were spawned.
fn keeper(wait: &Wait, task: &Task) -> Option<String> {
    let by = &task.held_by;
    if let Some(owner) = &by.owner {
        let owner = with_place(owner);
        return Some(match (wait.what, &wait.lock) {
            (WaitFor::Task, _) => format!("it waits for {owner}"),
            (_, Some(lock)) => format!("{} is held by {owner}", object(lock, wait.what)),
            (_, None) => format!("a permit was taken by {owner} and is not back"),
        });
    }
    let variable = by.variable.as_ref().map(|name| format!("static `{name}`"));
    let keepers: Vec<String> = by.others.iter().map(with_place).chain(variable).collect();
    if keepers.is_empty() {
        return None;
    }
    let keepers = keepers.join(" and ");
    Some(match wait.what {
        WaitFor::ChannelRecv
        | WaitFor::ChannelSend
        | WaitFor::ChannelSelect
        | WaitFor::ChannelClosed => format!("the other end is kept alive by {keepers}"),
        WaitFor::Notify | WaitFor::Barrier | WaitFor::Once => {
            format!("what it waits on is shared with {keepers}")
        }
        WaitFor::Mutex
        | WaitFor::RwLockRead
        | WaitFor::RwLockWrite
        | WaitFor::Condvar
        | WaitFor::Join
        | WaitFor::Scope
        | WaitFor::Park
        | WaitFor::Child
        | WaitFor::Future
        | WaitFor::Sleep
        | WaitFor::Accept
        | WaitFor::Io
        | WaitFor::Futex
        | WaitFor::Running
        | WaitFor::Semaphore
        | WaitFor::Task
        | WaitFor::Signal
        | WaitFor::Turn
        | WaitFor::Nothing => return None,
    })
}

/// A thread or task, and where it was spawned.
fn with_place(thread: &Thread) -> String {
    let place = thread.spawned.first().and_then(|step| at(&step.at));
    let spawned = place.map(|place| format!(", spawned at {place}"));
    format!("{}{}", thread.label.text(), spawned.unwrap_or_default())
}

/// Who woke a task last.
fn push_task(text: &mut String, task: &Task, options: &HumanOptions) {
    if let Some(woken) = &task.woken {
        text.push_str(&format!("\nlast woken by {}:", woken.by.text()));
        push_stack(text, &woken.at, false, options);
    }
}

fn proof(finding: &Finding) -> Option<Proof> {
    finding.legs.first()?.task.as_ref()?.proof
}

/// Who spawned the thread, who spawned that one.
pub fn push_spawn(text: &mut String, thread: &Thread, options: &HumanOptions) {
    for (at, step) in thread.spawned.iter().enumerate() {
        let which = if at == 0 {
            "spawned by"
        } else {
            "which was spawned by"
        };
        text.push_str(&format!("\n{which} {}", step.by.text()));
        if step.at.is_empty() {
            continue;
        }
        text.push(':');
        push_stack(text, &step.at, false, options);
    }
}

/// The locks that a leg holds; those that a cycle is about are told there.
fn push_locks(text: &mut String, finding: &Finding, leg: &Leg) {
    let waits = finding.legs.iter().filter_map(|leg| leg.wait.as_ref());
    let in_cycle: Vec<&LockName> = waits.filter_map(|wait| wait.lock.as_ref()).collect();
    for lock in &leg.locks {
        if !in_cycle.contains(&&lock.name) {
            text.push_str(&format!("\n{}", holding(lock)));
        }
    }
}

fn holding(lock: &HeldLock) -> String {
    let shared = if lock.shared { " for reading" } else { "" };
    let at = at(&lock.acquired)
        .map(|place| format!(", acquired at {place}"))
        .unwrap_or_default();
    format!("holds {}{shared}{at}", lock.name.text())
}

fn at(stack: &Stack) -> Option<String> {
    stack.primary()?.place.as_ref().map(|place| place.text())
}

/// The cycle, each line an owner and who waits for it.
fn cycle(finding: &Finding) -> Option<String> {
    (finding.shape == Some(Shape::Cycle))
        .then(|| Some(format!("wait cycle, owner → waiter:{}", edges(finding)?)))?
}

/// Lines of an owner and who waits for it, each after a line break.
pub fn edges(finding: &Finding) -> Option<String> {
    let mut text = String::new();
    for (at_leg, leg) in finding.legs.iter().enumerate() {
        let next = &finding.legs[(at_leg + 1) % finding.legs.len()];
        let wait = leg.wait.as_ref()?;
        text.push_str(&format!(
            "\n  {} → {}: {}",
            next.thread.label.text(),
            leg.thread.label.text(),
            edge(wait, leg)
        ));
    }
    Some(text)
}

/// What is owned and wanted, and where each.
fn edge(wait: &Wait, leg: &Leg) -> String {
    let object = match (&wait.lock, wait.what) {
        (Some(name), what) => object(name, what),
        (None, WaitFor::Join | WaitFor::Task) => "its end".to_owned(),
        (None, WaitFor::Turn) => "to be polled".to_owned(),
        (None, WaitFor::Running) => "the end of its poll".to_owned(),
        (None, WaitFor::Future) => "what a future needs".to_owned(),
        (None, WaitFor::Semaphore) => "its permit".to_owned(),
        (None, WaitFor::ChannelRecv | WaitFor::ChannelSelect) => "a message from it".to_owned(),
        (None, WaitFor::ChannelSend) => "room in its channel".to_owned(),
        (None, WaitFor::Once) => "its initialisation".to_owned(),
        (None, WaitFor::Condvar | WaitFor::Park) => "a wake-up".to_owned(),
        (None, WaitFor::Notify) => "a notification from it".to_owned(),
        (None, WaitFor::Barrier) => "its arrival".to_owned(),
        (None, _) => "what it holds".to_owned(),
    };
    let verb = if wait.what == WaitFor::Once {
        "begun"
    } else {
        "acquired"
    };
    let acquired = at(&wait.acquired).map(|place| format!(", {verb} at {place}"));
    let wanted = at(&leg.stack).map(|place| format!(", wanted at {place}"));
    format!(
        "{object}{}{}",
        acquired.unwrap_or_default(),
        wanted.unwrap_or_default()
    )
}

fn memory_note(finding: &Finding, options: &HumanOptions) -> Option<String> {
    match finding.memory.as_ref()? {
        Memory::Static { name, ty, part } => {
            let ty = ty.as_ref().map(|ty| format!(" is a static of type `{ty}`"));
            let part = part.map(|(first, size)| {
                let bytes = if size == 1 { "byte" } else { "bytes" };
                format!("{size} {bytes} from byte {first} on")
            });
            match (ty, part) {
                (None, None) => None,
                (Some(ty), None) => Some(format!("`{name}`{ty}")),
                (None, Some(part)) => Some(format!("accessed in `{name}`: {part}")),
                (Some(ty), Some(part)) => Some(format!("`{name}`{ty}, accessed: {part}")),
            }
        }
        Memory::Heap {
            ty,
            offset,
            size,
            thread,
            allocated,
        } => {
            let ty = ty
                .as_ref()
                .map(|ty| format!(" (`{ty}`)"))
                .unwrap_or_default();
            let mut text = format!(
                "the memory is at byte {offset} of a heap block of {size} bytes{ty}, \
                 allocated by {}",
                thread.text()
            );
            if !allocated.is_empty() {
                text.push(':');
                push_stack(&mut text, allocated, false, options);
            }
            Some(text)
        }
        Memory::Stack { thread, function } => Some(match function {
            Some(function) => {
                format!(
                    "the memory is in the frame of `{function}`, on the stack of {}",
                    thread.text()
                )
            }
            None => format!("the memory is on the stack of {}", thread.text()),
        }),
        Memory::ThreadLocal { .. } | Memory::Mapped | Memory::Unknown => None,
    }
}

/// How sure it is, how often it was seen, and where.
fn seen(finding: &Finding, options: &HumanOptions) -> String {
    let certainty = match (finding.kind, finding.certainty) {
        (Kind::Deadlock, Certainty::Proved) if finding.legs.len() == 1 => {
            match finding.legs[0].task {
                Some(_) => "proved: this task can never run again",
                None => "proved: this thread can never run again",
            }
        }
        (Kind::Deadlock, Certainty::Proved)
            if finding.legs.iter().any(|leg| leg.task.is_some()) =>
        {
            "proved: none of these tasks and threads can ever run again"
        }
        (Kind::Deadlock, Certainty::Proved) => "proved: these threads can never run again",
        (Kind::LeakedThread, Certainty::Proved) => "proved: nothing can wake it any more",
        (Kind::LeakedTask, Certainty::Proved) => match proof(finding) {
            Some(Proof::NoWaker) => "proved: nobody has a waker of it any more",
            Some(Proof::Unreachable) => {
                "proved: its wakers are only where nothing that can still run gets at them"
            }
            None => "proved",
        },
        (Kind::LeakedTask, Certainty::Potential) => {
            "potential: nothing was found that could wake it, but somebody is missing who counts \
             as an owner of what it waits on: leaked, or kept in a form that is no address"
        }
        (Kind::TaskRace, _) => {
            "observed in one schedule: nothing but the worker that polled both tasks ordered them"
        }
        (Kind::LockOrder, Certainty::Potential) => {
            "potential: they deadlock if each gets its first lock before the other lets go of it"
        }
        (_, Certainty::Proved) => "proved",
        (_, Certainty::Observed) => "observed",
        (_, Certainty::Potential) => "potential: not certain",
    };
    let fatal = if finding.fatal {
        "; the test was ended there"
    } else {
        ""
    };
    let times = match finding.seen.count {
        0 | 1 => String::new(),
        count => format!(" {count} times"),
    };
    let tests: Vec<String> = finding
        .seen
        .tests
        .iter()
        .map(|test| format!("`{test}`"))
        .collect();
    let named: &[String] = if options.backtrace_full {
        &tests
    } else {
        &tests[..tests.len().min(MAX_TESTS)]
    };
    let more = tests.len() - named.len();
    let places = match (tests.len(), more) {
        (0, _) => String::new(),
        (1, _) => format!(" in test {}", tests[0]),
        (count, 0) => format!(" in {count} tests: {}", named.join(", ")),
        (count, more) => format!(" in {count} tests: {} and {more} more", named.join(", ")),
    };
    match certainty.split_once(": ") {
        Some((word, rest)) => format!("{word}{times}{places}: {rest}{fatal}"),
        None => format!("{certainty}{times}{places}{fatal}"),
    }
}
