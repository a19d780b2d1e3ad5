//! Tasks that end in a way that nobody waits for: dropped by an executor that is
//! shut down, or by a panic that nobody asks for.
//!
//! A task is aborted at shutdown if its executor drops it, before it was complete
//! and without anybody having cancelled it. A panic is unobserved if nobody polls
//! the handle of its task between then and the end of the process; where another
//! task has the address of that one, the handle is gone.
//!
//! What is told here is no more than a warning, so of tasks that were spawned at
//! one place and wait at one place only the first is told.
//!
//! What it misses: a panic that an executor passes on to who runs it, as
//! async-task does unless it is told to keep it; a handle that is polled although
//! it belongs to a task that has the address of the one that panicked and was
//! never polled.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::look::{self, Held, Look, Seen};
use super::record::{Origin, Record, Wake};
use super::registry;
use crate::findings;
use crate::hooks::table;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Executor, Finding, Leg, Moment, TaskState, ThreadId, Wait};
use crate::rt::lock::Spin;
use crate::rt::replaceable::Replaceable;
use crate::stack::StackId;

thread_local! {
    /// What the task does that an executor drops on this thread.
    static SHUT: Cell<Option<TaskState>> = const { Cell::new(None) };
    /// How many executors are being dropped on this thread.
    static SHUTDOWNS: Cell<u32> = const { Cell::new(0) };
    /// Where the thread panicked last inside of a task.
    static PANIC: Cell<Option<StackId>> = const { Cell::new(None) };
}

/// What is told of once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Like {
    kind: Kind,
    spawned_at: StackId,
    at: Option<StackId>,
    state: TaskState,
}

/// A panic that nobody has asked for so far.
#[derive(Debug, Clone)]
struct Panic {
    origin: Arc<Origin>,
    leg: Leg,
    like: StackId,
}

/// What a task waited for when its executor began to be dropped: what is dropped first
/// may wake it.
#[derive(Debug)]
struct Waited {
    id: ThreadId,
    /// In this poll.
    poll: u64,
    held: Held,
    /// The tasks among those.
    holders: Vec<Arc<Origin>>,
    /// Where the other side has a name.
    named: Option<Wait>,
    woken: Option<Wake>,
}

/// What tasks waited for when an executor began to be dropped.
#[derive(Debug, Default)]
struct Shutdown {
    /// By number.
    waited: Vec<Waited>,
    /// For those that were polled since.
    look: Arc<Look>,
}

/// Kept until an executor is dropped again, since workers go on to drop their tasks after
/// that has been told.
static LATEST: Replaceable<Spin<Shutdown>> = Replaceable::new();
static TOLD: Replaceable<Spin<HashSet<Like>>> = Replaceable::new();
/// 1 if a task has ever panicked.
static PANICKED: AtomicU32 = AtomicU32::new(0);
/// By the data pointers of the tasks' wakers.
static PANICS: Replaceable<Spin<HashMap<usize, Panic>>> = Replaceable::new();

/// Panics that are kept.
const PANICS_KEPT: usize = 10_000;

/// True for the first task of its like.
pub fn is_first(kind: Kind, seen: &Seen, state: TaskState) -> bool {
    TOLD.get().lock().insert(Like {
        kind,
        spawned_at: seen.record.origin.spawned_at,
        at: seen.polls.chains().next(),
        state,
    })
}

/// An executor is about to drop its tasks. These wait, in the order of their numbers.
pub fn waited<'a>(tasks: impl Iterator<Item = &'a Seen>, look: Look) {
    let waited = |seen: &Seen| {
        let named = look.wait(seen.record.origin.id, seen.polls.count);
        let named = named.map(|(wait, _)| wait);
        let owner = named.as_ref().and_then(|wait| wait.owner);
        let holders = seen.held.by.iter().copied().chain(owner);
        Waited {
            id: seen.record.origin.id,
            poll: seen.polls.count,
            held: seen.held.clone(),
            holders: holders.filter_map(registry::origin_of).collect(),
            named,
            woken: seen.polls.woken,
        }
    };
    let waited: Vec<Waited> = tasks.map(waited).collect();
    *LATEST.get().lock() = Shutdown {
        waited,
        look: Arc::new(look),
    };
}

/// An executor begins to drop its tasks on this thread.
pub fn shutdown_begins() {
    SHUTDOWNS.set(SHUTDOWNS.get() + 1);
}

/// It has dropped them.
pub fn shutdown_ends() {
    SHUTDOWNS.set(SHUTDOWNS.get().saturating_sub(1));
}

/// An executor shuts down the task with this address and state. Returns what
/// [`shut_ends`] is to be told.
pub fn shut_begins(data: usize, state: u64) -> u64 {
    let is = |flag| state & flag != 0;
    let does = if is(table::IS_COMPLETE | table::IS_CANCELLED) {
        None
    } else if is(table::IS_RUNNING) {
        // Who polls it drops it.
        if let Some(record) = registry::by_data(data) {
            record.rest.lock().shut = true;
        }
        None
    } else {
        match registry::by_data(data) {
            None => Some(TaskState::New),
            Some(record) if record.notes.count() == 0 => Some(TaskState::New),
            Some(_) if is(table::IS_SCHEDULED) => Some(TaskState::Scheduled),
            Some(_) => Some(TaskState::Waiting),
        }
    };
    code(SHUT.replace(does))
}

/// It has.
pub fn shut_ends(before: u64) {
    SHUT.set(state(before));
}

fn code(state: Option<TaskState>) -> u64 {
    match state {
        None => 0,
        Some(TaskState::New) => 1,
        Some(TaskState::Scheduled) => 2,
        Some(TaskState::Running) => 3,
        Some(TaskState::Waiting) => 4,
        Some(TaskState::Panicked) => 5,
    }
}

fn state(code: u64) -> Option<TaskState> {
    const STATES: [TaskState; 5] = [
        TaskState::New,
        TaskState::Scheduled,
        TaskState::Running,
        TaskState::Waiting,
        TaskState::Panicked,
    ];
    STATES
        .into_iter()
        .find(|state| self::code(Some(*state)) == code)
}

/// The future of the task is about to be dropped: tells if that is because its
/// executor is.
pub fn dropped(record: &Arc<Record>) {
    let rest = *record.rest.lock();
    if rest.reported {
        return;
    }
    let state = match record.origin.executor {
        Executor::Tokio if rest.shut => Some(TaskState::Running),
        Executor::Tokio => SHUT.get(),
        Executor::AsyncTask if SHUTDOWNS.get() == 0 => None,
        Executor::AsyncTask if record.notes.count() == 0 => Some(TaskState::New),
        Executor::AsyncTask => Some(TaskState::Waiting),
    };
    let Some(state) = state else { return };
    let Some(mut seen) = Seen::of(Arc::clone(record)) else {
        return;
    };
    let waited = match state {
        TaskState::Waiting | TaskState::Scheduled => take_waited(&seen),
        TaskState::New | TaskState::Running | TaskState::Panicked => None,
    };
    let state = waited.as_ref().map_or(state, |_| TaskState::Waiting);
    if !is_first(Kind::AbortedTask, &seen, state) {
        return;
    }
    let mut named = None;
    if let Some(waited) = waited {
        for holder in &waited.holders {
            registry::mention(holder);
        }
        seen.held = waited.held;
        seen.polls.woken = waited.woken;
        named = waited.named;
    }
    let look = Arc::clone(&LATEST.get().lock().look);
    let mut leg = look.leg(&seen, state, None, Moment::Shutdown);
    leg.wait = named.or(leg.wait);
    emit(Kind::AbortedTask, leg);
}

/// What the task waited for when its executor began to be dropped, unless it was
/// polled since.
fn take_waited(seen: &Seen) -> Option<Waited> {
    let mut latest = LATEST.get().lock();
    let waited = &mut latest.waited;
    let at = waited
        .binary_search_by_key(&seen.record.origin.id, |waited| waited.id)
        .ok()
        .filter(|at| waited[*at].poll == seen.polls.count)?;
    let waited = &mut waited[at];
    Some(Waited {
        id: waited.id,
        poll: waited.poll,
        held: std::mem::take(&mut waited.held),
        holders: std::mem::take(&mut waited.holders),
        named: waited.named.take(),
        woken: waited.woken.take(),
    })
}

/// The thread panics, in the middle of a poll.
pub fn panics(at: StackId) {
    PANIC.set(Some(at));
}

/// The poll of the task has ended with a panic.
pub fn panicked(record: &Arc<Record>) {
    let at = PANIC.take();
    let Some(seen) = Seen::of(Arc::clone(record)) else {
        return;
    };
    let data = seen.polls.rest.waker[record.data_word];
    if !record.keeps_panic(data) {
        return;
    }
    let mut leg = look::unnamed_leg(&seen, TaskState::Panicked, None, Moment::Exit);
    leg.stack = at.map(crate::stack::get).unwrap_or_default();
    if let Some(status) = &mut leg.task {
        // What it awaited before is over.
        status.awaits_ms.clear();
        status.branches.clear();
        status.branches_ms.clear();
        status.polls_since = 0;
    }
    let panic = Panic {
        origin: Arc::clone(&record.origin),
        leg,
        like: at.unwrap_or(record.origin.spawned_at),
    };
    PANICKED.store(1, Ordering::Relaxed);
    let mut panics = PANICS.get().lock();
    if panics.len() < PANICS_KEPT {
        panics.insert(data, panic);
    }
}

/// Somebody is given what the task with this address has ended with.
pub fn joined(data: usize) {
    if PANICKED.load(Ordering::Relaxed) == 0 {
        return;
    }
    PANICS.get().lock().remove(&data);
}

/// Another task has this address now.
pub fn replaced(data: usize) {
    if PANICKED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let before = PANICS.get().lock().remove(&data);
    if let Some(panic) = before {
        tell(panic);
    }
}

/// Tells of the panics that nobody has asked for until the end.
pub fn report() {
    let mut left: Vec<Panic> = PANICS
        .get()
        .lock()
        .drain()
        .map(|(_, panic)| panic)
        .collect();
    left.sort_by_key(|panic| panic.origin.id);
    for panic in left {
        tell(panic);
    }
}

fn tell(panic: Panic) {
    let first = TOLD.get().lock().insert(Like {
        kind: Kind::PanickedTask,
        spawned_at: panic.origin.spawned_at,
        at: Some(panic.like),
        state: TaskState::Panicked,
    });
    if first {
        registry::mention(&panic.origin);
        emit(Kind::PanickedTask, panic.leg);
    }
}

fn emit(kind: Kind, leg: Leg) {
    findings::emit(&Finding {
        kind,
        certainty: Certainty::Observed,
        legs: vec![leg],
        memory: None,
        fatal: false,
        asked: Vec::new(),
        said: None,
    });
}

/// In the child of a fork.
pub fn reset() {
    LATEST.replace(Spin::default());
    TOLD.replace(Spin::default());
    PANICS.replace(Spin::default());
}
