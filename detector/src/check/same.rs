//! An access that its thread has made before, to the same bytes and in the same
//! way, in a granule with more than two cells: a lock's word and its
//! neighbours, above all. Its cell only becomes younger.

use std::sync::atomic::Ordering;

use crate::rt::thread::Thread;
use crate::shadow::map;
use crate::shadow::word::{Cell, MORE};

/// Which word has the thread's own earlier access, and what it holds, if `new`
/// races with nothing. What others did before stays: it costs them a word, but
/// no exchange at each turn. So does an atomic access of the thread's own that
/// `new` supersedes, which comes again as a rule: a lock's word is loaded, and
/// then exchanged. Any other is [`super::look`]'s to free, and what can be one
/// cell is its to join.
///
/// # Safety
/// `at` is covered, and its second word says that there are more.
#[inline(always)]
pub unsafe fn same(thread: &Thread, at: usize, new: Cell) -> Option<(usize, u64)> {
    // SAFETY: as the caller says.
    let ([a, b], [c, d]) = unsafe { (map::front(at), map::back(at)) };
    let [a, b, c, d] = [a, b, c, d].map(|word| word.load(Ordering::Relaxed));
    let cell = Cell::from_bits;
    let (first, second, third, last) = (cell(a), cell(b & !MORE), cell(c), cell(d));
    let (index, old, others) = if first.same_but_epoch(new) {
        (0, a, [second, third, last])
    } else if second.same_but_epoch(new) {
        (1, b, [first, third, last])
    } else if third.same_but_epoch(new) {
        (2, c, [first, second, last])
    } else if last.same_but_epoch(new) {
        (3, d, [first, second, third])
    } else {
        return None;
    };
    let fine = |other: Cell| {
        let disjoint = other.mask() & new.mask() == 0;
        if other.same_slot(new) {
            let joins = other.same_stamp(new) && other.same_access(new);
            let stays = disjoint || other.access().class().is_atomic();
            return !joins && (stays || !other.weaker_or_equal(new));
        }
        disjoint || !other.conflicts(new) || thread.clocks.ordered(other)
    };
    let [x, y, z] = others;
    let fine = fine(x) && fine(y) && fine(z) && last.as_overflow().is_none();
    fine.then_some((index, old))
}
