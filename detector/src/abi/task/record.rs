//! What the runtime keeps of a task.

use std::sync::{Arc, OnceLock};

use super::registry;
use crate::hooks::table;
use crate::report::wire::{self, Executor, TaskType, ThreadId};
use crate::rt::lock::Spin;
use crate::stack::{self, StackId};
use crate::task::{Facts, Reached};

/// Spawners kept of a task.
const SPAWNERS: u32 = 16;
/// Branches of a `select!` kept.
pub const BRANCHES: usize = 4;

/// Where a task comes from: kept as long as the task or one that it spawned.
#[derive(Debug)]
pub struct Origin {
    /// Its number.
    pub id: ThreadId,
    /// Type of its future.
    pub future: &'static str,
    /// Whose it is.
    pub executor: Executor,
    /// Where it was spawned.
    pub spawned_at: StackId,
    /// By which thread.
    pub thread: ThreadId,
    /// By which task, if the thread was polling one.
    pub parent: Option<Arc<Self>>,
    /// One thread polls it, always: its future need not be `Send`.
    pub stays: bool,
    generation: u32,
    name: OnceLock<String>,
}

impl Origin {
    /// Of a task that `parent` spawned, or `thread` alone.
    pub fn new(
        id: ThreadId,
        future: &'static str,
        executor: Executor,
        spawned_at: StackId,
        thread: ThreadId,
        parent: Option<Arc<Self>>,
        stays: bool,
    ) -> Self {
        let generation = parent.as_ref().map_or(0, |parent| parent.generation + 1);
        Self {
            id,
            future,
            executor,
            spawned_at,
            thread,
            // A task that spawns its successor must not keep all before it.
            parent: parent.filter(|_| !generation.is_multiple_of(SPAWNERS)),
            stays,
            generation,
            name: OnceLock::new(),
        }
    }

    /// Its name from now on; a second one is left out.
    pub fn call(&self, name: String) {
        drop(self.name.set(name));
    }

    /// For the wire.
    pub fn describe(&self, finished: bool) -> wire::Thread {
        wire::Thread {
            id: self.id,
            name: self.name.get().cloned(),
            parent: Some(self.parent.as_ref().map_or(self.thread, |task| task.id)),
            spawned_at: stack::get(self.spawned_at),
            finished,
            task: Some(TaskType {
                future: self.future.to_owned(),
                executor: self.executor,
            }),
        }
    }
}

/// A live task.
#[derive(Debug)]
pub struct Record {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// Which word of its wakers is their data pointer.
    pub data_word: usize,
    /// Reads its state.
    inspect: extern "C" fn(*const ()) -> u64,
    /// Nanosecond at which it was spawned.
    pub born: u64,
    /// What changes.
    pub polls: Spin<Polls>,
}

/// What changes of a task.
#[derive(Debug, Default, Clone)]
pub struct Polls {
    /// How often it was polled.
    pub count: u64,
    /// Which thread polls it, or did last.
    pub thread: Option<ThreadId>,
    /// The words of its waker; zero before the first poll.
    pub waker: [usize; 2],
    /// Nanosecond at which the last poll ended.
    pub idle_since: u64,
    /// Where it left its waker: the newest poll's that did so.
    pub chains: [StackId; BRANCHES],
    /// How many of them.
    pub chains_len: usize,
    /// Which poll that was.
    pub chains_poll: u64,
    /// Who woke it last.
    pub woken: Option<Wake>,
    /// Its future is gone: it must not be inspected.
    pub gone: bool,
    /// It is told already, or nothing is to be told of it.
    pub reported: bool,
    /// Its executor is shut down, and drops it after this poll.
    pub shut: bool,
}

/// A wake-up.
#[derive(Debug, Clone, Copy)]
pub struct Wake {
    /// By whom.
    pub by: ThreadId,
    /// Where.
    pub at: StackId,
    /// When.
    pub time: u64,
}

impl Polls {
    /// The task left its waker somewhere.
    pub fn add_chain(&mut self, chain: StackId) {
        if self.chains_poll != self.count {
            self.chains_poll = self.count;
            self.chains_len = 0;
        }
        let known = &self.chains[..self.chains_len];
        if self.chains_len < BRANCHES && !known.contains(&chain) {
            self.chains[self.chains_len] = chain;
            self.chains_len += 1;
        }
    }

    /// Where it left its waker, the latest first.
    pub fn chains(&self) -> impl Iterator<Item = StackId> {
        self.chains[..self.chains_len].iter().rev().copied()
    }
}

impl Record {
    /// Of a new task.
    pub fn new(
        origin: Arc<Origin>,
        data_word: u32,
        inspect: extern "C" fn(*const ()) -> u64,
        born: u64,
    ) -> Self {
        Self {
            origin,
            data_word: data_word as usize & 1,
            inspect,
            born,
            polls: Spin::new(Polls::default()),
        }
    }

    /// True if who polls the handle of the task, whose wakers have `data`, is
    /// given its panic.
    pub fn keeps_panic(&self, data: usize) -> bool {
        data != 0 && (self.inspect)(data as *const ()) & table::KEEPS_PANIC != 0
    }

    /// What its state is and what else is known of it; none if it is gone.
    pub fn look(&self) -> Option<(Facts, Polls)> {
        // The future is not dropped as long as the lock is held, nor is what
        // its wakers point to.
        let polls = self.polls.lock();
        if polls.gone {
            return None;
        }
        let state = match polls.waker[self.data_word] {
            // It was never polled, and where its state is is not known.
            0 => table::IS_SCHEDULED,
            data => (self.inspect)(data as *const ()),
        };
        let is = |flag| state & flag != 0;
        let facts = Facts {
            polls: polls.count,
            scheduled: is(table::IS_SCHEDULED),
            running: is(table::IS_RUNNING),
            complete: is(table::IS_COMPLETE),
            cancelled: is(table::IS_CANCELLED),
            handle: is(table::HAS_HANDLE),
            references: (state >> table::REFERENCES_SHIFT)
                .saturating_sub(registry::kept(polls.waker[self.data_word])),
            reached: Reached::Live,
        };
        Some((facts, polls.clone()))
    }
}
