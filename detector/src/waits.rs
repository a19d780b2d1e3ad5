//! The wait-for graph: which threads can never run again, and which of them
//! wait for each other in a circle.
//!
//! Nodes are threads; an edge leads from a waiter to a thread that must act
//! for the wait to end: the owner of a lock, the thread that is joined. The
//! rules are those of AND-OR graphs (Knapp, *Deadlock Detection in Distributed
//! Databases*, ACM Computing Surveys 1987): a wait for [`Wakers::All`] is stuck
//! as soon as one of its threads is, a wait for [`Wakers::Any`] only if all of
//! them are.
//!
//! Pure: the caller finds out who is blocked and who owns what. A thread that
//! the graph does not know is taken to run, so that a mistake there hides a
//! deadlock and never invents one.
//!
//! What it misses: who holds the other end of a condition variable or of a
//! channel. Such a wait is for [`Wakers::Anyone`], and is stuck only when the
//! whole process is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::report::wire::ThreadId;

/// Who can end a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakers {
    /// Each of these must act: the owners of a lock, the thread joined.
    All(Vec<ThreadId>),
    /// One of these suffices.
    Any(Vec<ThreadId>),
    /// Whoever still runs: nothing is known of the other side.
    Anyone,
}

/// Threads that are blocked without a timeout, and what for. Every other
/// thread can run.
#[derive(Debug, Default, Clone)]
pub struct WaitGraph {
    blocked: BTreeMap<ThreadId, Wakers>,
    others_run: bool,
}

impl WaitGraph {
    /// A graph in which nobody is blocked. `others_run` tells whether there is
    /// a thread, or anything else, outside the graph that can wake its
    /// threads.
    pub fn new(others_run: bool) -> Self {
        Self {
            blocked: BTreeMap::new(),
            others_run,
        }
    }

    /// The thread is blocked, without a timeout.
    pub fn block(&mut self, thread: ThreadId, wakers: Wakers) {
        self.blocked.insert(thread, wakers);
    }

    /// The threads that can never run again: the largest set of blocked
    /// threads such that no member can be woken from outside the set.
    pub fn stuck(&self) -> BTreeSet<ThreadId> {
        let mut stuck: BTreeSet<ThreadId> = self.blocked.keys().copied().collect();
        loop {
            let all_stuck = !self.others_run && stuck.len() == self.blocked.len();
            let awake: Vec<ThreadId> = stuck
                .iter()
                .copied()
                .filter(|thread| match &self.blocked[thread] {
                    Wakers::All(owners) => !owners.iter().any(|owner| stuck.contains(owner)),
                    Wakers::Any(wakers) => wakers.iter().any(|waker| !stuck.contains(waker)),
                    Wakers::Anyone => !all_stuck,
                })
                .collect();
            if awake.is_empty() {
                return stuck;
            }
            for thread in awake {
                stuck.remove(&thread);
            }
        }
    }

    /// The threads that one must act for, all of them.
    fn owners(&self, thread: ThreadId) -> &[ThreadId] {
        match self.blocked.get(&thread) {
            Some(Wakers::All(owners)) => owners,
            Some(Wakers::Any(_) | Wakers::Anyone) | None => &[],
        }
    }

    /// A shortest cycle through `thread`: each waits for the next, the last for
    /// the first. One with others explains more than that it waits for itself. The
    /// lowest comes first, whichever of them closed it: that is chance, and a report is
    /// to be the same in every run.
    pub fn cycle_through(&self, thread: ThreadId) -> Option<Vec<ThreadId>> {
        let alone = || self.owners(thread).contains(&thread).then(|| vec![thread]);
        self.cycle_with_others(thread).or_else(alone)
    }

    fn cycle_with_others(&self, thread: ThreadId) -> Option<Vec<ThreadId>> {
        let mut came_from: BTreeMap<ThreadId, ThreadId> = BTreeMap::new();
        let mut queue = VecDeque::from([thread]);
        while let Some(waiter) = queue.pop_front() {
            for &owner in self.owners(waiter) {
                if owner == thread && waiter == thread {
                    continue;
                }
                if owner == thread {
                    let mut cycle = vec![waiter];
                    let mut at = waiter;
                    while at != thread {
                        at = came_from[&at];
                        cycle.push(at);
                    }
                    cycle.reverse();
                    let lowest = (0..cycle.len()).min_by_key(|&at| cycle[at]).unwrap_or(0);
                    cycle.rotate_left(lowest);
                    return Some(cycle);
                }
                if let std::collections::btree_map::Entry::Vacant(new) = came_from.entry(owner) {
                    new.insert(waiter);
                    queue.push_back(owner);
                }
            }
        }
        None
    }

    /// One cycle through each thread that is in one; each cycle once.
    pub fn cycles(&self) -> Vec<Vec<ThreadId>> {
        let mut covered: BTreeSet<ThreadId> = BTreeSet::new();
        let mut cycles = Vec::new();
        for &thread in self.blocked.keys() {
            if covered.contains(&thread) {
                continue;
            }
            let Some(cycle) = self.cycle_through(thread) else {
                continue;
            };
            covered.extend(&cycle);
            if !cycles.contains(&cycle) {
                cycles.push(cycle);
            }
        }
        cycles
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(numbers: &[u32]) -> Vec<ThreadId> {
        numbers.iter().map(|&n| ThreadId(n)).collect()
    }

    fn graph(others_run: bool, blocked: &[(u32, Wakers)]) -> WaitGraph {
        let mut graph = WaitGraph::new(others_run);
        for (thread, wakers) in blocked {
            graph.block(ThreadId(*thread), wakers.clone());
        }
        graph
    }

    fn all(numbers: &[u32]) -> Wakers {
        Wakers::All(ids(numbers))
    }

    #[test]
    fn two_locks_in_opposite_order() {
        let graph = graph(true, &[(1, all(&[2])), (2, all(&[1]))]);
        assert_eq!(graph.stuck(), ids(&[1, 2]).into_iter().collect());
        assert_eq!(graph.cycles(), [ids(&[1, 2])]);
        // Whichever closes it.
        assert_eq!(graph.cycle_through(ThreadId(1)), Some(ids(&[1, 2])));
        assert_eq!(graph.cycle_through(ThreadId(2)), Some(ids(&[1, 2])));
    }

    #[test]
    fn a_lock_taken_twice_is_a_cycle_of_one() {
        let graph = graph(true, &[(4, all(&[4]))]);
        assert_eq!(graph.cycle_through(ThreadId(4)), Some(ids(&[4])));
        assert_eq!(graph.stuck().len(), 1);
    }

    #[test]
    fn others_explain_more_than_oneself() {
        // The first has a read guard, and waits behind the second, a writer.
        let own = graph(
            true,
            &[
                (0, Wakers::All(ids(&[1, 0]))),
                (1, Wakers::All(ids(&[0]))),
                (2, Wakers::All(ids(&[3, 2]))),
            ],
        );
        assert_eq!(own.cycles(), [ids(&[0, 1]), ids(&[2])]);
    }

    #[test]
    fn a_chain_that_ends_in_a_running_thread_is_not_stuck() {
        let graph = graph(false, &[(1, all(&[2])), (2, all(&[3]))]);
        assert!(graph.stuck().is_empty());
        assert!(graph.cycles().is_empty());
    }

    #[test]
    fn who_waits_for_a_cycle_is_stuck_but_not_in_it() {
        let graph = graph(true, &[(0, all(&[1])), (1, all(&[2])), (2, all(&[1]))]);
        assert_eq!(graph.stuck().len(), 3);
        assert_eq!(graph.cycles(), [ids(&[1, 2])]);
        assert_eq!(graph.cycle_through(ThreadId(0)), None);
    }

    #[test]
    fn a_condition_variable_can_be_notified_by_whoever_runs() {
        let waits = [(1, Wakers::Anyone), (2, all(&[1]))];
        assert!(graph(true, &waits).stuck().is_empty());
        assert_eq!(graph(false, &waits).stuck().len(), 2);
    }

    #[test]
    fn one_of_several_wakers_suffices() {
        let waits = |third| [(1, Wakers::Any(ids(&[2, 3]))), (2, all(&[2])), (3, third)];
        assert_eq!(
            graph(true, &waits(Wakers::Anyone)).stuck(),
            ids(&[2]).into_iter().collect()
        );
        assert_eq!(graph(true, &waits(all(&[2]))).stuck().len(), 3);
    }

    #[test]
    fn a_writer_needs_every_reader() {
        let graph = graph(true, &[(1, all(&[2, 3])), (2, all(&[1]))]);
        assert_eq!(graph.stuck(), ids(&[1, 2]).into_iter().collect());
    }

    const THREADS: u32 = 6;

    fn wakers() -> impl Strategy<Value = Option<Wakers>> {
        let some = || prop::collection::vec(0..THREADS, 1..3).prop_map(|v| ids(&v));
        prop_oneof![
            Just(None),
            some().prop_map(|v| Some(Wakers::All(v))),
            some().prop_map(|v| Some(Wakers::Any(v))),
            Just(Some(Wakers::Anyone)),
        ]
    }

    fn state() -> impl Strategy<Value = (bool, Vec<Option<Wakers>>)> {
        (
            any::<bool>(),
            prop::collection::vec(wakers(), THREADS as usize),
        )
    }

    fn build(others_run: bool, state: &[Option<Wakers>]) -> WaitGraph {
        let mut graph = WaitGraph::new(others_run || state.iter().any(Option::is_none));
        for (n, wakers) in state.iter().enumerate() {
            if let Some(wakers) = wakers {
                graph.block(ThreadId(n as u32), wakers.clone());
            }
        }
        graph
    }

    /// A thread is awake if it is not blocked, or if those who can wake it are:
    /// by trying out every set of threads for the largest that holds itself
    /// down.
    fn naive_stuck(others_run: bool, state: &[Option<Wakers>]) -> BTreeSet<ThreadId> {
        let holds_itself_down = |set: u32| {
            let inside = |thread: &ThreadId| set >> thread.0 & 1 == 1;
            (0..THREADS)
                .filter(|&n| set >> n & 1 == 1)
                .all(|n| match &state[n as usize] {
                    None => false,
                    Some(Wakers::All(owners)) => owners.iter().any(inside),
                    Some(Wakers::Any(wakers)) => wakers.iter().all(inside),
                    Some(Wakers::Anyone) => !others_run && set.count_ones() == THREADS,
                })
        };
        let largest = (0..1u32 << THREADS)
            .filter(|&set| holds_itself_down(set))
            .max_by_key(|set| set.count_ones())
            .unwrap_or(0);
        (0..THREADS)
            .filter(|n| largest >> n & 1 == 1)
            .map(ThreadId)
            .collect()
    }

    fn reaches(state: &[Option<Wakers>], from: u32, to: u32, steps: u32) -> bool {
        let Some(Some(Wakers::All(owners))) = state.get(from as usize) else {
            return false;
        };
        owners
            .iter()
            .any(|o| o.0 == to || steps > 0 && reaches(state, o.0, to, steps - 1))
    }

    proptest! {
        #[test]
        fn stuck_is_the_largest_set_that_holds_itself_down((others, state) in state()) {
            prop_assert_eq!(build(others, &state).stuck(), naive_stuck(others, &state));
        }

        #[test]
        fn a_cycle_is_found_where_one_is((others, state) in state()) {
            let graph = build(others, &state);
            for n in 0..THREADS {
                let found = graph.cycle_through(ThreadId(n));
                prop_assert_eq!(found.is_some(), reaches(&state, n, n, THREADS));
            }
        }

        #[test]
        fn every_cycle_is_stuck_and_closed((others, state) in state()) {
            let graph = build(others, &state);
            let stuck = graph.stuck();
            for cycle in graph.cycles() {
                for (waiter, owner) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                    prop_assert!(stuck.contains(waiter));
                    prop_assert!(graph.owners(*waiter).contains(owner));
                }
            }
        }
    }
}
