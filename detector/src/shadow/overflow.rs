//! Granules with more accesses than two words hold: a list of cells.
//!
//! The first word of the granule then refers to the list; the second stays
//! what it was. The list grows by nodes of six cells; it shrinks back to a
//! word when one cell is left. A cell goes in and out only under the list's
//! lock; a thread that looks for its own cell needs none, since only it adds
//! its cells.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::word::Cell;
use crate::race::{self, Update};
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
}

/// Moves the first word of a granule to a list of its own. If the word is not
/// `first` any more, nothing happens.
pub fn begin(words: &[AtomicU64; 2], first: Cell) {
    let number = NODES.take();
    let node = NODES.get(number);
    for cell in &node.cells {
        cell.store(0, Ordering::Relaxed);
    }
    node.more.store(0, Ordering::Relaxed);
    node.cells[0].store(first.bits(), Ordering::Relaxed);
    node.live.store(1, Ordering::Relaxed);
    let word = Cell::overflow(number).bits();
    if words[0]
        .compare_exchange(first.bits(), word, Ordering::SeqCst, Ordering::Relaxed)
        .is_err()
    {
        node.live.store(0, Ordering::Relaxed);
        NODES.put_many(&[number]);
    }
}

/// The places of a list's cells.
fn places(number: u32) -> impl Iterator<Item = &'static AtomicU64> {
    let mut at = number;
    std::iter::from_fn(move || {
        if at == 0 {
            return None;
        }
        let node = NODES.get(at);
        at = node.more.load(Ordering::Acquire);
        Some(node.cells.iter())
    })
    .flatten()
}

/// A copy of a list's cells.
pub fn cells(number: u32) -> Vec<Cell> {
    places(number)
        .map(|place| Cell::from_bits(place.load(Ordering::Acquire)))
        .filter(|cell| !cell.is_empty())
        .collect()
}

/// Checks and records an access. None if the granule has left the list
/// meanwhile: look again.
pub fn access(number: u32, words: &[AtomicU64; 2], new: Cell, clocks: &Clocks) -> Option<Outcome> {
    if places(number).any(|place| Cell::from_bits(place.load(Ordering::Acquire)).says(new)) {
        return Some(Outcome {
            race: None,
            changed: false,
        });
    }
    let head = NODES.get(number);
    head.lock.lock();
    let here = words[0].load(Ordering::Acquire) == Cell::overflow(number).bits()
        && head.live.load(Ordering::Relaxed) == 1;
    let outcome = here.then(|| locked(number, words, new, clocks));
    let over = here && collapse(number, words);
    head.lock.unlock();
    if over {
        give_back(number);
    }
    outcome
}

/// As [`access`], the lock held.
fn locked(number: u32, words: &[AtomicU64; 2], new: Cell, clocks: &Clocks) -> Outcome {
    let second = Cell::from_bits(words[1].load(Ordering::Acquire));
    let mut race = (!second.is_empty()
        && second.slot() != new.slot()
        && second.conflicts(new)
        && !clocks.ordered(second))
    .then_some(second);
    let mut empty = None;
    let mut merge = None;
    for place in places(number) {
        let cell = Cell::from_bits(place.load(Ordering::Relaxed));
        if cell.is_empty() {
            empty = empty.or(Some(place));
            continue;
        }
        let step = race::step(&[cell], new, |c| clocks.ordered(c), session::dead);
        race = step.race.or(race);
        match step.update {
            Update::Store(_, merged)
                if merged.stamp() == cell.stamp() && merged.access() == cell.access() =>
            {
                merge = Some((place, merged));
            }
            // Superseded or dead: its place is free.
            Update::Store(..) => {
                place.store(0, Ordering::Release);
                empty = empty.or(Some(place));
            }
            Update::Nothing | Update::Overflow => {}
        }
    }
    if let Some((place, merged)) = merge {
        place.store(merged.bits(), Ordering::SeqCst);
    } else if let Some(place) = empty {
        place.store(new.bits(), Ordering::SeqCst);
    } else {
        append(number, new);
    }
    // What came into the second word meanwhile does not know of this access.
    let now = Cell::from_bits(words[1].load(Ordering::SeqCst));
    if race.is_none()
        && now != second
        && now.slot() != new.slot()
        && now.conflicts(new)
        && !clocks.ordered(now)
    {
        race = Some(now);
    }
    Outcome {
        race,
        changed: true,
    }
}

fn append(number: u32, new: Cell) {
    let added = NODES.take();
    let node = NODES.get(added);
    for cell in &node.cells {
        cell.store(0, Ordering::Relaxed);
    }
    node.more.store(0, Ordering::Relaxed);
    node.cells[0].store(new.bits(), Ordering::Relaxed);
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

/// With one cell left, goes back to a word. The lock is held. True if the list
/// is no longer referred to.
fn collapse(number: u32, words: &[AtomicU64; 2]) -> bool {
    let mut left = places(number).filter(|place| place.load(Ordering::Relaxed) != 0);
    let (Some(only), None) = (left.next(), left.next()) else {
        return false;
    };
    let word = only.load(Ordering::Relaxed);
    NODES.get(number).live.store(0, Ordering::Relaxed);
    let list = Cell::overflow(number).bits();
    words[0]
        .compare_exchange(list, word, Ordering::SeqCst, Ordering::Relaxed)
        .is_ok()
}

/// Frees the list of a granule that no longer refers to it.
pub fn free(number: u32) {
    let head = NODES.get(number);
    head.lock.lock();
    let live = head.live.swap(0, Ordering::Relaxed) == 1;
    head.lock.unlock();
    if live {
        give_back(number);
    }
}

fn give_back(number: u32) {
    let mut numbers = vec![number];
    let mut at = NODES.get(number).more.load(Ordering::Relaxed);
    while at != 0 {
        numbers.push(at);
        at = NODES.get(at).more.load(Ordering::Relaxed);
    }
    NODES.put_many(&numbers);
}
