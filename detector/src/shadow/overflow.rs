//! Granules with more accesses than two words hold: a list of cells.
//!
//! The first word of the granule then refers to the list, which holds all its
//! cells; the second only repeats the cell last recorded, for the hooks to
//! find, and the others are empty. The list grows by nodes of six cells and stays until the memory ends.
//! A cell goes in and out only under the list's lock; a thread that looks for
//! its own cell needs none, since only it adds its cells.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::word::{Cell, WORDS};
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

/// Moves the words of a granule to a list. If the first is not `first` any
/// more, nothing happens.
///
/// A thread that stores into the second word meanwhile reads the first again
/// and records its access in the list, too.
pub fn begin(words: &[AtomicU64; WORDS], first: Cell) {
    let number = fresh(first);
    let node = NODES.get(number);
    node.live.store(1, Ordering::Relaxed);
    node.lock.lock();
    let word = Cell::overflow(number).bits();
    let begun = words[0]
        .compare_exchange(first.bits(), word, Ordering::SeqCst, Ordering::Relaxed)
        .is_ok();
    if begun {
        for (word, place) in words.iter().zip(&node.cells).skip(1) {
            place.store(word.swap(0, Ordering::SeqCst), Ordering::Release);
        }
    } else {
        node.live.store(0, Ordering::Relaxed);
    }
    node.lock.unlock();
    if !begun {
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

/// Checks and records an access. None if the granule has left the list
/// meanwhile: look again.
pub fn access(
    number: u32,
    words: &[AtomicU64; WORDS],
    new: Cell,
    clocks: &Clocks,
) -> Option<Outcome> {
    let said = each(number, |place| {
        Cell::from_bits(place.load(Ordering::Acquire))
            .says(new)
            .then_some(())
    });
    if said.is_some() {
        return Some(Outcome {
            race: None,
            changed: false,
            first: false,
        });
    }
    let head = NODES.get(number);
    head.lock.lock();
    let here = words[0].load(Ordering::Acquire) == Cell::overflow(number).bits()
        && head.live.load(Ordering::Relaxed) == 1;
    let outcome = here.then(|| locked(number, words, new, clocks));
    head.lock.unlock();
    outcome
}

/// As [`access`], the lock held.
fn locked(number: u32, words: &[AtomicU64; WORDS], new: Cell, clocks: &Clocks) -> Outcome {
    let (mut race, mut free, mut merge, mut first) = (None, None, None, true);
    each(number, |place| {
        let cell = Cell::from_bits(place.load(Ordering::Relaxed));
        if cell.is_empty() {
            free = Some(place);
        } else if cell.same_slot(new) {
            first = false;
            if cell.same_stamp(new) && cell.same_access(new) {
                merge = Some((place, cell.with_mask(new.mask())));
            } else if cell.superseded_by(new) {
                place.store(0, Ordering::Release);
                free = Some(place);
            }
        } else {
            let conflicts = cell.conflicts(new);
            let superseded = cell.superseded_by(new);
            if conflicts || superseded {
                let before = clocks.ordered(cell);
                if conflicts && !before {
                    race = Some(cell);
                }
                if superseded && (before || conflicts) {
                    place.store(0, Ordering::Release);
                    free = Some(place);
                }
            }
        }
        None::<()>
    });
    let (place, recorded) = match merge {
        Some((place, merged)) => (Some(place), merged),
        None => (free.or_else(|| make_room(number, new)), new),
    };
    match place {
        Some(place) => place.store(recorded.bits(), Ordering::SeqCst),
        None => append(number, new),
    }
    words[1].store(recorded.bits(), Ordering::Relaxed);
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
