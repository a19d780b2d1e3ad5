//! Locks that a task takes while it has another, of which one at least is an executor's:
//! the lock-order graph of [`crate::lockorder`], with tasks in the place of threads. A
//! lock that blocks the thread is there beside those that a task awaits; two such locks
//! are [`crate::abi::order`]'s.
//!
//! Who knew of whose edge, what synchronises says ([`schedule`]): that one thread polled
//! both orders nothing. Whose function took a lock, the reader of the wire file knows.
//!
//! A semaphore is a lock for who has all of its permits, as long as nobody adds any. A
//! permit that is not borrowed may go to another task, as other guards that own their
//! lock, and who took it goes on without it: so an edge from such a lock counts once its
//! own task has given it back.
//!
//! Who waits for a lock that blocks the thread lets no other task of that thread go on.
//! So where one thread alone polls both, such an edge meets no other.
//!
//! What it misses: cycles with an edge of two locks that block; locks that were only
//! tried; the orders of two tasks that stay on one thread, which are not told apart
//! there; a guard that goes with its task to another thread; one that owns its lock and is
//! dropped with its task; two parts of a semaphore's permits that are more than it has;
//! what is taken while tasks are not looked at.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::poll::{self, actor, polled};
use super::record::Origin;
use super::{locks, registry};
use crate::abi::order::{self, MOST, NEAREST};
use crate::lockorder::{Edge, Hold, LockNumber, LockOrder, Past};
use crate::objects;
use crate::report::wire::{ThreadId, WaitOn};
use crate::rt::lock::Spin;
use crate::rt::thread::{Taker, Thread};
use crate::schedule::replay::Object;
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

/// A lock that a task, or a thread outside of tasks, has.
#[derive(Clone, Copy)]
struct Held {
    hold: Hold,
    /// Where the log was when it began to wait for the lock; none of a lock that
    /// only keeps others out.
    wanted: Option<u64>,
    /// Its guard may go to another task.
    may_go: bool,
}

/// A lock of an executor's that a task has.
struct Kept {
    held: Held,
    /// Edges from it, if its guard may go: they count if it does not.
    edges: Vec<Edge<Made>>,
}

/// Who made an edge, and when.
#[derive(Clone)]
struct Made {
    now: Moment,
    /// Where the log was when it began to wait for the first lock.
    wanted: u64,
    /// By whom; none outside of tasks.
    task: Option<Arc<Origin>>,
    /// On which thread.
    thread: ThreadId,
    /// No other thread could have made it.
    has_one_thread: bool,
    /// The second lock blocks that thread.
    blocks: bool,
}

impl Past for Made {
    fn knew_of(&self, other: &Self) -> bool {
        other.now.is_known(&self.now, self.wanted)
    }

    fn takes_turns_with(&self, other: &Self) -> bool {
        let on_one = self.thread == other.thread && self.has_one_thread && other.has_one_thread;
        self.now.is_of_the_same(&other.now) || on_one && (self.blocks || other.blocks)
    }
}

#[derive(Default)]
struct State {
    /// The executor's.
    held: HashMap<ThreadId, Vec<Kept>>,
    order: LockOrder<Made>,
    /// Edges so far between two locks.
    edges: HashMap<(LockNumber, LockNumber), u32>,
    told: usize,
}

static STATE: Spin<Option<State>> = Spin::new(None);

/// How many of an executor's locks tasks have, by their numbers: where that is none,
/// a lock that blocks needs no look at [`STATE`].
static HOLDING: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];

fn holding(who: ThreadId) -> &'static AtomicU32 {
    &HOLDING[who.0 as usize % HOLDING.len()]
}

/// A lock, or something like one, that was just taken.
pub struct Taken {
    /// Its address.
    pub addr: usize,
    /// Others may have it at the same time.
    pub shared: bool,
    /// Where.
    pub at: StackId,
    /// Where the log was when the wait for it began.
    pub wanted: u64,
}

/// For whom the thread has just taken the lock at this address, which blocks, if tasks
/// are looked at.
#[inline]
pub fn taker(thread: &Thread, addr: usize) -> Option<Taker> {
    schedule::is_on().then(|| Taker {
        who: actor(thread),
        poll: poll::number(),
        logged: schedule::came_to(Object::address(addr)),
    })
}

/// What runs on the thread has taken a lock of an executor's.
pub fn taken(thread: &mut Thread, taken: &Taken) {
    if !schedule::is_wanted() || !wire::supervised() || !map::covers(taken.addr, 1) {
        return;
    }
    // SAFETY: covered, as just checked.
    let lock = unsafe { objects::get(thread, taken.addr) }
        .lock_number()
        .of_permits();
    let hold = Hold {
        lock,
        addr: taken.addr as u64,
        shared: taken.shared,
        on: WaitOn::Futex,
        at: taken.at,
    };
    let who = actor(thread);
    let made = made(thread, taken.wanted, false);
    let mut had = blocking(thread, who);
    {
        let mut state = STATE.lock();
        let state = state.get_or_insert_default();
        let held = state.held.entry(who).or_default();
        had.extend(held.iter().map(|kept| kept.held));
        if held.len() == KEPT {
            held.remove(0);
        } else {
            holding(who).fetch_add(1, Ordering::Relaxed);
        }
        held.push(Kept {
            held: Held {
                hold,
                wanted: Some(taken.wanted),
                may_go: true,
            },
            edges: Vec::new(),
        });
    }
    if let Some(made) = made {
        adds(who, &made, had, hold);
    }
}

/// What runs on the thread has taken a lock that blocks, the last of those that the
/// thread has.
pub fn blocks(thread: &mut Thread) {
    let who = actor(thread);
    if holding(who).load(Ordering::Relaxed) == 0 {
        return;
    }
    let Some(made) = made(thread, 0, true) else {
        return;
    };
    let mut gates = blocking(thread, who);
    let Some(Held { hold, .. }) = gates.pop() else {
        return;
    };
    for gate in &mut gates {
        gate.wanted = None;
    }
    let mut had = gates;
    {
        let state = STATE.lock();
        let held = state.as_ref().and_then(|state| state.held.get(&who));
        let Some(held) = held else { return };
        had.extend(held.iter().map(|kept| kept.held));
    }
    adds(who, &made, had, hold);
}

/// Adds the edges of who takes a lock now, and `had` others; tells the cycles that they
/// close.
fn adds(who: ThreadId, made: &Made, mut had: Vec<Held>, to: Hold) {
    // Names are read while nobody waits.
    for held in had.iter_mut().filter(|held| held.may_go) {
        held.may_go = !locks::borrows(held.hold.at);
    }
    let cycles = {
        let mut state = STATE.lock();
        let state = state.get_or_insert_default();
        state.cycles(who, made, &had, to)
    };
    tell(cycles);
}

/// An edge of what runs on the thread, if that is noted; its second lock `blocks`.
fn made(thread: &Thread, wanted: u64, blocks: bool) -> Option<Made> {
    let task = polled();
    Some(Made {
        now: Moment::now(thread)?,
        wanted,
        task: task.map(|task| Arc::clone(&task.origin)),
        thread: thread.id,
        has_one_thread: task.is_none_or(|task| task.has_one_thread()),
        blocks,
    })
}

/// The locks that block which `who` has, of those of the thread that runs it. A task that
/// threads share has those of the poll at hand: what the thread has of an earlier one may
/// have been given back elsewhere. What was taken while tasks were not looked at counts as
/// the thread's own, and only keeps others out.
fn blocking(thread: &mut Thread, who: ThreadId) -> Vec<Held> {
    let task = polled();
    let shared = task.is_some_and(|task| !task.has_one_thread());
    let poll = poll::number();
    let is_own = |by: Taker| by.who == who && (by.poll == poll || !shared);
    let number = thread.locks().len();
    let of = |at: usize| {
        let taker = thread.locks()[at].taker;
        taker.map_or(task.is_none(), is_own).then_some(())?;
        Some(Held {
            hold: order::hold(thread, at)?,
            wanted: taker.map(|by| by.logged),
            may_go: false,
        })
    };
    (0..number).filter_map(of).collect()
}

fn tell(cycles: Vec<Vec<Edge<Made>>>) {
    for cycle in cycles {
        for task in cycle.iter().filter_map(|edge| edge.past.task.as_ref()) {
            registry::mention(task);
        }
        order::tell(cycle);
    }
}

impl State {
    /// The lock at this address that the task has no longer.
    fn takes_back(&mut self, owner: ThreadId, addr: usize) -> Option<Kept> {
        let held = self.held.get_mut(&owner)?;
        let at = held
            .iter()
            .rposition(|kept| kept.held.hold.addr == addr as u64)?;
        let kept = held.remove(at);
        holding(owner).fetch_sub(1, Ordering::Relaxed);
        if held.is_empty() {
            self.held.remove(&owner);
        }
        Some(kept)
    }

    /// The cycles that are closed by who takes a lock now, and has others.
    fn cycles(
        &mut self,
        who: ThreadId,
        made: &Made,
        had: &[Held],
        to: Hold,
    ) -> Vec<Vec<Edge<Made>>> {
        let mut cycles = Vec::new();
        let own = had.iter().enumerate().rev();
        let own = own.filter_map(|(at, held)| Some((at, held, held.wanted?)));
        for (
            at,
            &Held {
                hold: from, may_go, ..
            },
            wanted,
        ) in own.take(NEAREST)
        {
            let pair = (from.lock, to.lock);
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
            let others = had.iter().enumerate().filter(|(other, _)| *other != at);
            let edge = Edge {
                thread: who,
                past: Made {
                    wanted,
                    ..made.clone()
                },
                from,
                to,
                others: others.map(|(_, held)| held.hold).collect(),
            };
            if may_go {
                self.puts_off(edge);
            } else {
                cycles.extend(self.add(edge));
            }
        }
        cycles
    }

    /// Keeps an edge until the first of its locks is given back.
    fn puts_off(&mut self, edge: Edge<Made>) {
        let held = self.held.get_mut(&edge.thread).into_iter().flatten();
        let mut same = held.rev().filter(|kept| kept.held.hold == edge.from);
        if let Some(kept) = same.next() {
            kept.edges.push(edge);
        }
    }

    fn add(&mut self, edge: Edge<Made>) -> Option<Vec<Edge<Made>>> {
        let found = self.order.add(edge);
        self.told += usize::from(found.is_some());
        found
    }
}

/// `who` gives a lock back that it took, or else that `holder` did.
pub fn given_back(who: ThreadId, holder: ThreadId, addr: usize) {
    let cycles = {
        let mut state = STATE.lock();
        let Some(state) = state.as_mut() else { return };
        match state.takes_back(who, addr) {
            Some(kept) => kept
                .edges
                .into_iter()
                .filter_map(|edge| state.add(edge))
                .collect(),
            None => {
                state.takes_back(holder, addr);
                Vec::new()
            }
        }
    };
    tell(cycles);
}

/// The task is gone.
pub fn ended(who: ThreadId) {
    if let Some(state) = STATE.lock().as_mut()
        && let Some(held) = state.held.remove(&who)
    {
        holding(who).fetch_sub(held.len() as u32, Ordering::Relaxed);
    }
}

/// In the child of a fork.
pub fn reset() {
    STATE.reset();
    *STATE.lock() = None;
    for count in &HOLDING {
        count.store(0, Ordering::Relaxed);
    }
}
