//! Vector clocks: which epochs of which slots happen before now.
//!
//! Mattern, *Virtual Time and Global States of Distributed Systems* (1988);
//! used as in Flanagan and Freund, *FastTrack* (PLDI 2009): a shadow cell
//! holds one epoch, and only sync objects and threads hold whole clocks.
//!
//! A clock is a slice by slot; what lies past its end is zero. Loops go only
//! as far as the shorter of the two operands needs.

use crate::ids::{Epoch, Slot};

/// True if `epoch` of `slot` happens before the holder of `clock`.
#[inline]
pub fn covers(clock: &[u64], slot: Slot, epoch: Epoch) -> bool {
    clock
        .get(slot.index())
        .is_some_and(|&known| epoch.get() <= known)
}

/// True if `clock` knows nothing that `other` does not know.
pub fn below(clock: &[u64], other: &[u64]) -> bool {
    let (common, rest) = clock.split_at(clock.len().min(other.len()));
    common
        .iter()
        .zip(other)
        .all(|(mine, theirs)| mine <= theirs)
        && rest.iter().all(|&time| time == 0)
}

/// Makes `clock` know all that `other` knows.
///
/// # Panics
/// If `other` is longer than `clock`.
#[inline]
pub fn join(clock: &mut [u64], other: &[u64]) {
    let clock = &mut clock[..other.len()];
    for (mine, theirs) in clock.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

/// An owned clock: what a sync object or a fence keeps.
#[derive(Debug, Default, Clone)]
pub struct VectorClock {
    /// Invariant: may be shorter than another's; the rest is zero.
    times: Vec<u64>,
}

impl VectorClock {
    /// The clock that knows nothing.
    pub const fn new() -> Self {
        Self { times: Vec::new() }
    }

    /// The components.
    pub fn as_slice(&self) -> &[u64] {
        &self.times
    }

    /// True if it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets everything, keeping the allocation.
    pub fn clear(&mut self) {
        self.times.clear();
    }

    /// Becomes a copy of `clock`.
    pub fn assign(&mut self, clock: &[u64]) {
        self.times.clear();
        self.times.extend_from_slice(clock);
    }

    /// Knows all that `clock` knows, too.
    pub fn join(&mut self, clock: &[u64]) {
        if self.times.len() < clock.len() {
            self.times.resize(clock.len(), 0);
        }
        join(&mut self.times, clock);
    }

    /// True if `epoch` of `slot` is known.
    pub fn covers(&self, slot: Slot, epoch: Epoch) -> bool {
        covers(&self.times, slot, epoch)
    }
}

impl PartialEq for VectorClock {
    fn eq(&self, other: &Self) -> bool {
        let len = self.times.len().max(other.times.len());
        let at = |times: &[u64], i: usize| times.get(i).copied().unwrap_or(0);
        (0..len).all(|i| at(&self.times, i) == at(&other.times, i))
    }
}

impl Eq for VectorClock {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_past_the_end_is_known() {
        let clock = [3, 0];
        assert!(covers(&clock, Slot::new(0), Epoch::new(3)));
        assert!(!covers(&clock, Slot::new(0), Epoch::new(4)));
        assert!(!covers(&clock, Slot::new(2), Epoch::new(1)));
    }

    fn clock() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..9, 0..6)
    }

    proptest! {
        #[test]
        fn join_is_the_least_upper_bound(a in clock(), b in clock()) {
            let mut joined = VectorClock::new();
            joined.join(&a);
            joined.join(&b);
            for i in 0..6 {
                let at = |c: &[u64]| c.get(i).copied().unwrap_or(0);
                prop_assert_eq!(at(joined.as_slice()), at(&a).max(at(&b)));
            }
        }

        #[test]
        fn join_commutes_and_is_idempotent(a in clock(), b in clock()) {
            let mut ab = VectorClock::new();
            ab.join(&a);
            ab.join(&b);
            let mut ba = VectorClock::new();
            ba.join(&b);
            ba.join(&a);
            ba.join(&b);
            prop_assert_eq!(ab, ba);
        }
    }
}
