//! The clock of a task, of which there may be very many.
//!
//! What a thread knows of others changes when it acquires something; with each
//! poll, only its own component does, and when it last ran code that is not
//! tracked. So the tasks that it polls, spawns and wakes share a copy of the
//! former, and each keeps the latter beside it.
//!
//! Pure: who releases and acquires, and when an epoch ends, is the caller's.

use std::sync::Arc;

use super::strand::RESERVED;
use crate::clock;
use crate::shadow::word::Stamp;
use crate::sync::Clocks;

/// The last copy of a thread's components that tasks were given.
#[derive(Debug, Default)]
pub struct Last(Option<Arc<[u64]>>);

impl Last {
    /// A copy of these components, of which those that are kept beside it may be
    /// older.
    fn copy(&mut self, now: &[u64], own: usize) -> Arc<[u64]> {
        if let Some(last) = &self.0
            && last.len() == now.len()
            && last[RESERVED..own] == now[RESERVED..own]
            && last[own + 1..] == now[own + 1..]
        {
            return Arc::clone(last);
        }
        let copy = Arc::from(now);
        self.0 = Some(Arc::clone(&copy));
        copy
    }
}

/// What a task's next poll knows.
#[derive(Debug, Default)]
pub struct Snapshot(Option<Known>);

#[derive(Debug)]
struct Known {
    /// Components; those that follow may be older here.
    shared: Arc<[u64]>,
    /// The reserved components.
    reserved: [u64; RESERVED],
    /// The slot and the epoch of who released last.
    own: Stamp,
}

impl Known {
    /// True if `clock` knows all of this.
    fn is_below(&self, clock: &[u64]) -> bool {
        clock::covers(clock, self.own.slot(), self.own.epoch())
            && clock::below(&self.reserved, clock)
            && clock::below(&self.shared, clock)
    }

    /// Adds this to a clock that is as long.
    fn join_into(&self, clock: &mut [u64]) {
        clock::join(clock, &self.shared);
        clock::join(clock, &self.reserved);
        let own = &mut clock[self.own.slot().index()];
        *own = (*own).max(self.own.epoch().get());
    }
}

impl Snapshot {
    /// A thread releases into this, which keeps what it published before. The
    /// caller ends the epoch.
    pub fn release(&mut self, clocks: &Clocks, last: &mut Last) {
        let now = clocks.now();
        let own = clocks.stamp();
        let mut reserved = [0; RESERVED];
        clock::join(&mut reserved, &now[..RESERVED]);
        let shared = match &self.0 {
            Some(known) if !known.is_below(clocks.known()) => {
                let mut joined = vec![0; known.shared.len().max(now.len())];
                known.join_into(&mut joined);
                clock::join(&mut joined, now);
                clock::join(&mut reserved, &known.reserved);
                joined.into()
            }
            _ => last.copy(now, own.slot().index()),
        };
        self.0 = Some(Known {
            shared,
            reserved,
            own,
        });
    }

    /// A thread acquires this.
    pub fn acquire(&self, clocks: &mut Clocks) {
        if let Some(known) = &self.0
            && !known.is_below(clocks.known())
        {
            clocks.learn(&known.shared);
            clocks.learn(&known.reserved);
            clocks.learn_stamp(known.own);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::{Epoch, Slot};

    /// Threads with a clock and a naive one: what each knows of each.
    struct Thread {
        clocks: Clocks,
        last: Last,
        naive: Vec<u64>,
    }

    fn thread(at: usize) -> Thread {
        let slot = Slot::new(RESERVED + at);
        let mut clocks = Clocks::new();
        clocks.start(slot, Epoch::new(1), &[0; RESERVED]);
        let mut naive = vec![0; RESERVED + 4];
        naive[slot.index()] = 1;
        Thread {
            clocks,
            last: Last::default(),
            naive,
        }
    }

    fn join(one: &mut [u64], other: &[u64]) {
        for (mine, theirs) in one.iter_mut().zip(other) {
            *mine = (*mine).max(*theirs);
        }
    }

    #[test]
    fn tasks_of_one_thread_share_what_it_knows() {
        let mut first = thread(0);
        let (mut one, mut other) = (Snapshot::default(), Snapshot::default());
        one.release(&first.clocks, &mut first.last);
        assert!(!first.clocks.tick());
        first.clocks.learn(&[7]);
        other.release(&first.clocks, &mut first.last);
        let shared = |of: &Snapshot| Arc::as_ptr(&of.0.as_ref().unwrap().shared);
        assert_eq!(shared(&one), shared(&other));
        let mut second = thread(1);
        other.acquire(&mut second.clocks);
        assert_eq!(second.clocks.now(), [7, 0, 2, 1]);
        one.acquire(&mut second.clocks);
        assert_eq!(second.clocks.now(), [7, 0, 2, 1]);
    }

    proptest! {
        #[test]
        fn a_snapshot_is_the_join_of_what_was_released(
            steps in proptest::collection::vec((0..4_u8, 0..4_usize, 0..3_usize), 0..60)
        ) {
            let mut threads: Vec<Thread> = (0..4).map(thread).collect();
            let mut tasks: Vec<(Snapshot, Vec<u64>)> =
                (0..3).map(|_| (Snapshot::default(), vec![0; RESERVED + 4])).collect();
            for (now, (what, who, task)) in steps.into_iter().enumerate() {
                let Thread { clocks, last, naive } = &mut threads[who];
                let (snapshot, published) = &mut tasks[task];
                match what {
                    0 => {
                        snapshot.release(clocks, last);
                        join(published, naive);
                        prop_assert!(!clocks.tick());
                        naive[RESERVED + who] += 1;
                    }
                    1 => {
                        snapshot.acquire(clocks);
                        join(naive, published);
                    }
                    2 => {
                        clocks.learn(&[now as u64]);
                        join(naive, &[now as u64]);
                    }
                    _ => {
                        clocks.learn(&[0, now as u64]);
                        join(naive, &[0, now as u64]);
                    }
                }
                let known = clocks.now();
                prop_assert_eq!(known, &naive[..known.len()]);
                prop_assert!(naive[known.len()..].iter().all(|&epoch| epoch == 0));
            }
        }
    }
}
