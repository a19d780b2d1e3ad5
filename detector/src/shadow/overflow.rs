//! Granules with more accesses than four words hold: a list of cells.
//!
//! The last word of the granule then refers to the list, which holds what does
//! not fit in the other three. The list grows by nodes of six cells and stays
//! until the memory ends. A cell goes in and out only under the list's lock; a
//! thread that only looks needs none: what changes meanwhile is another
//! thread's access, and that thread looks at the words after it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::word::Cell;
use crate::race;
use crate::rt::lock::SpinWord;
use crate::rt::pool::{Pool, Zeroed};
use crate::session;
use crate::sync::Clocks;

const CELLS: usize = 6;

#[repr(C, align(64))]
struct Node {
    /// Of the whole list; used in its first node.
    lock: SpinWord,
    /// The next node, or 0.
    more: AtomicU32,
    /// True while the node begins a list.
    live: AtomicU32,
    cells: [AtomicU64; CELLS],
}

// SAFETY: all fields are atomics, for which zero is valid.
unsafe impl Zeroed for Node {}

static NODES: Pool<Node> = Pool::new();

/// What an access to an overflowed granule came to.
pub struct Outcome {
    /// A recorded access that it races with.
    pub race: Option<Cell>,
    /// True if it was not recorded before.
    pub changed: bool,
    /// True if the thread had no cell in the list.
    pub first: bool,
}

/// Begins a list in the last word of a granule, with the cell that is there.
/// If it is not `last` any more, nothing happens.
pub fn begin(word: &AtomicU64, last: Cell) {
    let number = fresh(last);
    NODES.get(number).live.store(1, Ordering::Relaxed);
    let reference = Cell::overflow(number).bits();
    let begun = word
        .compare_exchange(last.bits(), reference, Ordering::SeqCst, Ordering::Relaxed)
        .is_ok();
    if !begun {
        NODES.get(number).live.store(0, Ordering::Relaxed);
        NODES.put_many(&[number]);
    }
}

/// A node with one cell.
fn fresh(cell: Cell) -> u32 {
    let number = NODES.take();
    let node = NODES.get(number);
    for place in &node.cells {
        place.store(0, Ordering::Relaxed);
    }
    node.more.store(0, Ordering::Relaxed);
    node.cells[0].store(cell.bits(), Ordering::Release);
    number
}

/// Calls `f` with each place of a list until it returns something.
#[inline(always)]
fn each<R>(number: u32, mut f: impl FnMut(&'static AtomicU64) -> Option<R>) -> Option<R> {
    let mut at = number;
    while at != 0 {
        let node = NODES.get(at);
        for place in &node.cells {
            if let Some(result) = f(place) {
                return Some(result);
            }
        }
        at = node.more.load(Ordering::Acquire);
    }
    None
}

/// A copy of a list's cells.
pub fn cells(number: u32) -> Vec<Cell> {
    let mut cells = Vec::new();
    each(number, |place| {
        let cell = Cell::from_bits(place.load(Ordering::Acquire));
        if !cell.is_empty() {
            cells.push(cell);
        }
        None::<()>
    });
    cells
}

/// What a list says of an access that has its cell in another word.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// It is recorded already.
    Recorded,
    /// It races with this one.
    Race(Cell),
}

/// What a cell says of an access that has its cell in another word.
#[inline(always)]
pub fn look_at(cell: Cell, new: Cell, clocks: &Clocks) -> Found {
    if cell.same_slot(new) {
        if cell.says(new) {
            return Found::Recorded;
        }
    } else if cell.conflicts(new) && !clocks.ordered(cell) {
        return Found::Race(cell);
    }
    Found::Nothing
}

/// Looks through a list, changing nothing.
#[inline(never)]
pub fn look(number: u32, new: Cell, clocks: &Clocks) -> Found {
    let mut found = Found::Nothing;
    let recorded = each(number, |place| {
        let cell = Cell::from_bits(place.load(Ordering::Acquire));
        match look_at(cell, new, clocks) {
            Found::Nothing => None,
            Found::Recorded => Some(Found::Recorded),
            race @ Found::Race(_) => {
                found = race;
                None
            }
        }
    });
    recorded.unwrap_or(found)
}

/// Checks and records an access. None if the granule has left the list
/// meanwhile: look again.
pub fn access(number: u32, word: &AtomicU64, new: Cell, clocks: &Clocks) -> Option<Outcome> {
    let head = NODES.get(number);
    head.lock.lock();
    let here = word.load(Ordering::Acquire) == Cell::overflow(number).bits()
        && head.live.load(Ordering::Relaxed) == 1;
    let outcome = here.then(|| locked(number, new, clocks));
    head.lock.unlock();
    outcome
}

/// As [`access`], the lock held.
fn locked(number: u32, new: Cell, clocks: &Clocks) -> Outcome {
    let (mut race, mut free, mut merge, mut first) = (None, None, None, true);
    let said = each(number, |place| {
        let cell = Cell::from_bits(place.load(Ordering::Relaxed));
        if cell.is_empty() {
            free = Some(place);
            return None;
        }
        let own = cell.same_slot(new);
        if own {
            first = false;
            if cell.says(new) {
                return Some(());
            }
            if cell.same_stamp(new) && cell.same_access(new) {
                merge = Some((place, cell.with_mask(new.mask())));
                return None;
            }
        }
        let mut known = own;
        if !own && cell.conflicts(new) {
            known = clocks.ordered(cell);
            if !known {
                // Told once: from now on it counts as known.
                race = Some(cell);
                known = true;
            }
        }
        if cell.weaker_or_equal(new) && (known || clocks.ordered(cell)) {
            let rest = cell.without(new.mask());
            if rest.says_nothing() {
                place.store(0, Ordering::Release);
                free = Some(place);
            } else if rest != cell {
                place.store(rest.bits(), Ordering::Release);
            }
        }
        None
    });
    if said.is_some() {
        return Outcome {
            race: None,
            changed: false,
            first,
        };
    }
    let (place, recorded) = match merge {
        Some((place, merged)) => (Some(place), merged),
        None => (free.or_else(|| make_room(number, new)), new),
    };
    match place {
        Some(place) => place.store(recorded.bits(), Ordering::SeqCst),
        None => append(number, new),
    }
    Outcome {
        race,
        changed: true,
        first,
    }
}

/// Drops what is dead, and the cells of `new`'s thread that later ones of it
/// make redundant, so that a thread that touches the bytes in ever new combinations
/// does not grow the list. A free place, if there is one then.
#[cold]
fn make_room(number: u32, new: Cell) -> Option<&'static AtomicU64> {
    let all = cells(number);
    let mut free = None;
    each(number, |place| {
        let cell = Cell::from_bits(place.load(Ordering::Relaxed));
        let mine = cell.same_slot(new);
        if session::dead(cell) || mine && race::outdated(cell, all.iter().copied()) {
            place.store(0, Ordering::Release);
            free = Some(place);
        }
        None::<()>
    });
    free
}

fn append(number: u32, new: Cell) {
    let added = fresh(new);
    let mut at = number;
    loop {
        let last = NODES.get(at);
        match last.more.load(Ordering::Relaxed) {
            0 => {
                last.more.store(added, Ordering::Release);
                return;
            }
            next => at = next,
        }
    }
}

/// Frees the list of a granule that no longer refers to it.
pub fn free(number: u32) {
    let head = NODES.get(number);
    head.lock.lock();
    let live = head.live.swap(0, Ordering::Relaxed) == 1;
    head.lock.unlock();
    if !live {
        return;
    }
    let mut numbers = vec![number];
    let mut at = head.more.load(Ordering::Relaxed);
    while at != 0 {
        numbers.push(at);
        at = NODES.get(at).more.load(Ordering::Relaxed);
    }
    NODES.put_many(&numbers);
}
