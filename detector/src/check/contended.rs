//! What is not simple: a granule that a thread comes to for the first time, a
//! race, an overflow, another thread at the same granule.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{LAST, Seen, list_at, load, swap, words};
use crate::findings;
use crate::race::{self, Update};
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::map;
use crate::shadow::overflow::{self, Quick};
use crate::shadow::word::{Cell, MORE, WORDS};

/// As [`listed`], at once where that is easy.
#[inline(always)]
pub fn listed_quickly(
    thread: &mut Thread,
    at: usize,
    list: u32,
    new: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    match joins_list(thread, at, list, new) {
        Quick::Recorded => logged,
        Quick::Added(_) => {
            if !logged {
                thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
            }
            true
        }
        Quick::No => listed(thread, at, list, new, seen, logged),
    }
}

/// As [`overflow::quickly`], for a covered granule.
#[inline(never)]
fn joins_list(thread: &Thread, at: usize, list: u32, new: Cell) -> Quick {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { words(at) };
    let done = overflow::quickly(list, words, new, &thread.clocks);
    if let Quick::Added(after) = done {
        came(thread, at, &[after], new);
    }
    done
}

/// Checks and records an access in the list of its granule. True if the access
/// is in the history.
#[inline(never)]
pub fn listed(
    thread: &mut Thread,
    at: usize,
    list: u32,
    new: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { words(at) };
    let met = |cell| came(thread, at, &[cell], new);
    let Some(outcome) = overflow::access(list, words, new, &thread.clocks, met) else {
        return contended(thread, at, new, seen, logged);
    };
    if outcome.changed && !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    if let Some(earlier) = outcome.race {
        findings::race(thread, &seen, at, earlier);
    }
    outcome.changed || logged
}

/// Puts an access that races with nothing into an empty word. True if the
/// access is in the history.
#[inline(never)]
pub fn claim(
    thread: &mut Thread,
    at: usize,
    index: usize,
    new: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { words(at) };
    let mut before = [Cell::EMPTY; WORDS];
    for (cell, word) in before.iter_mut().zip(words).take(index) {
        *cell = Cell::from_bits(word.load(Ordering::Relaxed) & !MORE);
        if race::gone(*cell, new, session::dead) {
            return contended(thread, at, new, seen, logged);
        }
    }
    if index == 1 {
        return claim_second(thread, at, before[0], new, seen, logged);
    }
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    if !swap(words[index % WORDS], 0, new.bits()) {
        return contended(thread, at, new, seen, true);
    }
    // SAFETY: as above.
    if let Some(list) = unsafe { list_at(at) } {
        // It has become a list meanwhile: there the access is checked anew.
        swap(words[index % WORDS], new.bits(), 0);
        return listed(thread, at, list, new, seen, true);
    }
    if index > 1 {
        more(thread, at, new, seen.pc);
    }
    came(thread, at, &before[..index], new);
    // The swap is a full barrier: what is not seen now will see this access.
    for (place, word) in words.into_iter().enumerate() {
        let now = Cell::from_bits(word.load(Ordering::Relaxed) & !MORE);
        if place == index {
            continue;
        }
        if now.is_empty() {
            break;
        }
        if now != before[place] {
            before[index] = new;
            let now = load(words).0;
            came(thread, at, &now, new);
            missed(thread, at, &now, &before, new, seen);
            break;
        }
    }
    true
}

/// Puts an access that races with nothing into the second word, `before` being
/// the first: memory that one thread hands to another. True if the access is in
/// the history.
#[inline(always)]
pub fn claim_second(
    thread: &mut Thread,
    at: usize,
    before: Cell,
    new: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let [first, second] = unsafe { map::front(at) };
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    if !swap(second, 0, new.bits()) {
        return contended(thread, at, new, seen, true);
    }
    came(thread, at, &[before], new);
    // The swap is a full barrier: what is not seen now will see this access.
    if first.load(Ordering::Relaxed) != before.bits() {
        // SAFETY: as above.
        let now = load(unsafe { words(at) }).0;
        let known = [before, new, Cell::EMPTY, Cell::EMPTY];
        missed(thread, at, &now, &known, new, seen);
    }
    true
}

/// Puts an access in the place of one of another thread that it supersedes. True
/// if the access is in the history.
#[inline(always)]
pub fn take_over(
    thread: &mut Thread,
    at: usize,
    [old, cell]: [u64; 2],
    word: &AtomicU64,
    new: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    // SAFETY: the callers have checked that the access is covered.
    let before = load(unsafe { words(at) }).0;
    if !swap(word, old, cell) {
        return contended(thread, at, new, seen, true);
    }
    thread.again.push(at, new, seen.pc);
    came(thread, at, &before, new);
    // SAFETY: as above. The swap is a full barrier.
    let now = load(unsafe { words(at) }).0;
    missed(thread, at, &now, &before, new, seen);
    true
}

/// There is a cell beyond the second word now.
fn more(thread: &mut Thread, at: usize, cell: Cell, pc: u64) {
    // SAFETY: the callers have checked that the access is covered.
    let second = &unsafe { map::front(at) }[1];
    if second.load(Ordering::Relaxed) & MORE == 0 {
        second.fetch_or(MORE, Ordering::Relaxed);
    }
    thread.again.push(at, cell, pc);
}

/// Checks and records an access, whatever the granule holds. True if the
/// access is in the history.
#[inline(never)]
pub fn contended(thread: &mut Thread, at: usize, new: Cell, seen: Seen, logged: bool) -> bool {
    // SAFETY: the callers have checked that the access is covered.
    let words = unsafe { words(at) };
    let mut logged = logged;
    loop {
        let (cells, flag) = load(words);
        if let Some(list) = cells[LAST].as_overflow() {
            return listed(thread, at, list, new, seen, logged);
        }
        let ordered = |cell| thread.clocks.ordered(cell);
        let step = race::step(&cells, new, ordered, session::dead);
        let (index, old, cell) = match step.update {
            Update::Nothing => return logged,
            Update::Store { index, old, cell } => (index, old, cell),
            Update::Overflow => {
                if !thread.tried_floor() {
                    overflow::begin(words[LAST], cells[LAST]);
                }
                continue;
            }
        };
        if !logged {
            thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
            logged = true;
        }
        let own = old.same_slot(new) && !old.is_empty();
        let flag = if index == 1 { flag } else { 0 };
        if own && index != LAST {
            words[index].store(cell.bits() | flag, Ordering::Relaxed);
        } else if !swap(words[index], old.bits() | flag, cell.bits() | flag) {
            continue;
        }
        if !own {
            if index > 1 {
                more(thread, at, cell, seen.pc);
            } else if !old.is_empty() {
                thread.again.push(at, cell, seen.pc);
            }
            came(thread, at, &cells, new);
        }
        match step.race {
            Some(earlier) => findings::race(thread, &seen, at, earlier),
            None if !own => missed(thread, at, &load(words).0, &cells, new, seen),
            None => {}
        }
        return true;
    }
}

/// Looks at what came into other words while one was stored: a race with it.
fn missed(
    thread: &mut Thread,
    at: usize,
    now: &[Cell; WORDS],
    old: &[Cell; WORDS],
    new: Cell,
    seen: Seen,
) {
    let racy = |now: &Cell| {
        !old.contains(now)
            && !now.same_slot(new)
            && now.conflicts(new)
            && !thread.clocks.ordered(*now)
    };
    if let Some(earlier) = now.iter().copied().find(racy) {
        findings::race(thread, &seen, at, earlier);
    }
}

/// A thread touched a granule that others have touched. If the granule lies in
/// the stack of the thread of one of `cells`, that thread must look at it when
/// the function returns.
#[inline(always)]
fn came(thread: &Thread, at: usize, cells: &[Cell], new: Cell) {
    if thread.stack.contains(&at) {
        return;
    }
    for cell in cells {
        if cell.is_empty() || cell.as_overflow().is_some() || cell.same_slot(new) {
            continue;
        }
        if let Some(owner) = session::owner_of_stack(cell.slot(), at) {
            owner.touched_by_another(at);
        }
    }
}
