//! What a thread itself did to a granule, before the poll that it makes now and
//! since it began.

use std::sync::atomic::Ordering;

use crate::ids::Epoch;
use crate::shadow::map;
use crate::shadow::overflow;
use crate::shadow::word::{Cell, GRANULE, MORE, Stamp, WORDS};

/// Epochs of a thread that are passed over: where it did nothing that is of interest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epochs {
    /// The first one.
    pub from: u64,
    /// The first one after.
    pub to: u64,
}

impl Epochs {
    #[inline(always)]
    const fn contains(self, epoch: Epoch) -> bool {
        epoch.get().wrapping_sub(self.from) < self.to.wrapping_sub(self.from)
    }
}

/// When a poll began, and what of the time before is passed over.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before {
    /// First epoch of the poll; 0 if there is none.
    pub since: u64,
    /// Epochs before.
    pub but: [Epochs; 2],
}

/// Whether [`own_conflicts`] may find something: most often not. Of a list, nothing is
/// known.
#[inline(always)]
pub fn may_conflict(at: usize, new: Cell, before: &Before) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let front = unsafe { map::front(at) };
    let first = front[0].load(Ordering::Relaxed);
    let second = front[1].load(Ordering::Relaxed);
    conflict(Cell::from_bits(first), new, before)
        || conflict(Cell::from_bits(second & !MORE), new, before)
        || second & MORE != 0 && may_conflict_behind(at, new, before)
}

#[inline(never)]
fn may_conflict_behind(at: usize, new: Cell, before: &Before) -> bool {
    // SAFETY: as in `may_conflict`.
    let back = unsafe { map::back(at) };
    back.iter().any(|word| {
        let cell = Cell::from_bits(word.load(Ordering::Relaxed));
        cell.as_overflow().is_some() || conflict(cell, new, before)
    })
}

/// The cells of `new`'s own slot from before the poll that conflict with it.
/// Of a list, no more than the words would hold.
pub fn own_conflicts(at: usize, new: Cell, before: &Before) -> [Option<Cell>; WORDS] {
    let listed = |cell: Cell| conflict(cell, new, before).then_some(cell);
    let mut found = [None; WORDS];
    // SAFETY: the callers have checked that the access is covered.
    let front = unsafe { map::front(at) };
    let first = front[0].load(Ordering::Relaxed);
    let second = front[1].load(Ordering::Relaxed);
    found[0] = listed(Cell::from_bits(first));
    found[1] = listed(Cell::from_bits(second & !MORE));
    if second & MORE != 0 {
        // SAFETY: as above.
        let back = unsafe { map::back(at) };
        for (word, found) in back.iter().zip(&mut found[2..]) {
            *found = listed(Cell::from_bits(word.load(Ordering::Relaxed)));
        }
        let last = Cell::from_bits(back[1].load(Ordering::Relaxed));
        if let Some(list) = last.as_overflow() {
            let mut free = found.iter_mut().filter(|found| found.is_none());
            overflow::find(list, |cell| {
                let listed = listed(cell);
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

/// A read of the granule at `at` by the thread with the slot of `since`, since then,
/// if the thread has not written what it read. Of a list, nothing is known.
pub fn only_read_since(at: usize, since: Stamp) -> Option<Cell> {
    if !map::covers(at, GRANULE) {
        return None;
    }
    // SAFETY: covered, as just checked.
    let front = unsafe { map::front(at) };
    let [first, second] = [0, 1].map(|word: usize| front[word].load(Ordering::Relaxed));
    let mut words = [first, second & !MORE, 0, 0];
    if second & MORE != 0 {
        // SAFETY: as above.
        let back = unsafe { map::back(at) };
        words[2] = back[0].load(Ordering::Relaxed);
        words[3] = back[1].load(Ordering::Relaxed);
    }
    let cells = words.map(Cell::from_bits);
    let own = cells.iter().filter(|cell| {
        let is_cell = cell.as_overflow().is_none() && !cell.says_nothing();
        is_cell && cell.slot() == since.slot() && cell.epoch() >= since.epoch()
    });
    let writes = own.clone().filter(|cell| !cell.access().is_read());
    let written = writes.fold(0, |mask, cell| mask | cell.mask());
    own.copied()
        .find(|cell| cell.access().is_read() && cell.mask() & !written != 0)
}

#[inline(always)]
fn conflict(cell: Cell, new: Cell, before: &Before) -> bool {
    let [one, other] = before.but;
    let epoch = cell.epoch();
    cell.same_slot(new)
        && epoch.get() < before.since
        && cell.conflicts(new)
        && !cell.says_nothing()
        && !one.contains(epoch)
        && !other.contains(epoch)
}
