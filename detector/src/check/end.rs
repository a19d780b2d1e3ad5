//! The two ends of memory's life: a block is freed, a stack slot's function
//! returns; and memory begins anew.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::{LAST, Seen, is_long, lines, load, mask_of, words};
use crate::findings;
use crate::report::wire::AccessOp;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::shadow::map::{self, Table};
use crate::shadow::overflow;
use crate::shadow::word::{Access, Cell, Class, GRANULE, MORE, Mask};

/// Above this many bytes, a freed or fresh range is handled by page.
const LARGE: usize = 64 << 10;

/// The bytes stop being what they were: a block is freed, a stack slot's
/// function returns. An unordered access by another thread is a race. With
/// `keep`, the end itself stays recorded, for accesses that come too late.
pub fn end_of_life(thread: &mut Thread, range: Range<usize>, op: AccessOp, pc: u64, keep: bool) {
    if mode::leaks_alone() || range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
    thread.before_release();
    if range.len() > LARGE {
        for part in map::touched(Table::Shadow, range) {
            end_of_part(thread, part, op, pc, keep, true);
        }
    } else {
        end_of_part(thread, range, op, pc, keep, false);
    }
}

/// As [`end_of_life`]; with `sparse`, only where something is recorded.
fn end_of_part(
    thread: &mut Thread,
    range: Range<usize>,
    op: AccessOp,
    pc: u64,
    keep: bool,
    sparse: bool,
) {
    let end = Access::write(Class::Plain);
    let mut logged = false;
    let mut at = range.start & !(GRANULE - 1);
    let long = is_long(range.len());
    if keep && !sparse {
        thread.log(pc, end, op, range.start, range.len());
        logged = true;
    }
    while at < range.end {
        if logged && keep {
            at = if long {
                end_of_known_lines(thread, at, &range)
            } else {
                end_of_known::<false>(thread, at, &range)
            };
            if at >= range.end {
                return;
            }
        }
        let mask = mask_of(at, &range);
        let new = Cell::from_bits(thread.stamp() | end.bits() | u64::from(mask));
        // SAFETY: covered, as the caller checked.
        let front = unsafe { map::front(at) };
        let first = Cell::from_bits(front[0].load(Ordering::Relaxed));
        let untouched =
            (sparse || !keep) && first.is_empty() && front[1].load(Ordering::Relaxed) == 0;
        let private = first.is_empty() || first.same_slot(new);
        if untouched {
        } else if private && front[1].load(Ordering::Relaxed) == 0
            || keep && logged && harmless(thread, first, new) && {
                let second = Cell::from_bits(front[1].load(Ordering::Relaxed));
                let ours = second.bits() & MORE == 0 && harmless(thread, second, new);
                if ours {
                    front[1].store(0, Ordering::Relaxed);
                }
                ours
            }
        {
            if keep && !logged {
                thread.log(pc, end, op, range.start, range.len());
                logged = true;
            }
            front[0].store(if keep { new.bits() } else { 0 }, Ordering::Relaxed);
        } else {
            let seen = Seen {
                addr: range.start,
                size: range.len(),
                access: end,
                op,
                pc,
            };
            logged = end_of_shared(thread, at, mask, seen, keep, logged);
        }
        at += GRANULE;
    }
}

/// Keeps the end of whole granules from `at` on, as long as there are two cells
/// at most, and it races with neither. Returns the first other one.
#[inline(always)]
fn end_of_known<const LONG: bool>(thread: &Thread, mut at: usize, range: &Range<usize>) -> usize {
    let whole = Access::write(Class::Plain).bits() | u64::from(Mask::MAX);
    let new = Cell::from_bits(thread.stamp() | whole);
    while at >= range.start && at + GRANULE <= range.end {
        if LONG && lines::begins(at, range) {
            let line = lines::end(thread, at, range, new);
            if line > at {
                at = line;
                continue;
            }
        }
        // SAFETY: covered, as the caller checked.
        let front = unsafe { map::front(at) };
        let first = Cell::from_bits(front[0].load(Ordering::Relaxed));
        let second = Cell::from_bits(front[1].load(Ordering::Relaxed));
        if second.bits() & MORE != 0
            || !harmless(thread, first, new)
            || !harmless(thread, second, new)
        {
            break;
        }
        front[0].store(new.bits(), Ordering::Relaxed);
        if !second.is_empty() {
            front[1].store(0, Ordering::Relaxed);
        }
        at += GRANULE;
    }
    at
}

/// As [`end_of_known`], by lines too.
#[inline(never)]
fn end_of_known_lines(thread: &Thread, at: usize, range: &Range<usize>) -> usize {
    end_of_known::<true>(thread, at, range)
}

/// True if a cell is the thread's own, or ordered before the end.
#[inline(always)]
pub fn harmless(thread: &Thread, cell: Cell, end: Cell) -> bool {
    cell.same_slot(end) || !cell.conflicts(end) || thread.clocks.ordered(cell)
}

/// As [`end_of_life`], for a granule that others have touched. True if the end
/// is in the history.
#[inline(never)]
fn end_of_shared(
    thread: &mut Thread,
    at: usize,
    mask: Mask,
    seen: Seen,
    keep: bool,
    logged: bool,
) -> bool {
    // SAFETY: covered, as the callers checked.
    let words = unsafe { words(at) };
    let (cells, _) = load(words);
    let new = Cell::from_bits(thread.stamp() | seen.access.bits() | u64::from(mask));
    let racy =
        |cell: &Cell| !cell.same_slot(new) && cell.conflicts(new) && !thread.clocks.ordered(*cell);
    let listed = || {
        let list = cells[LAST].as_overflow()?;
        overflow::find(list, |cell| racy(&cell))
    };
    let race = cells.iter().copied().find(racy).or_else(listed);
    let log = !logged && (keep || race.is_some());
    if log {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    if let Some(earlier) = race {
        findings::race(thread, &seen, at, earlier);
    }
    clear(at);
    if keep {
        words[0].store(new.bits(), Ordering::Relaxed);
    }
    logged || log
}

/// Empties the words of a covered granule.
#[inline(always)]
fn clear(at: usize) {
    // SAFETY: covered, as the callers checked.
    let front = unsafe { map::front(at) };
    if front[1].load(Ordering::Relaxed) != 0 {
        clear_shared(at);
    } else if front[0].load(Ordering::Relaxed) != 0 {
        front[0].store(0, Ordering::Relaxed);
    }
}

#[inline(never)]
fn clear_shared(at: usize) {
    // SAFETY: covered, as the callers checked.
    let words = unsafe { words(at) };
    for word in words {
        // What is empty may have no memory yet.
        if word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        if let Some(list) = Cell::from_bits(word.swap(0, Ordering::Relaxed) & !MORE).as_overflow() {
            overflow::free(list);
        }
    }
}

/// Fresh memory: nothing is known of it. With `thread`, the first word is its
/// own from now on: it has the memory for itself until it tells somebody. Where
/// another thread had the memory last, the second word is that thread's: what
/// one sends and another frees often goes that way again.
pub fn fresh(range: Range<usize>, thread: Option<&Thread>) {
    if mode::leaks_alone() || range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
    if range.len() > LARGE {
        for part in map::touched(Table::Shadow, range) {
            clear_all(part.clone());
            if part.len() > LARGE {
                map::give_back(part);
            }
        }
        return;
    }
    let Some(thread) = thread else {
        clear_all(range);
        return;
    };
    if is_long(range.len()) {
        reserve_lines(thread, range);
    } else {
        reserve::<false>(thread, range);
    }
}

/// As [`reserve`], by lines too.
#[inline(never)]
fn reserve_lines(thread: &Thread, range: Range<usize>) {
    reserve::<true>(thread, range);
}

/// Reserves fresh memory for a thread.
#[inline(always)]
fn reserve<const LONG: bool>(thread: &Thread, range: Range<usize>) {
    let mut at = range.start & !(GRANULE - 1);
    while at < range.end {
        if LONG && lines::begins(at, &range) {
            let line = lines::fresh(thread, at, &range);
            if line > at {
                at = line;
                continue;
            }
        }
        // SAFETY: covered, as the caller checked.
        let front = unsafe { map::front(at) };
        let before = Cell::from_bits(front[0].load(Ordering::Relaxed));
        if front[1].load(Ordering::Relaxed) != 0 {
            clear_shared(at);
        }
        front[0].store(thread.reserved(), Ordering::Relaxed);
        if !before.is_empty() && !before.same_slot(Cell::from_bits(thread.reserved())) {
            let other = Cell::reserved(before.stamp());
            front[1].store(other.bits(), Ordering::Relaxed);
        }
        at += GRANULE;
    }
}

fn clear_all(range: Range<usize>) {
    let mut at = range.start & !(GRANULE - 1);
    while at < range.end {
        clear(at);
        at += GRANULE;
    }
}

/// A thread's stack frame ends below `frame`: looks at what others touched.
#[cold]
pub fn frame_ends(thread: &mut Thread, frame: usize, pc: u64) {
    if let Some(range) = thread.take_touched(frame) {
        end_of_life(thread, range, AccessOp::Return, pc, false);
    }
}
