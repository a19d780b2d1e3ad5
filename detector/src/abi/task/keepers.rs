//! Who must act where a wait has no name, as for a message: who has what is waited in,
//! by memory ([`crate::reach`]).
//!
//! A variable that was moved leaves its words behind, most often where a task or
//! thread was spawned with it, and where a task was polled. So of those that have it,
//! who spawned another of them, itself or by others, does not count, nor does a thread
//! between two polls; and one must be left, and no memory that is nobody's. That is named only where it is proved that nothing moves any more, and
//! proves nothing itself.
//!
//! What it misses: waits that several could end; the thread that drives a runtime of
//! its own.

use std::collections::{BTreeMap, BTreeSet};

use super::look::Seen;
use super::registry;
use super::world::{self, Here};
use crate::abi::stuck;
use crate::reach::{RootOf, Task, Waiter, Wakes};
use crate::registry as threads;
use crate::report::wire::ThreadId;
use crate::session;

/// How often a world that does not stand still is looked at again.
const TRIES: u32 = 5;

/// A wait without a name.
#[derive(Debug, Clone, Copy)]
pub struct Unnamed {
    /// Whose.
    pub who: ThreadId,
    /// Where it sleeps, if it is a thread.
    pub futex: Option<usize>,
}

/// Who must act for each of these waits, as far as that can be told: pairs of who waits
/// and who must act.
pub fn find(waits: &[Unnamed], here: &Here) -> Vec<(ThreadId, ThreadId)> {
    let all = Parties::now();
    let waiters: Vec<(ThreadId, Waiter)> = waits
        .iter()
        .filter_map(|wait| Some((wait.who, all.waiter(wait)?)))
        .collect();
    if waiters.is_empty() {
        return Vec::new();
    }
    let asked: Vec<Waiter> = waiters.iter().map(|(_, waiter)| *waiter).collect();
    let tasks: Vec<Task> = all.tasks.iter().map(task).collect();
    let search = |attempt| {
        if attempt > 0 {
            stuck::nap(1_u64 << attempt);
        }
        world::search_keepers(&tasks, &all.threads, &asked, here)
    };
    let Some(found) = (0..TRIES).find_map(search) else {
        return Vec::new();
    };
    let named = waiters.iter().zip(found);
    named
        .filter_map(|((who, _), candidates)| Some((*who, all.keeper(*who, &candidates)?)))
        .collect()
}

fn task(seen: &Seen) -> Task {
    let data = seen
        .record
        .placed
        .load(std::sync::atomic::Ordering::Relaxed);
    let mut waker = seen.polls.rest.waker;
    if seen.polls.count == 0 {
        waker[seen.record.data_word & 1] = data;
    }
    Task {
        waker,
        data_word: seen.record.data_word,
        waits: true,
        wakers: None,
        joined_by: None,
        lock: None,
    }
}

/// All live tasks and threads.
struct Parties {
    tasks: Vec<Seen>,
    threads: Vec<ThreadId>,
    /// What the system calls each of the threads.
    handles: Vec<usize>,
    /// Of the tasks that are being polled, by whom.
    polled_by: BTreeMap<ThreadId, ThreadId>,
}

impl Parties {
    fn now() -> Self {
        let tasks: Vec<Seen> = registry::live().into_iter().filter_map(Seen::of).collect();
        let polled = tasks.iter().filter(|seen| seen.facts.running);
        let polled_by = polled
            .filter_map(|seen| Some((seen.record.origin.id, seen.polls.thread?)))
            .collect();
        let records = session::live();
        // SAFETY: records stay mapped for good; what is read does not change.
        let of = |record: &*mut _| unsafe {
            let thread: &crate::rt::thread::Thread = &**record;
            (thread.id, thread.locals.end)
        };
        let (threads, handles) = records.iter().map(of).unzip();
        Self {
            tasks,
            threads,
            handles,
            polled_by,
        }
    }

    fn waiter(&self, wait: &Unnamed) -> Option<Waiter> {
        let Some(futex) = wait.futex else {
            let is = |seen: &Seen| seen.record.origin.id == wait.who;
            return self.tasks.iter().position(is).map(Waiter::Task);
        };
        let thread = self.threads.iter().position(|id| *id == wait.who)?;
        let handle = self.handles[thread];
        let wakes = Wakes { futex, handle };
        Some(Waiter::Thread { thread, wakes })
    }

    /// The task, or the thread that is in the middle of its poll.
    fn actor(&self, task: ThreadId) -> ThreadId {
        self.polled_by.get(&task).copied().unwrap_or(task)
    }

    /// The one that is left.
    fn keeper(&self, who: ThreadId, candidates: &[RootOf]) -> Option<ThreadId> {
        let party = |root: &RootOf| match *root {
            RootOf::Nobody => None,
            RootOf::Stack(at) | RootOf::Locals(at) => Some(self.threads[at]),
            RootOf::Task(at) => Some(self.actor(self.tasks[at].record.origin.id)),
        };
        let mut parties: BTreeSet<ThreadId> =
            candidates.iter().map(party).collect::<Option<_>>()?;
        parties.remove(&who);
        let above: BTreeSet<ThreadId> = parties.iter().flat_map(|id| self.spawners(*id)).collect();
        let mut left: Vec<ThreadId> = parties.difference(&above).copied().collect();
        if left.len() > 1 {
            left.retain(|id| !self.is_between_polls(*id));
        }
        match left[..] {
            [keeper] => Some(keeper),
            _ => None,
        }
    }

    /// True of a thread that polls tasks, and none now.
    fn is_between_polls(&self, id: ThreadId) -> bool {
        let polled = |seen: &Seen| seen.polls.thread == Some(id);
        self.tasks.iter().any(polled) && self.polled_by.values().all(|thread| *thread != id)
    }

    /// Who spawned a task or thread, and what that one polls, and who spawned these.
    fn spawners(&self, of: ThreadId) -> BTreeSet<ThreadId> {
        let mut found = BTreeSet::new();
        let mut queue = vec![of];
        while let Some(id) = queue.pop() {
            let task = self.tasks.iter().find(|seen| seen.record.origin.id == id);
            let by = match task.map(|seen| &seen.record.origin) {
                Some(origin) => Some(origin.parent.as_ref().map_or(origin.thread, |task| task.id)),
                None => threads::describe(id).and_then(|thread| thread.parent),
            };
            let polls = self.polled_by.iter().filter(|(_, thread)| **thread == id);
            let polls = polls.map(|(task, _)| *task);
            for next in by.into_iter().chain(polls) {
                for next in [next, self.actor(next)] {
                    if next != of && found.insert(next) {
                        queue.push(next);
                    }
                }
            }
        }
        found
    }
}
