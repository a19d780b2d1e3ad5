//! Locks of an executor's that a task takes while it has another: the lock-order graph
//! of [`crate::lockorder`], with tasks in the place of threads.
//!
//! Who knew of whose edge, what synchronises says ([`schedule`]): that one thread polled
//! both orders nothing. A semaphore that is no lock makes edges too; whose function took
//! it, the reader of the wire file knows.
//!
//! What it misses: orders of such a lock and of one that blocks the thread; locks that
//! were only tried; tasks that stay on their thread, which are not told apart there;
//! what is taken while tasks are not looked at.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::Origin;
use super::registry;
use crate::abi::order::{self, MOST, NEAREST};
use crate::lockorder::{Edge, Hold, LockNumber, LockOrder, Past};
use crate::objects;
use crate::report::wire::{ThreadId, WaitOn};
use crate::rt::lock::Spin;
use crate::rt::thread::Thread;
use crate::schedule::{self, Moment};
use crate::shadow::map;
use crate::stack::StackId;
use crate::wire;

/// Locks of a task that are kept.
const KEPT: usize = 16;
/// So many edges between the same two locks are looked into, and of those beyond
/// fewer and fewer.
const ALL_OF: u32 = 16;
/// Pairs of locks that are counted.
const PAIRS: usize = 1 << 15;

/// A lock that a task has.
struct Held {
    hold: Hold,
    /// Where the log was when it began to wait for the lock.
    wanted: u64,
}

/// When a task made an edge.
#[derive(Clone)]
struct Polled {
    now: Moment,
    /// Where the log was when it began to wait for the first lock.
    wanted: u64,
    /// Who; none outside of tasks.
    task: Option<Arc<Origin>>,
}

impl Past for Polled {
    fn knew_of(&self, other: &Self) -> bool {
        other.now.is_known(&self.now, self.wanted)
    }
}

#[derive(Default)]
struct State {
    held: HashMap<ThreadId, Vec<Held>>,
    order: LockOrder<Polled>,
    /// Edges so far between two locks.
    edges: HashMap<(LockNumber, LockNumber), u32>,
    told: usize,
}

static STATE: Spin<Option<State>> = Spin::new(None);

/// A lock, or something like one, that was just taken.
pub struct Taken {
    /// Its address.
    pub addr: usize,
    /// Where.
    pub at: StackId,
    /// Where the log was when the wait for it began.
    pub wanted: u64,
}

/// The task, or the thread `who`, has taken a lock.
pub fn taken(thread: &mut Thread, who: ThreadId, task: Option<&Arc<Origin>>, taken: &Taken) {
    if !schedule::is_wanted() || !wire::supervised() || !map::covers(taken.addr, 1) {
        return;
    }
    // SAFETY: covered, as just checked.
    let lock = unsafe { objects::get(thread, taken.addr) }.lock_number();
    let hold = Hold {
        lock,
        addr: taken.addr as u64,
        shared: false,
        on: WaitOn::Futex,
        at: taken.at,
    };
    let now = Moment::now(thread, who);
    let cycles = {
        let mut state = STATE.lock();
        let state = state.get_or_insert_default();
        let cycles = now.map_or_else(Vec::new, |now| state.cycles(who, now, task, hold));
        let held = state.held.entry(who).or_default();
        if held.len() == KEPT {
            held.remove(0);
        }
        let wanted = taken.wanted;
        held.push(Held { hold, wanted });
        cycles
    };
    for cycle in cycles {
        for task in cycle.iter().filter_map(|edge| edge.past.task.as_ref()) {
            registry::mention(task);
        }
        order::tell(cycle);
    }
}

impl State {
    /// The cycles that are closed by who takes a lock now.
    fn cycles(
        &mut self,
        who: ThreadId,
        now: Moment,
        task: Option<&Arc<Origin>>,
        to: Hold,
    ) -> Vec<Vec<Edge<Polled>>> {
        let Some(held) = self.held.get(&who) else {
            return Vec::new();
        };
        let mut cycles = Vec::new();
        for (at, from) in held.iter().enumerate().rev().take(NEAREST) {
            let pair = (from.hold.lock, to.lock);
            if pair.0 == pair.1 || self.told >= MOST {
                continue;
            }
            if self.edges.len() >= PAIRS {
                self.edges.clear();
            }
            let count = self.edges.entry(pair).or_default();
            *count = count.saturating_add(1);
            if *count > ALL_OF && !count.is_power_of_two() {
                continue;
            }
            let others = held.iter().enumerate().filter(|(other, _)| *other != at);
            let found = self.order.add(Edge {
                thread: who,
                past: Polled {
                    now,
                    wanted: from.wanted,
                    task: task.cloned(),
                },
                from: from.hold,
                to,
                others: others.map(|(_, held)| held.hold).collect(),
            });
            self.told += usize::from(found.is_some());
            cycles.extend(found);
        }
        cycles
    }
}

/// `who` gives a lock back that it took, or else that `holder` did.
pub fn given_back(who: ThreadId, holder: ThreadId, addr: usize) {
    let mut state = STATE.lock();
    let Some(state) = state.as_mut() else { return };
    for owner in [who, holder] {
        let Some(held) = state.held.get_mut(&owner) else {
            continue;
        };
        if let Some(at) = held.iter().rposition(|held| held.hold.addr == addr as u64) {
            held.remove(at);
            if held.is_empty() {
                state.held.remove(&owner);
            }
            return;
        }
    }
}

/// The task is gone.
pub fn ended(who: ThreadId) {
    if let Some(state) = STATE.lock().as_mut() {
        state.held.remove(&who);
    }
}

/// In the child of a fork.
pub fn reset() {
    STATE.reset();
    *STATE.lock() = None;
}
