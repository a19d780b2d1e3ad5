//! The race check: one access against the cells of its granule.
//!
//! A data race is two conflicting accesses, not ordered by happens-before in
//! this execution (C11 5.1.2.4 p25). [`step`] decides, for one access, whether
//! it races with a recorded one and how the granule's words change. It is
//! pure: the caller loads the words, stores the one that changes with a
//! compare-and-swap, and calls again if it lost.
//!
//! A cell leaves the words only when no race can be missed by that:
//! - it is *superseded*: ordered before the new access, its bytes all covered
//!   by it, of an access no stronger;
//! - it is *dead*: known to every live thread, so that nothing can race with
//!   it any more.
//!
//! Otherwise the granule overflows into a list. Nothing is evicted.

use crate::shadow::word::Cell;

/// What to do with the words of a granule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Nothing: it is already recorded.
    Nothing,
    /// Replace a word.
    Store {
        /// Which.
        index: usize,
        /// What it held.
        old: Cell,
        /// What it becomes.
        cell: Cell,
    },
    /// No word can go: it belongs in the overflow list.
    Overflow,
}

/// The outcome of [`step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// A recorded access that the new one races with.
    pub race: Option<Cell>,
    /// How the words change.
    pub update: Update,
}

/// Checks `new` against `words` and decides where it goes.
///
/// `ordered` tells whether a cell of another slot happens before the new
/// access; `dead` whether every live thread knows it. Words fill from the
/// first on: behind an empty one there is none.
///
/// The place is the first there is of: a word of its own; the word it races
/// with, so that a race is told once; a dead one; an empty one; a superseded
/// one. Two threads that take turns thus keep a word each, and memory that
/// one thread prepared for another becomes the other's alone.
#[inline(always)]
pub fn step<const N: usize>(
    words: &[Cell; N],
    new: Cell,
    ordered: impl Fn(Cell) -> bool,
    dead: impl Fn(Cell) -> bool,
) -> Step {
    let mut race = None;
    let (mut own, mut raced, mut empty, mut superseded) = (N, N, N, N);
    let mut merges = false;
    for (at, &cell) in words.iter().enumerate() {
        if cell.is_empty() {
            empty = at;
            break;
        }
        if cell.says_nothing() {
            if own == N && cell.as_overflow().is_none() && cell.same_slot(new) {
                own = at;
            }
        } else if cell.same_slot(new) {
            if cell.says(new) {
                return Step {
                    race: None,
                    update: Update::Nothing,
                };
            }
            if cell.same_stamp(new) && cell.same_access(new) {
                (own, merges) = (at, true);
            } else if own == N && cell.superseded_by(new) {
                own = at;
            }
        } else {
            let conflicts = cell.conflicts(new);
            if conflicts && !ordered(cell) {
                race = Some(cell);
                if cell.superseded_by(new) {
                    raced = at;
                }
            } else if superseded == N && cell.superseded_by(new) && (conflicts || ordered(cell)) {
                superseded = at;
            }
        }
    }
    let index = if own < N {
        own
    } else if raced < N {
        raced
    } else {
        place(words, new, [empty, superseded], dead)
    };
    let update = if index < N {
        let old = words[index];
        let cell = if merges {
            old.with_mask(new.mask())
        } else {
            new
        };
        Update::Store { index, old, cell }
    } else {
        Update::Overflow
    };
    Step { race, update }
}

/// Where a cell goes of which its thread has none yet; the number of words if
/// nowhere.
#[inline(never)]
fn place(words: &[Cell], new: Cell, others: [usize; 2], dead: impl Fn(Cell) -> bool) -> usize {
    let none = words.len();
    let gone = |cell: &Cell| gone(*cell, new, &dead);
    let [empty, superseded] = others;
    words[..empty]
        .iter()
        .position(gone)
        .or((empty < none).then_some(empty))
        .or((superseded < none).then_some(superseded))
        .or_else(|| redundant(words, new))
        .or_else(|| words.iter().position(gone))
        .unwrap_or(none)
}

/// True for a word of another thread that can go: reserved and not used, or
/// dead.
#[inline(always)]
pub fn gone(cell: Cell, new: Cell, dead: impl Fn(Cell) -> bool) -> bool {
    match cell.says_nothing() {
        true => cell.as_overflow().is_none(),
        false => !cell.same_slot(new) && dead(cell),
    }
}

/// A word of `new`'s own thread whose bytes it has accessed again since, as
/// strongly: with `new` and by what other words say.
fn redundant(words: &[Cell], new: Cell) -> Option<usize> {
    words.iter().position(|&cell| {
        cell.slot() == new.slot() && outdated(cell, words.iter().copied().chain([new]))
    })
}

/// True if every byte of `cell` was accessed again by the same thread in a
/// later epoch, as strongly, as some of `cells` say.
pub fn outdated(cell: Cell, cells: impl Iterator<Item = Cell>) -> bool {
    let later = cells.filter(|later| {
        later.slot() == cell.slot()
            && later.epoch() > cell.epoch()
            && cell
                .with_mask(0)
                .superseded_by(later.with_mask(cell.mask()))
    });
    let covered = later.fold(0, |mask, later| mask | later.mask());
    !cell.is_empty() && cell.as_overflow().is_none() && cell.mask() & !covered == 0
}
