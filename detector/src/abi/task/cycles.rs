//! Tasks that wait for each other, told while the program goes on: a timer, a
//! listener or a child does not let them go on.
//!
//! That tasks never run again is proved as at the end of an executor
//! ([`super::look`]). When that is worth a search, names tell: a task whose poll
//! ends with a wait that leads back to it through who holds and who is joined
//! ([`super::waits`]). The search begins when a thread is about to sleep, since in
//! the middle of a poll the thread's own stack leads to the task. Where other
//! threads do not sleep, or what is left of earlier calls on a stack leads there,
//! it is tried again after twice the time.
//!
//! What it misses: threads that never sleep at once before the end of the process;
//! what is proved only then, since a handle is alive. The end tells of both.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::look;
use super::record::Record;
use super::registry;
use super::waits::Queues;
use super::world::Here;
use crate::abi::edge::tracked;
use crate::abi::kernel;
use crate::report::wire::ThreadId;
use crate::rt::lock::Spin;

/// Nanosecond from which on a look is due.
static DUE: AtomicU64 = AtomicU64::new(NEVER);
static SEEN: Spin<Circles> = Spin::new(Circles {
    tasks: Vec::new(),
    pause: FIRST,
    looking: false,
});

/// Cycles that were proved and told, as sorted numbers of their tasks.
static TOLD: Spin<Vec<Vec<ThreadId>>> = Spin::new(Vec::new());

const NEVER: u64 = u64::MAX;
/// Nanoseconds between two looks, at first and at most.
const FIRST: u64 = 500_000;
const LAST: u64 = 1_000_000_000;
/// A search costs this part of the time at most.
const PART: u64 = 20;
/// Tasks kept.
const MOST: usize = 64;

/// Circles of names.
struct Circles {
    /// A task of each.
    tasks: Vec<ThreadId>,
    /// Until the look after the next one.
    pause: u64,
    /// A thread looks.
    looking: bool,
}

thread_local! {
    /// A wait by name was polled in the poll at hand.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// What runs on the thread polls a wait by name.
pub fn waits_by_name() {
    WAITS.set(true);
}

/// True if what runs on the thread has polled one.
#[inline]
pub fn waited_by_name() -> bool {
    WAITS.get()
}

/// The poll of the task ended, and it is to be polled again.
pub fn pending(task: &Record) {
    if WAITS.replace(false) {
        waits(task.origin.id, task.notes.count());
    }
}

/// The task waits by name. If it waits for itself in the end, that is looked into.
fn waits(task: ThreadId, polls: u64) {
    if !leads_back(task, polls, &Queues::default()) {
        return;
    }
    let mut seen = SEEN.lock();
    if seen.tasks.len() < MOST && !seen.tasks.contains(&task) {
        seen.tasks.push(task);
    }
    seen.pause = FIRST;
    DUE.store(0, Ordering::Relaxed);
}

/// True if the task waits by name, and in the end for itself.
fn leads_back(task: ThreadId, polls: u64, queues: &Queues) -> bool {
    let owners = |who, polls| queues.named(who, polls).map(|named| named.owners);
    let mut passed: Vec<ThreadId> = Vec::new();
    let mut next = owners(task, polls).unwrap_or_default();
    while let Some(owner) = next.pop() {
        if owner == task {
            return true;
        }
        if passed.contains(&owner) {
            continue;
        }
        if passed.len() == MOST {
            return false;
        }
        passed.push(owner);
        let polls = registry::polls_of(owner);
        next.extend(
            polls
                .and_then(|polls| owners(owner, polls))
                .into_iter()
                .flatten(),
        );
    }
    false
}

/// True if a thread that is about to sleep is to call [`look`].
#[inline]
pub fn is_due() -> bool {
    let due = DUE.load(Ordering::Relaxed);
    due != NEVER && due <= kernel::now()
}

/// The thread is about to sleep: tells of the circles that are proved.
#[cold]
pub fn look(here: &Here) {
    // Not passed on: what is called here looks at the record itself.
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    if let Some(tasks) = begin() {
        let begun = kernel::now();
        let told = look::report_cycles(here);
        let queues = Queues::default();
        let left = |task: &ThreadId| {
            let polls = registry::polls_of(*task).filter(|_| !told);
            polls.is_some_and(|polls| leads_back(*task, polls, &queues))
        };
        let left: Vec<ThreadId> = tasks.into_iter().filter(left).collect();
        end(left, begun);
    }
    thread.busy -= 1;
}

/// The circles to look at, unless another thread does.
fn begin() -> Option<Vec<ThreadId>> {
    let mut seen = SEEN.lock();
    if seen.looking {
        return None;
    }
    seen.looking = true;
    Some(std::mem::take(&mut seen.tasks))
}

/// Those that are left are looked at again.
fn end(left: Vec<ThreadId>, begun: u64) {
    let mut seen = SEEN.lock();
    seen.looking = false;
    seen.tasks.extend(left);
    let now = kernel::now();
    let pause = seen.pause.max((now - begun) * PART);
    seen.pause = (seen.pause * 2).min(LAST);
    let due = if seen.tasks.is_empty() {
        NEVER
    } else {
        now + pause
    };
    DUE.store(due, Ordering::Relaxed);
}

/// The cycle is proved, and told.
pub fn told(mut tasks: Vec<ThreadId>) {
    tasks.sort_unstable();
    let mut told = TOLD.lock();
    if told.len() < MOST {
        told.push(tasks);
    }
}

/// True if the cycle was proved before: its tasks never run again.
pub fn was_told(cycle: &[ThreadId]) -> bool {
    let mut tasks = cycle.to_vec();
    tasks.sort_unstable();
    TOLD.lock().contains(&tasks)
}

/// In the child of a fork.
pub fn reset() {
    TOLD.reset();
    TOLD.lock().clear();
    DUE.store(NEVER, Ordering::Relaxed);
    SEEN.reset();
    let mut seen = SEEN.lock();
    seen.tasks.clear();
    seen.looking = false;
}
