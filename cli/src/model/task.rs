//! A task of an executor, as a report tells it.

use leakcheck::report::wire::{Executor, Moment, Proof, TaskState};

use super::awaits::Await;
use super::finding::{Thread, ThreadLabel};
use super::frame::Stack;

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Type of its future.
    pub future: String,
    /// Whose it is.
    pub executor: Executor,
    /// What it does.
    pub state: TaskState,
    /// Why it can never run again, where that is proved.
    pub proof: Option<Proof>,
    /// When it was looked at.
    pub moment: Moment,
    /// How often it was polled.
    pub polls: u64,
    /// Polls since its await chain was seen.
    pub polls_since: u64,
    /// Milliseconds since it was spawned.
    pub age_ms: u64,
    /// Milliseconds since its last poll.
    pub idle_ms: u64,
    /// Its join handle is alive.
    pub handle: bool,
    /// Wakers of it, and handles that could abort it.
    pub references: u64,
    /// Who keeps what it waits on, where that was looked for.
    pub held_by: HeldBy,
    /// What it awaits: nothing if it does not wait, or left its waker nowhere.
    pub awaits: Vec<Await>,
    /// Other awaits at the same time: branches of a `select!` or `join!`.
    pub branches: Vec<Stack>,
    /// Who woke it last.
    pub woken: Option<Woken>,
}

/// Who keeps what a task waits on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldBy {
    /// The task itself, and nobody else.
    pub itself: bool,
    /// Other tasks, and threads.
    pub others: Vec<Thread>,
    /// A static variable.
    pub variable: Option<String>,
    /// Memory that nobody has.
    pub leaked: bool,
    /// They can still run. Else it is all what never runs again.
    pub live: bool,
    /// Who has the lock or permit that it waits for, or is the task that it joins.
    pub owner: Option<Thread>,
}

/// Who woke a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Woken {
    /// Who.
    pub by: ThreadLabel,
    /// Where.
    pub at: Stack,
    /// Milliseconds ago.
    pub ago_ms: u64,
}

/// How an executor is called.
pub const fn executor_name(executor: Executor) -> &'static str {
    match executor {
        Executor::Tokio => "tokio",
        Executor::AsyncTask => "async-task",
    }
}
