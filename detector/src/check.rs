//! An access, against shadow memory: the slow path of every check.
//!
//! The hooks find by themselves whether an access is recorded already; what is
//! not comes here. Words change by compare-and-swap, one at a time. After a
//! store the other word is read again: two threads that record at once into
//! different words cannot both miss each other (the swap is a full barrier).
//! While one thread is alone, plain stores do.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::findings;
use crate::history;
use crate::race::{self, Update};
use crate::report::wire::AccessOp;
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::map::{self, Table};
use crate::shadow::overflow;
use crate::shadow::word::{Access, Cell, Class, GRANULE, Mask, WORDS};

/// An access that a hook reports.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// First byte.
    pub addr: usize,
    /// Bytes.
    pub size: usize,
    /// Read or write, and its class.
    pub access: Access,
    /// What it does.
    pub op: AccessOp,
    /// Return address of the hook.
    pub pc: u64,
}

/// Above this many bytes, a freed or fresh range is handled by page.
const LARGE: usize = 64 << 10;

/// The mask of the bytes of granule `at` in `range`.
#[inline]
fn mask_of(at: usize, range: &Range<usize>) -> Mask {
    let first = range.start.max(at) - at;
    let end = range.end.min(at + GRANULE) - at;
    (((1u16 << (end - first)) - 1) << first) as Mask
}

/// Checks and records an access of any size and alignment.
#[inline(never)]
pub fn access(thread: &mut Thread, seen: Seen) {
    if !map::covers(seen.addr, seen.size) {
        findings::unshadowed();
        return;
    }
    let range = seen.addr..seen.addr + seen.size;
    let mut at = seen.addr & !(GRANULE - 1);
    let mut logged = false;
    while at < range.end {
        logged |= granule(thread, at, mask_of(at, &range), &seen, logged);
        at += GRANULE;
    }
}

/// Checks and records an access that lies in one granule.
#[inline(always)]
pub fn small(thread: &mut Thread, seen: Seen, mask: Mask) {
    if !map::covers(seen.addr, GRANULE) {
        findings::unshadowed();
        return;
    }
    granule(thread, seen.addr & !(GRANULE - 1), mask, &seen, false);
}

/// As [`small`], not inlined.
#[inline(never)]
pub fn one(thread: &mut Thread, seen: Seen, mask: Mask) {
    small(thread, seen, mask);
}

/// Checks and records the part of an access in the granule at `at`. True if
/// shadow memory changed, and the access is therefore in the history.
#[inline(always)]
fn granule(thread: &mut Thread, at: usize, mask: Mask, seen: &Seen, logged: bool) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { map::words(at) };
    let new = Cell::from_bits(thread.stamp() | seen.access.bits() | u64::from(mask));
    let cells = load(words);
    if cells[0].as_overflow().is_some() {
        return contended(thread, at, new, seen, logged);
    }
    let ordered = |cell| thread.clocks.ordered(cell);
    let step = race::step(&cells, new, ordered, session::dead);
    let (index, old, cell) = match step.update {
        Update::Nothing => return logged,
        Update::Store { index, old, cell } if step.race.is_none() => (index, old, cell),
        Update::Store { .. } | Update::Overflow => {
            return contended(thread, at, new, seen, logged);
        }
    };
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    if session::alone() {
        words[index % WORDS].store(cell.bits(), Ordering::Relaxed);
        return true;
    }
    if !swap(&words[index % WORDS], old, cell) {
        return contended(thread, at, new, seen, true);
    }
    // Its own older cell in the granule means that it looked already.
    if old.is_empty() && index != 0 || !old.same_slot(new) {
        came(thread, at, cells, new);
    }
    let now = load(words);
    if changed(now, cells, index) {
        missed(thread, at, now, cells, new, seen);
    }
    true
}

/// As [`granule`], for what is not simple: a race, an overflow, another thread
/// at the same granule.
#[cold]
#[inline(never)]
fn contended(thread: &mut Thread, at: usize, new: Cell, seen: &Seen, logged: bool) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { map::words(at) };
    let mut logged = logged;
    loop {
        let cells = load(words);
        if let Some(list) = cells[0].as_overflow() {
            let Some(outcome) = overflow::access(list, words, new, &thread.clocks) else {
                continue;
            };
            if outcome.changed && !logged {
                thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
            }
            if outcome.first {
                for cell in overflow::cells(list) {
                    touches_stack(thread, at, cell, new);
                }
            }
            if let Some(earlier) = outcome.race {
                findings::race(thread, seen, at, earlier);
            }
            return outcome.changed || logged;
        }
        let ordered = |cell| thread.clocks.ordered(cell);
        let step = race::step(&cells, new, ordered, session::dead);
        let (index, old, cell) = match step.update {
            Update::Nothing => return logged,
            Update::Store { index, old, cell } => (index, old, cell),
            Update::Overflow => {
                if !thread.tried_floor() {
                    overflow::begin(words, cells[0]);
                }
                continue;
            }
        };
        if !logged {
            thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
            logged = true;
        }
        if !swap(&words[index % WORDS], old, cell) {
            continue;
        }
        came(thread, at, cells, new);
        match step.race {
            Some(earlier) => findings::race(thread, seen, at, earlier),
            None => missed(thread, at, load(words), cells, new, seen),
        }
        return true;
    }
}

#[inline(always)]
fn load(words: &[AtomicU64; WORDS]) -> [Cell; WORDS] {
    std::array::from_fn(|index| Cell::from_bits(words[index].load(Ordering::Acquire)))
}

/// True if a word besides the one stored is not what it was.
#[inline(always)]
fn changed(now: [Cell; WORDS], old: [Cell; WORDS], stored: usize) -> bool {
    let differs = |index: usize| {
        if index == stored {
            0
        } else {
            now[index].bits() ^ old[index].bits()
        }
    };
    (0..WORDS).fold(0, |all, index| all | differs(index)) != 0
}

/// Replaces a word, if it still is what it was.
#[inline(always)]
pub fn swap(word: &AtomicU64, old: Cell, new: Cell) -> bool {
    word.compare_exchange(old.bits(), new.bits(), Ordering::SeqCst, Ordering::Relaxed)
        .is_ok()
}

/// After a hook stored `new` into the first word, which was `old`, while another
/// thread stored into the second, which was empty.
#[cold]
#[inline(never)]
pub fn no_longer_private(thread: &mut Thread, old: Cell, new: Cell, seen: &Seen) {
    let at = seen.addr & !(GRANULE - 1);
    // SAFETY: the hook has checked that the access is covered.
    let now = load(unsafe { map::words(at) });
    let mut before = [Cell::EMPTY; WORDS];
    before[0] = old;
    came(thread, at, now, new);
    missed(thread, at, now, before, new, seen);
}

/// Looks at what came into other words while one was stored: a race with it,
/// or an overflow, whose list must know of the access, too.
#[cold]
#[inline(never)]
fn missed(
    thread: &mut Thread,
    at: usize,
    now: [Cell; WORDS],
    old: [Cell; WORDS],
    new: Cell,
    seen: &Seen,
) {
    if now[0].as_overflow().is_some() {
        contended(thread, at, new, seen, true);
        return;
    }
    let racy = |now: &Cell| {
        !old.contains(now)
            && !now.same_slot(new)
            && now.conflicts(new)
            && !thread.clocks.ordered(*now)
    };
    if let Some(earlier) = now.into_iter().find(racy) {
        findings::race(thread, seen, at, earlier);
    }
}

/// A thread touched a granule that others have touched.
#[inline(never)]
fn came(thread: &Thread, at: usize, cells: [Cell; WORDS], new: Cell) {
    for cell in cells {
        touches_stack(thread, at, cell, new);
    }
}

/// If the granule lies in the stack of the thread of `cell`, another one, that
/// thread must look at it when the function returns.
fn touches_stack(thread: &Thread, at: usize, cell: Cell, new: Cell) {
    if cell.is_empty() || cell.same_slot(new) || thread.stack.contains(&at) {
        return;
    }
    if let Some(owner) = session::owner_of_stack(cell.slot(), at) {
        owner.touched_by_another(at);
    }
}

/// The bytes stop being what they were: a block is freed, a stack slot's
/// function returns. An unordered access by another thread is a race. With
/// `keep`, the end itself stays recorded, for accesses that come too late.
pub fn end_of_life(thread: &mut Thread, range: Range<usize>, op: AccessOp, pc: u64, keep: bool) {
    if range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
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
    let access = Access::write(Class::Plain);
    let size = range.len();
    let seen = Seen {
        addr: range.start,
        size,
        access,
        op,
        pc,
    };
    let mut logged = false;
    let mut at = range.start & !(GRANULE - 1);
    while at < range.end {
        let mask = mask_of(at, &range);
        // SAFETY: covered, as checked above.
        let words = unsafe { map::words(at) };
        let cells = load(words);
        if cells[0].is_empty() && (sparse || !keep) {
            at += GRANULE;
            continue;
        }
        let new = Cell::from_bits(thread.stamp() | access.bits() | u64::from(mask));
        let racy = |cell: &Cell| {
            cell.slot() != new.slot() && cell.conflicts(new) && !thread.clocks.ordered(*cell)
        };
        let race = match cells[0].as_overflow() {
            Some(list) => overflow::cells(list).into_iter().find(racy),
            None => cells.into_iter().find(racy),
        };
        if !logged && (keep || race.is_some()) {
            thread.log(pc, access, op, seen.addr, size);
            logged = true;
        }
        if let Some(earlier) = race {
            findings::race(thread, &seen, at, earlier);
        }
        clear(words);
        if keep {
            words[0].store(new.bits(), Ordering::Relaxed);
        }
        at += GRANULE;
    }
}

#[inline(always)]
fn clear(words: &[AtomicU64; WORDS]) {
    let first = Cell::from_bits(words[0].load(Ordering::Relaxed));
    if !first.is_empty() {
        words[0].store(0, Ordering::Relaxed);
        if let Some(list) = first.as_overflow() {
            overflow::free(list);
        }
    }
    for word in &words[1..] {
        if word.load(Ordering::Relaxed) == 0 {
            break;
        }
        word.store(0, Ordering::Relaxed);
    }
}

/// Fresh memory: nothing is known of it.
pub fn fresh(range: Range<usize>) {
    if range.is_empty() || !map::covers(range.start, range.len()) {
        return;
    }
    if range.len() <= LARGE {
        clear_all(range);
        return;
    }
    for part in map::touched(Table::Shadow, range) {
        clear_all(part.clone());
        if part.len() > LARGE {
            map::give_back(part);
        }
    }
}

fn clear_all(range: Range<usize>) {
    let mut at = range.start & !(GRANULE - 1);
    while at < range.end {
        // SAFETY: the caller checked that the range is covered.
        clear(unsafe { map::words(at) });
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

/// The events of `slot`'s history that a cell stands for.
pub fn restore(cell: Cell, at: usize) -> Option<history::Restored> {
    history::restore(&session::history(cell.slot()), cell, at)
}
