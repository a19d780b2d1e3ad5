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

/// Components that a clock holds without a block of the heap.
const FEW: usize = 8;

/// Components for which a clock that is put away keeps its memory.
const KEPT: usize = 64;

/// An owned clock: what a sync object or a fence keeps. All zero, it is the
/// clock that knows nothing.
#[derive(Debug, Default)]
#[repr(C)]
pub struct VectorClock {
    /// Components: in `few` up to [`FEW`], else in `many`. Another clock may
    /// have more; the rest is zero.
    len: usize,
    few: [u64; FEW],
    /// As long as it ever had to be.
    many: Option<Box<[u64]>>,
}

impl VectorClock {
    /// The clock that knows nothing.
    pub const fn new() -> Self {
        Self {
            len: 0,
            few: [0; FEW],
            many: None,
        }
    }

    /// The components.
    #[inline]
    pub fn as_slice(&self) -> &[u64] {
        if self.len <= FEW {
            &self.few[..self.len]
        } else {
            &self.many.as_deref().unwrap_or_default()[..self.len]
        }
    }

    /// The first `len` components, of which it knows nothing new yet.
    #[inline]
    fn with_room(&mut self, len: usize) -> &mut [u64] {
        if len <= FEW {
            &mut self.few[..len]
        } else {
            self.with_much_room(len)
        }
    }

    #[inline(never)]
    fn with_much_room(&mut self, len: usize) -> &mut [u64] {
        let many = self.many.get_or_insert_default();
        if many.len() < len {
            let mut longer = vec![0; len.next_power_of_two()];
            longer[..many.len()].copy_from_slice(many);
            *many = longer.into_boxed_slice();
        }
        &mut many[..len]
    }

    /// True if it knows nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets everything, keeping the allocation.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets everything, for who may need it again for few components: what
    /// was a long clock gives its memory back.
    #[inline]
    pub fn put_away(&mut self) {
        self.len = 0;
        if self.many.as_ref().is_some_and(|many| many.len() > KEPT) {
            self.many = None;
        }
    }

    /// Becomes a copy of `clock`.
    #[inline]
    pub fn assign(&mut self, clock: &[u64]) {
        self.with_room(clock.len()).copy_from_slice(clock);
        self.len = clock.len();
    }

    /// As [`VectorClock::assign`], of the first `len` components of a clock.
    #[inline(always)]
    pub fn assign_first<const ALL: usize>(&mut self, clock: &[u64; ALL], len: usize) {
        match clock.first_chunk() {
            Some(first) if len <= FEW => {
                self.few = *first;
                self.len = len;
            }
            _ => self.assign(&clock[..len]),
        }
    }

    /// Knows a later epoch of a slot of which it knows one, and nothing else
    /// new.
    #[inline]
    pub fn advance(&mut self, slot: Slot, epoch: Epoch) {
        let len = self.len;
        self.with_room(len)[slot.index()] = epoch.get();
    }

    /// Knows all that `clock` knows, too.
    pub fn join(&mut self, clock: &[u64]) {
        let len = self.len;
        if len < clock.len() {
            if len <= FEW && clock.len() > FEW {
                let few = self.few;
                self.with_room(clock.len())[..len].copy_from_slice(&few[..len]);
            }
            self.with_room(clock.len())[len..].fill(0);
            self.len = clock.len();
        }
        let len = self.len;
        join(self.with_room(len), clock);
    }

    /// True if `epoch` of `slot` is known.
    pub fn covers(&self, slot: Slot, epoch: Epoch) -> bool {
        covers(self.as_slice(), slot, epoch)
    }
}

impl PartialEq for VectorClock {
    fn eq(&self, other: &Self) -> bool {
        below(self.as_slice(), other.as_slice()) && below(other.as_slice(), self.as_slice())
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

    #[test]
    fn a_long_clock_that_is_put_away_gives_its_memory_back() {
        for (len, kept) in [(FEW + 1, true), (KEPT, true), (KEPT + 1, false)] {
            let mut clock = VectorClock::new();
            clock.assign(&vec![1; len]);
            clock.put_away();
            assert!(clock.is_empty());
            assert_eq!(clock.many.is_some(), kept, "{len}");
            clock.join(&vec![2; len]);
            assert_eq!(clock.as_slice(), vec![2; len]);
        }
    }

    fn clock() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0u64..9, 0..2 * FEW)
    }

    proptest! {
        #[test]
        fn join_is_the_least_upper_bound(a in clock(), b in clock()) {
            let mut joined = VectorClock::new();
            joined.join(&a);
            joined.join(&b);
            for i in 0..2 * FEW {
                let at = |c: &[u64]| c.get(i).copied().unwrap_or(0);
                prop_assert_eq!(at(joined.as_slice()), at(&a).max(at(&b)));
            }
        }

        #[test]
        fn a_clock_that_was_longer_forgets_it(a in clock(), b in clock(), c in clock()) {
            let mut reused = VectorClock::new();
            reused.assign(&a);
            reused.assign(&b);
            prop_assert_eq!(reused.as_slice(), &b[..]);
            reused.join(&c);
            let mut fresh = VectorClock::new();
            fresh.join(&b);
            fresh.join(&c);
            prop_assert_eq!(reused, fresh);
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
