//! What a thread itself did to a granule, before the poll that it makes now and
//! since it began.

use std::sync::atomic::Ordering;

use crate::ids::Epoch;
use crate::shadow::map;
use crate::shadow::overflow;
use crate::shadow::word::{Cell, GRANULE, MORE, Stamp, WORDS};

/// The cells of `new`'s own slot from before `since` that conflict with it.
/// Of a list, no more than the words would hold.
pub fn own_conflicts(at: usize, new: Cell, since: Epoch) -> [Option<Cell>; WORDS] {
    let mut found = [None; WORDS];
    // SAFETY: the callers have checked that the access is covered.
    let front = unsafe { map::front(at) };
    let first = front[0].load(Ordering::Relaxed);
    let second = front[1].load(Ordering::Relaxed);
    found[0] = conflict(Cell::from_bits(first), new, since);
    found[1] = conflict(Cell::from_bits(second & !MORE), new, since);
    if second & MORE != 0 {
        // SAFETY: as above.
        let back = unsafe { map::back(at) };
        for (word, found) in back.iter().zip(&mut found[2..]) {
            *found = conflict(Cell::from_bits(word.load(Ordering::Relaxed)), new, since);
        }
        let last = Cell::from_bits(back[1].load(Ordering::Relaxed));
        if let Some(list) = last.as_overflow() {
            let mut free = found.iter_mut().filter(|found| found.is_none());
            overflow::find(list, |cell| {
                let listed = conflict(cell, new, since);
                listed.is_some() && free.next().map(|found| *found = listed).is_none()
            });
        }
    }
    found
}

/// True if the thread with the slot of `since` has accessed some of the granule
/// at `at` since then. What overflowed counts as accessed.
pub fn accessed_since(at: usize, since: Stamp) -> bool {
    if !map::covers(at, GRANULE) {
        return false;
    }
    // SAFETY: covered, as just checked.
    let front = unsafe { map::front(at) };
    let new = |bits: u64| {
        let cell = Cell::from_bits(bits & !MORE);
        let own = cell.slot() == since.slot() && cell.epoch() >= since.epoch();
        cell.as_overflow().is_some() || (own && !cell.says_nothing())
    };
    let second = front[1].load(Ordering::Relaxed);
    if new(front[0].load(Ordering::Relaxed)) || new(second) {
        return true;
    }
    // SAFETY: as above.
    second & MORE != 0
        && unsafe { map::back(at) }
            .iter()
            .any(|word| new(word.load(Ordering::Relaxed)))
}

#[inline]
fn conflict(cell: Cell, new: Cell, since: Epoch) -> Option<Cell> {
    let own = !cell.says_nothing() && cell.same_slot(new) && cell.epoch() < since;
    (own && cell.conflicts(new)).then_some(cell)
}
