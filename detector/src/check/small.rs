//! Accesses that lie in one granule, above all those to a granule with at most
//! two cells: most of what a hook does not find recorded.
//!
//! What is rare is a tail call of a function that begins anew, so that the rest
//! needs no stack.

use std::sync::atomic::{AtomicU64, Ordering};

use super::alone::{Alone, alone};
use super::contended::{claim, claim_second, contended, listed, listed_quickly, take_over};
use super::same::same;
use super::{LAST, Look, Seen, list_at, look, store_last, swap, words};
use crate::findings;
use crate::race;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::session;
use crate::shadow::map;
use crate::shadow::word::{Cell, GRANULE, MORE, Mask};

/// Checks and records an access that lies in one granule.
#[inline(always)]
pub fn small(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let Seen { addr, .. } = seen();
    if map::covers(addr, GRANULE) {
        small_covered(thread, seen, mask);
    } else {
        findings::unshadowed();
    }
}

/// As [`small`], where there is shadow memory, as the caller has checked.
#[inline(always)]
pub fn small_covered(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    if schedule::looks() {
        of_a_task(thread, seen, mask);
    } else {
        covered(thread, seen, mask);
    }
}

/// As [`small`], in a poll that is looked at.
#[inline(never)]
fn of_a_task(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let new = cell(thread, seen, mask);
    let Seen { addr, .. } = seen();
    schedule::look(thread, &seen(), addr & !(GRANULE - 1), new);
    covered(thread, seen, mask);
}

/// As [`small_covered`], in no poll that is looked at.
#[inline(always)]
fn covered(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let Seen { addr, .. } = seen();
    // SAFETY: covered, as just checked.
    let crowded = unsafe { map::front(addr) }[1].load(Ordering::Relaxed) & MORE != 0;
    match (crowded, thread.is_calm()) {
        (true, _) => crowded_or_listed(thread, seen, mask),
        (false, true) => few(thread, seen, mask),
        (false, false) => settle_few(thread, seen, mask),
    }
}

/// As [`small`], where there are more than two cells.
#[inline(never)]
fn crowded_or_listed(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let at = seen().addr & !(GRANULE - 1);
    // SAFETY: covered, as the caller has checked.
    if let Some(list) = unsafe { list_at(at) } {
        let new = cell(thread, seen, mask);
        listed_quickly(thread, at, list, new, seen(), false);
    } else if thread.is_calm() {
        crowd(thread, seen, mask);
    } else {
        settle_crowded(thread, seen, mask);
    }
}

/// As [`few`], after the history knows the stack and the epoch of now.
#[inline(never)]
fn settle_few(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    thread.settle();
    few(thread, seen, mask);
}

/// As [`crowd`], after the history knows the stack and the epoch of now.
#[inline(never)]
fn settle_crowded(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    thread.settle();
    crowd(thread, seen, mask);
}

/// The access of the thread that has the last word becomes younger.
#[inline(never)]
fn of_last(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask, old: u64) {
    let new = cell(thread, seen, mask);
    let at = seen().addr & !(GRANULE - 1);
    store_last(thread, at, Cell::from_bits(old), new, seen(), false);
}

/// As [`any`], where there are more than two cells.
#[inline(always)]
fn crowd(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let Seen {
        addr,
        size,
        access,
        op,
        pc,
    } = seen();
    let new = cell(thread, seen, mask);
    // SAFETY: covered, as the caller has checked.
    match unsafe { alone(thread, addr, new) } {
        Some(Alone::Recorded) => return,
        Some(Alone::Takes(word, becomes)) => {
            thread.log_calmly(pc, access, op, addr, size);
            word.store(becomes, Ordering::Relaxed);
            return;
        }
        None => {}
    }
    // SAFETY: covered, as the caller has checked, and crowded.
    if let Some((index, old)) = unsafe { same(thread, addr, new) } {
        if index == LAST {
            of_last(thread, seen, mask, old);
            return;
        }
        if old & !MORE == new.bits() {
            return;
        }
        thread.log_calmly(pc, access, op, addr, size);
        // SAFETY: as above.
        let word = unsafe { words(addr) }[index];
        word.store(new.bits() | old & MORE, Ordering::Relaxed);
        return;
    }
    any(thread, seen, mask);
}

/// As [`small`], where there are two cells at most, and the history knows the
/// stack and the epoch of now.
#[inline(always)]
fn few(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let Seen {
        addr,
        size,
        access,
        op,
        pc,
    } = seen();
    let new = cell(thread, seen, mask);
    // SAFETY: covered, as the caller has checked.
    if let Some((word, cell)) = unsafe { quick(thread, addr, new) } {
        thread.log_calmly(pc, access, op, addr, size);
        word.store(cell.bits(), Ordering::Relaxed);
        return;
    }
    // SAFETY: as above.
    let [first, second] = unsafe { map::front(addr) };
    let first = Cell::from_bits(first.load(Ordering::Relaxed));
    let handed_over = second.load(Ordering::Relaxed) == 0
        && !first.says_nothing()
        && !first.same_slot(new)
        && (access.is_read() || !first.superseded_by(new));
    if handed_over {
        second_of(thread, seen, mask);
    } else {
        any(thread, seen, mask);
    }
}

/// The cell of an access.
#[inline(always)]
fn cell(thread: &Thread, seen: impl Fn() -> Seen, mask: Mask) -> Cell {
    Cell::from_bits(thread.stamp() | seen().access.bits() | u64::from(mask))
}

/// A word that the access takes and what it becomes, if its granule has at most
/// two cells, one of them the thread's own that it supersedes or adds to, or its
/// reserved word, and the other, if there is one, does not race with it. What
/// the access supersedes of the thread's own, or a write of another, goes; if
/// nothing is left, the word is reserved for its thread.
///
/// # Safety
/// `at` is covered.
#[inline(always)]
pub unsafe fn quick(thread: &Thread, at: usize, new: Cell) -> Option<(&'static AtomicU64, Cell)> {
    // SAFETY: as the caller says.
    let front = unsafe { map::front(at) };
    let first = Cell::from_bits(front[0].load(Ordering::Relaxed));
    let second = Cell::from_bits(front[1].load(Ordering::Relaxed));
    if second.bits() & MORE != 0 {
        return None;
    }
    let adds = |cell: Cell| cell.same_stamp(new) && cell.same_access(new);
    let own = |cell: Cell| {
        let free = cell.bits() == thread.reserved();
        free || cell.same_slot(new) && !cell.says_nothing() && cell.superseded_by(new)
    };
    let (mine, becomes, word, theirs) = if adds(first) {
        (&front[0], first.with_mask(new.mask()), &front[1], second)
    } else if adds(second) {
        (&front[1], second.with_mask(new.mask()), &front[0], first)
    } else if own(first) {
        (&front[0], new, &front[1], second)
    } else if own(second) {
        (&front[1], new, &front[0], first)
    } else {
        return None;
    };
    if theirs.mask() & new.mask() == 0 {
        return Some((mine, becomes));
    }
    if theirs.same_slot(new) {
        if theirs.weaker_or_equal(new) {
            let rest = theirs.without(new.mask());
            let nothing = rest.says_nothing();
            let left = if nothing {
                thread.reserved()
            } else {
                rest.bits()
            };
            word.store(left, Ordering::Relaxed);
        }
        return Some((mine, becomes));
    }
    let conflicts = theirs.conflicts(new);
    // A superseded read can stay: its thread has the word for all it does next.
    let superseded = !theirs.access().is_read() && theirs.superseded_by(new);
    if conflicts || superseded {
        let ordered = thread.clocks.ordered(theirs);
        if ordered && superseded {
            let free = Cell::reserved(theirs.stamp()).bits();
            swap(word, theirs.bits(), free);
        } else if conflicts && !ordered {
            return None;
        }
    }
    Some((mine, becomes))
}

/// The first access of a thread to a granule of which another thread has the
/// first word.
#[inline(never)]
fn second_of(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let seen_now = seen();
    let new = cell(thread, seen, mask);
    let at = seen_now.addr & !(GRANULE - 1);
    // SAFETY: covered, as the caller has checked.
    let first = unsafe { map::front(at) }[0].load(Ordering::Relaxed);
    let first = Cell::from_bits(first);
    let racy = first.conflicts(new) && !thread.clocks.ordered(first);
    if racy || race::gone(first, new, session::dead) {
        contended(thread, at, new, seen_now, false);
    } else {
        claim_second(thread, at, first, new, seen_now, false);
    }
}

/// As [`small`], whatever the granule holds, if the history knows the stack and
/// the epoch of now.
#[inline(never)]
fn any(thread: &mut Thread, seen: impl Fn() -> Seen + Copy, mask: Mask) {
    let Seen {
        addr,
        size,
        access,
        op,
        pc,
    } = seen();
    let new = cell(thread, seen, mask);
    // SAFETY: covered, as the caller has checked.
    match unsafe { look(thread, addr, new) } {
        Look::Recorded => {}
        Look::Own(word, cell) => {
            thread.log_calmly(pc, access, op, addr, size);
            word.store(cell, Ordering::Relaxed);
        }
        rest => rarely(thread, seen(), new, rest),
    }
}

/// What is left of [`any`].
#[inline(never)]
fn rarely(thread: &mut Thread, seen: Seen, new: Cell, found: Look) {
    let at = seen.addr & !(GRANULE - 1);
    match found {
        Look::Recorded | Look::Own(..) => {}
        Look::Empty(index) => {
            claim(thread, at, index, new, seen, false);
        }
        Look::List(list) => {
            listed(thread, at, list, new, seen, false);
        }
        Look::Last(old, cell) => {
            store_last(thread, at, old, cell, seen, false);
        }
        Look::Known(word, old, cell) => {
            take_over(thread, at, [old, cell], word, new, seen, false);
        }
        Look::Other => {
            contended(thread, at, new, seen, false);
        }
    }
}
