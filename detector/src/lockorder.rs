//! The lock-order graph: locks that threads take in orders that do not go
//! together, before they ever meet in a deadlock.
//!
//! Havelund, *Using Runtime Analysis to Guide Model Checking of Java Programs*
//! (SPIN 2000), with the gate locks and the segments of Bensalem and Havelund,
//! *Dynamic Deadlock Analysis of Multi-threaded Programs* (HVC 2005). An edge
//! says that a thread took one lock while it had another. A cycle of edges is
//! a possible deadlock if
//! - each edge is another thread's;
//! - no two of the threads had a common lock, which would keep one out (a gate);
//! - at each lock, what one thread had keeps out what the other wants: two
//!   readers do not;
//! - nothing ordered one edge before another but the locks of that edge
//!   themselves: who knew of the other's edge before it took its first lock
//!   came after it, by a join, a channel or an atomic.
//!
//! Pure: the caller numbers the locks, anew where the memory of one ends, and
//! says what a thread knew.
//!
//! What it misses: orders that are kept apart in this run by chance, for
//! instance because both threads took a third lock one after the other before;
//! cycles of more than [`LONGEST`] locks; of an edge that many threads make,
//! all but the last [`WAYS`]; a reader that waits behind a waiting writer.

use std::collections::{HashMap, HashSet};

use crate::clock;
use crate::ids::StackId;
use crate::report::wire::{ThreadId, WaitOn};
use crate::shadow::word::Stamp;

/// Locks in a cycle, at most.
pub const LONGEST: usize = 4;
/// Edges kept between the same two locks.
pub const WAYS: usize = 8;
/// Pairs of locks kept; then all is forgotten, most of those locks being gone.
const PAIRS: usize = 1 << 15;
/// Edges looked at in the search for one cycle.
const STEPS: usize = 4096;

/// The number of a lock. Never that of a lock whose memory has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockNumber(pub u32);

impl LockNumber {
    /// Of the permits that are counted where a word may be a lock by itself: a
    /// semaphore begins with the lock of its list.
    #[must_use]
    pub const fn of_permits(self) -> Self {
        Self(self.0 | 1 << 31)
    }
}

/// A lock that a thread has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub lock: LockNumber,
    /// Its address.
    pub addr: u64,
    /// For reading.
    pub shared: bool,
    /// What it is, as far as the call that took it says.
    pub on: WaitOn,
    /// Where it was taken.
    pub at: StackId,
}

/// When an edge was made, and what its thread or task knew before.
pub trait Past: Clone {
    /// True if what was done at the other edge was known before the first lock of
    /// this one was taken.
    fn knew_of(&self, other: &Self) -> bool;

    /// True if one must be done for the other to begin, whatever the locks: as
    /// two tasks of one thread, of which one keeps that thread while it waits.
    fn takes_turns_with(&self, other: &Self) -> bool;
}

/// The past of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When.
    pub stamp: Stamp,
    /// What it knew before it took the first lock, by slot.
    pub knew: Vec<u64>,
}

impl Past for Known {
    fn knew_of(&self, other: &Self) -> bool {
        clock::covers(&self.knew, other.stamp.slot(), other.stamp.epoch())
    }

    fn takes_turns_with(&self, _other: &Self) -> bool {
        false
    }
}

/// A thread, or a task, has taken a lock while it had another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge<P = Known> {
    /// Who.
    pub thread: ThreadId,
    /// When, and what it knew before it took `from`.
    pub past: P,
    /// What it had.
    pub from: Hold,
    /// What it took.
    pub to: Hold,
    /// What else it had.
    pub others: Vec<Hold>,
}

impl<P: Past> Edge<P> {
    fn held(&self) -> impl Iterator<Item = &Hold> {
        std::iter::once(&self.from).chain(&self.others)
    }

    /// The same thread doing the same again.
    fn repeats(&self, other: &Self) -> bool {
        self.thread == other.thread
            && self.from == other.from
            && self.to == other.to
            && self.others == other.others
    }

    /// True if both threads could be there at once, as far as other locks and
    /// what ordered them say.
    fn may_meet(&self, other: &Self) -> bool {
        let gate = |held: &Hold| {
            let same = |other: &Hold| other.lock == held.lock && !(other.shared && held.shared);
            other.held().any(same)
        };
        self.thread != other.thread
            && !self.held().any(gate)
            && !self.past.takes_turns_with(&other.past)
            && !self.past.knew_of(&other.past)
            && !other.past.knew_of(&self.past)
    }

    /// True if who has what `next` has keeps this one from what it wants.
    fn is_kept_out_by(&self, next: &Self) -> bool {
        self.to.lock == next.from.lock && !(self.to.shared && next.from.shared)
    }
}

/// The places of a cycle, in an order of their own.
type Places = Vec<(u32, u32)>;

/// The edges so far.
#[derive(Debug)]
pub struct LockOrder<P = Known> {
    edges: HashMap<(LockNumber, LockNumber), Vec<Edge<P>>>,
    /// Which locks were taken under each.
    after: HashMap<LockNumber, Vec<LockNumber>>,
    told: HashSet<Places>,
    /// Counts pairs; with it, the pairs that no path leads back through.
    version: u64,
    no_way_back: HashMap<(LockNumber, LockNumber), u64>,
}

impl<P> Default for LockOrder<P> {
    fn default() -> Self {
        Self {
            edges: HashMap::new(),
            after: HashMap::new(),
            told: HashSet::new(),
            version: 0,
            no_way_back: HashMap::new(),
        }
    }
}

impl<P: Past> LockOrder<P> {
    /// Adds an edge. Returns the cycle that it closes, the new edge first, if
    /// there is one that was not told before.
    pub fn add(&mut self, edge: Edge<P>) -> Option<Vec<Edge<P>>> {
        let pair = (edge.from.lock, edge.to.lock);
        if pair.0 == pair.1 {
            return None;
        }
        if self.edges.len() >= PAIRS {
            *self = Self {
                told: std::mem::take(&mut self.told),
                ..Self::default()
            };
        }
        let ways = self.edges.entry(pair).or_default();
        if ways.is_empty() {
            self.version += 1;
            self.after.entry(pair.0).or_default().push(pair.1);
        }
        match ways.iter().position(|known| known.repeats(&edge)) {
            Some(at) => ways[at].clone_from(&edge),
            None => {
                if ways.len() == WAYS {
                    ways.remove(0);
                }
                ways.push(edge.clone());
            }
        }
        if self.no_way_back.get(&pair) == Some(&self.version) {
            return None;
        }
        if !self.leads_back(pair) {
            self.no_way_back.insert(pair, self.version);
            return None;
        }
        let mut steps = STEPS;
        let mut path = vec![&edge];
        let found = self.search(&mut path, &mut steps)?;
        self.told.insert(places(&found));
        Some(found)
    }

    /// True if some path of edges leads from the second lock to the first.
    fn leads_back(&self, (first, second): (LockNumber, LockNumber)) -> bool {
        let mut reached = vec![second];
        let mut seen = HashSet::from([second]);
        let mut next = 0;
        // A path has one edge less than the cycle.
        let mut until = 1;
        for _ in 1..LONGEST {
            while next < until {
                for &lock in self.after.get(&reached[next]).into_iter().flatten() {
                    if lock == first {
                        return true;
                    }
                    if seen.insert(lock) {
                        reached.push(lock);
                    }
                }
                next += 1;
            }
            until = reached.len();
        }
        false
    }

    /// Goes on from the last edge of a path until the first lock is reached.
    fn search<'a>(
        &'a self,
        path: &mut Vec<&'a Edge<P>>,
        steps: &mut usize,
    ) -> Option<Vec<Edge<P>>> {
        let (first, last) = (*path.first()?, *path.last()?);
        let fits = |next: &Edge<P>, path: &[&Edge<P>]| {
            last.is_kept_out_by(next) && path.iter().all(|edge| edge.may_meet(next))
        };
        // Short cycles first: those that close here.
        let closing = (last.to.lock, first.from.lock);
        for next in self.edges.get(&closing).into_iter().flatten() {
            *steps = steps.checked_sub(1)?;
            if fits(next, path) && next.is_kept_out_by(first) {
                let cycle: Vec<Edge<P>> = path.iter().copied().chain([next]).cloned().collect();
                if !self.told.contains(&places(&cycle)) {
                    return Some(cycle);
                }
            }
        }
        if path.len() + 2 > LONGEST {
            return None;
        }
        for &lock in self.after.get(&last.to.lock).into_iter().flatten() {
            if path.iter().any(|edge| edge.from.lock == lock) {
                continue;
            }
            for next in self.edges.get(&(last.to.lock, lock)).into_iter().flatten() {
                *steps = steps.checked_sub(1)?;
                if fits(next, path) {
                    path.push(next);
                    let found = self.search(path, steps);
                    path.pop();
                    if found.is_some() {
                        return found;
                    }
                }
            }
        }
        None
    }
}

fn places<P>(cycle: &[Edge<P>]) -> Places {
    let of = |edge: &Edge<P>| (edge.from.at.0, edge.to.at.0);
    let mut places: Places = cycle.iter().map(of).collect();
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{Epoch, Slot};

    fn hold(lock: u32, at: u32) -> Hold {
        Hold {
            lock: LockNumber(lock),
            addr: u64::from(lock) * 16,
            shared: false,
            on: WaitOn::Futex,
            at: StackId(at),
        }
    }

    fn read(lock: u32, at: u32) -> Hold {
        Hold {
            shared: true,
            ..hold(lock, at)
        }
    }

    /// Thread `thread`, of the slot of that number, takes `to` under `from`,
    /// and knows nothing of others.
    fn edge(thread: u32, from: Hold, to: Hold) -> Edge {
        Edge {
            thread: ThreadId(thread),
            past: known(thread, 5, Vec::new()),
            from,
            to,
            others: Vec::new(),
        }
    }

    fn known(slot: u32, epoch: u64, knew: Vec<u64>) -> Known {
        let stamp = Stamp::new(Slot::new(slot as usize), Epoch::new(epoch));
        Known { stamp, knew }
    }

    fn threads(cycle: Option<Vec<Edge>>) -> Vec<u32> {
        let cycle = cycle.unwrap_or_default();
        cycle.iter().map(|edge| edge.thread.0).collect()
    }

    #[test]
    fn two_threads_in_two_orders() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, hold(1, 10), hold(2, 11))), None);
        let second = edge(2, hold(2, 20), hold(1, 21));
        assert_eq!(threads(order.add(second.clone())), [2, 1]);
        // Once.
        assert_eq!(order.add(second), None);
        // Elsewhere it is another one.
        assert_eq!(
            threads(order.add(edge(2, hold(2, 30), hold(1, 31)))),
            [2, 1]
        );
    }

    #[test]
    fn one_thread_cannot_meet_itself() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, hold(1, 10), hold(2, 11))), None);
        assert_eq!(order.add(edge(1, hold(2, 20), hold(1, 21))), None);
    }

    #[test]
    fn a_gate_keeps_one_out() {
        let with = |first: Hold, second: Hold| {
            let mut order = LockOrder::default();
            let mut there = edge(1, hold(1, 10), hold(2, 11));
            there.others.push(first);
            let mut back = edge(2, hold(2, 20), hold(1, 21));
            back.others.push(second);
            assert_eq!(order.add(there), None);
            threads(order.add(back))
        };
        assert!(with(hold(3, 1), hold(3, 2)).is_empty());
        assert!(with(read(3, 1), hold(3, 2)).is_empty());
        // Two readers are in at once, and two locks are no gate.
        assert_eq!(with(read(3, 1), read(3, 2)), [2, 1]);
        assert_eq!(with(hold(3, 1), hold(4, 2)), [2, 1]);
    }

    #[test]
    fn readers_do_not_keep_readers_out() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, read(1, 10), hold(2, 11))), None);
        assert_eq!(order.add(edge(2, hold(2, 20), read(1, 21))), None);
        assert_eq!(
            threads(order.add(edge(3, hold(2, 30), hold(1, 31)))),
            [3, 1]
        );
    }

    #[test]
    fn who_knew_came_after() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, hold(1, 10), hold(2, 11))), None);
        let mut after = edge(2, hold(2, 20), hold(1, 21));
        after.past.knew = vec![0, 5];
        assert_eq!(order.add(after.clone()), None);
        // The first thread goes on, in an epoch that the second does not know.
        let mut again = edge(1, hold(1, 10), hold(2, 11));
        again.past = known(1, 6, Vec::new());
        assert_eq!(threads(order.add(again)), [1, 2]);
    }

    #[test]
    fn three_locks_in_a_ring() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, hold(1, 10), hold(2, 11))), None);
        assert_eq!(order.add(edge(2, hold(2, 20), hold(3, 21))), None);
        assert_eq!(
            threads(order.add(edge(3, hold(3, 30), hold(1, 31)))),
            [3, 1, 2]
        );
    }

    #[test]
    fn a_thread_that_is_twice_in_a_ring_breaks_it() {
        let mut order = LockOrder::default();
        assert_eq!(order.add(edge(1, hold(1, 10), hold(2, 11))), None);
        assert_eq!(order.add(edge(2, hold(2, 20), hold(3, 21))), None);
        assert_eq!(order.add(edge(1, hold(3, 30), hold(1, 31))), None);
    }

    #[test]
    fn an_order_that_was_no_way_back_becomes_one() {
        let mut order = LockOrder::default();
        let there = edge(1, hold(1, 10), hold(2, 11));
        assert_eq!(order.add(there.clone()), None);
        assert_eq!(order.add(there.clone()), None);
        // Gated by nothing, but by the same thread.
        assert_eq!(order.add(edge(1, hold(2, 20), hold(1, 21))), None);
        let mut other = there;
        other.thread = ThreadId(7);
        assert_eq!(threads(order.add(other)), [7, 1]);
    }

    #[test]
    fn when_there_are_too_many_pairs_it_begins_anew() {
        let mut order = LockOrder::default();
        for lock in 0..PAIRS as u32 + 5 {
            assert_eq!(order.add(edge(1, hold(lock, 10), hold(lock + 1, 11))), None);
        }
        assert!(order.edges.len() <= PAIRS);
        let last = PAIRS as u32 + 4;
        let back = edge(2, hold(last + 1, 20), hold(last, 21));
        assert_eq!(threads(order.add(back)), [2, 1]);
    }

    const LOCKS: u32 = 4;

    fn any_edge() -> impl Strategy<Value = Edge> {
        let lock = || (0..LOCKS, prop::bool::weighted(0.3));
        let others = prop::collection::vec(lock(), 0..2);
        let knew = prop::collection::vec(0u64..4, 0..4);
        (0u32..4, 1u64..4, lock(), lock(), others, knew).prop_map(
            |(thread, time, from, to, others, knew)| {
                let made = |(lock, shared)| Hold {
                    shared,
                    ..hold(lock, lock * 2 + u32::from(shared))
                };
                Edge {
                    past: known(thread, time, knew),
                    others: others.into_iter().map(made).collect(),
                    ..edge(thread, made(from), made(to))
                }
            },
        )
    }

    /// True if these edges, in this order, are a cycle that could be.
    fn is_cycle(cycle: &[&Edge]) -> bool {
        let next = |at: usize| cycle[(at + 1) % cycle.len()];
        let closed = (0..cycle.len()).all(|at| {
            let (to, from) = (cycle[at].to, next(at).from);
            to.lock == from.lock && (!to.shared || !from.shared)
        });
        let apart = (0..cycle.len()).all(|a| {
            (0..a).all(|b| {
                let (a, b) = (cycle[a], cycle[b]);
                let knows = |x: &Edge, y: &Edge| {
                    let stamp = y.past.stamp;
                    let known = x.past.knew.get(stamp.slot().index()).copied();
                    known.unwrap_or(0) >= stamp.epoch().get()
                };
                let gate = a.held().any(|x| {
                    b.held()
                        .any(|y| x.lock == y.lock && (!x.shared || !y.shared))
                });
                a.thread != b.thread
                    && a.from.lock != b.from.lock
                    && !gate
                    && !knows(a, b)
                    && !knows(b, a)
            })
        });
        closed && apart
    }

    /// Whether `new` and some of `others` are a cycle: every choice tried.
    fn naive<'a>(path: &mut Vec<&'a Edge>, others: &'a [Edge]) -> bool {
        if path.len() > 1 && is_cycle(path) {
            return true;
        }
        path.len() < LONGEST
            && others.iter().any(|next| {
                path.push(next);
                let found = naive(path, others);
                path.pop();
                found
            })
    }

    proptest! {
        #[test]
        fn the_first_cycle_is_found_as_soon_as_it_closes(
            mut edges in prop::collection::vec(any_edge(), 1..7)
        ) {
            edges.retain(|edge| edge.from.lock != edge.to.lock);
            let mut order = LockOrder::default();
            let mut before: Vec<Edge> = Vec::new();
            for edge in edges {
                // What a thread repeats counts as it was last.
                before.retain(|known| !known.repeats(&edge));
                let expected = naive(&mut vec![&edge], &before);
                let found = order.add(edge.clone());
                prop_assert_eq!(found.is_some(), expected);
                if let Some(cycle) = found {
                    prop_assert_eq!(&cycle[0], &edge);
                    prop_assert!(is_cycle(&cycle.iter().collect::<Vec<_>>()));
                    return Ok(());
                }
                before.push(edge);
            }
        }
    }
}
