//! Locks that a thread takes while it has another: what goes into the
//! lock-order graph of [`crate::lockorder`], and what comes out of it.
//!
//! A word that looks like a lock may be none, and one that was only tried does
//! not make its thread wait: whose function took it, the reader of the wire
//! file knows. So nothing is told where nobody reads it.

use super::task;
use crate::findings;
use crate::lockorder::{Edge, Hold, Known, LockOrder, Past};
use crate::objects;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Finding, Leg, Lock, Wait};
use crate::rt::lock::Spin;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::shadow::map;
use crate::stack;
use crate::wire;

/// Of the locks that a thread has, those that it took last are in edges; all are
/// gates.
pub const NEAREST: usize = 6;
/// Cycles that one process tells of, at most.
pub const MOST: usize = 64;

struct State {
    order: LockOrder,
    told: usize,
}

static STATE: Spin<Option<State>> = Spin::new(None);

/// In the child of a fork: the orders of its parent stay there.
pub fn reset() {
    STATE.reset();
    *STATE.lock() = None;
}

/// The thread has just taken a lock, the last of those that it has.
#[cold]
#[inline(never)]
pub fn taken(thread: &mut Thread) {
    if mode::leaks_alone() || !wire::supervised() {
        return;
    }
    thread.busy += 1;
    if thread.locks().len() > 1 {
        for cycle in cycles(thread) {
            tell(cycle);
        }
    }
    task::order::blocks(thread);
    thread.busy -= 1;
}

fn cycles(thread: &mut Thread) -> Vec<Vec<Edge>> {
    let holds: Option<Vec<Hold>> = (0..thread.locks().len())
        .map(|at| hold(thread, at))
        .collect();
    let Some(mut holds) = holds else {
        return Vec::new();
    };
    let Some(taken) = holds.pop() else {
        return Vec::new();
    };
    let edges: Vec<Edge> = (holds.len().saturating_sub(NEAREST)..holds.len())
        .filter(|&at| holds[at].lock != taken.lock)
        .map(|at| Edge {
            thread: thread.id,
            past: Known {
                stamp: thread.stamp_value(),
                knew: thread.knew_before(at).to_vec(),
            },
            from: holds[at],
            to: taken,
            others: holds
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, hold)| *hold)
                .collect(),
        })
        .collect();
    let mut state = STATE.lock();
    let state = state.get_or_insert_with(|| State {
        order: LockOrder::default(),
        told: 0,
    });
    if state.told >= MOST {
        return Vec::new();
    }
    let found: Vec<Vec<Edge>> = edges
        .into_iter()
        .filter_map(|edge| state.order.add(edge))
        .collect();
    state.told += found.len();
    found
}

/// The lock at this place of those that the thread has.
pub fn hold(thread: &mut Thread, at: usize) -> Option<Hold> {
    let held = thread.held_then(at);
    let (addr, on) = (held.addr as usize, thread.locks()[at].on);
    if !map::covers(addr, 1) {
        return None;
    }
    // SAFETY: covered, as just checked.
    let object = unsafe { objects::get(thread, addr) };
    Some(Hold {
        lock: object.lock_number(),
        addr: held.addr,
        shared: held.shared,
        on,
        at: held.stack,
    })
}

/// Reports a cycle of edges.
#[cold]
pub fn tell<P: Past>(mut cycle: Vec<Edge<P>>) {
    // The edge of now last.
    cycle.rotate_left(1);
    let next = cycle.iter().cycle().skip(1);
    findings::emit(&Finding {
        kind: Kind::LockOrder,
        certainty: Certainty::Potential,
        legs: cycle
            .iter()
            .zip(next)
            .map(|(edge, next)| leg(edge, next))
            .collect(),
        memory: None,
        said: None,
        fatal: false,
        asked: Vec::new(),
    });
}

fn leg<P: Past>(edge: &Edge<P>, next: &Edge<P>) -> Leg {
    let lock = |hold: &Hold| Lock {
        addr: hold.addr,
        stack: stack::get(hold.at),
        shared: hold.shared,
    };
    Leg {
        thread: edge.thread,
        stack: stack::get(edge.to.at),
        access: None,
        locks: std::iter::once(&edge.from)
            .chain(&edge.others)
            .map(lock)
            .collect(),
        wait: Some(Wait {
            on: edge.to.on,
            for_ms: 0,
            timed: false,
            addr: Some(edge.to.addr),
            owner: Some(next.thread),
            acquired_at: stack::get(next.from.at),
        }),
        task: None,
    }
}
